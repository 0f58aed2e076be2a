"""A talking head small enough for tests: drawn polygons over the canonical face, known cameras, no clip and no network.

Everything of a bundle that training and rendering read is written: lips follow the first feature of the speech, the
head turns slowly, the eyes blink, the torso slides.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import soundfile
from PIL import Image

from ua3dtalk.face.basis import expression_basis
from ua3dtalk.face.geometry import project, rigid, rotation_matrix
from ua3dtalk.face.lips import INNER_LIPS, OUTER_LIPS
from ua3dtalk.speech.whisper import WINDOW_TOKENS
from ua3dtalk.subject import AUDIO_RATE, FPS, SAMPLES_PER_FRAME, Region, Subject, split_point

SIZE, FRAMES, TOKEN_WIDTH = 64, 60, 6
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
COLOURS = {
    Region.BACKGROUND: (90, 120, 150),
    Region.SKIN: (205, 160, 135),
    Region.LIPS: (170, 80, 80),
    Region.MOUTH: (60, 25, 30),
    Region.CLOTH: (40, 60, 110),
    Region.HAIR: (50, 35, 25),
}


def smooth(rng: np.random.Generator, length: int, width: int, frames: float = 3.0) -> np.ndarray:
    """Random curves [length, width] of unit deviation that change within some frames."""
    taps = np.exp(-0.5 * (np.arange(-12, 13) / frames) ** 2)
    noise = rng.standard_normal((length + 24, width))
    curves = np.stack([np.convolve(column, taps, "valid") for column in noise.T], 1)
    return curves / np.linalg.norm(taps)


def write_tiny_subject(root: Path, frames: int = FRAMES, size: int = SIZE, seed: int = 0) -> Subject:
    """Write a bundle into a folder and open it."""
    rng = np.random.default_rng(seed)
    speech = smooth(rng, frames, TOKEN_WIDTH)
    opening = np.clip(0.5 + 0.4 * speech[:, 0], 0, 1)
    blink = np.zeros(frames)
    for peak in range(6, frames, 17):
        blink[peak - 2 : peak + 3] = [0.3, 0.8, 1.0, 0.8, 0.3][: frames - peak + 2]
    poses = _poses(rng, frames)
    K = np.array([[1.7 * size, 0, size / 2], [0, 1.7 * size, size / 2.2], [0, 0, 1]])
    points = _points(opening, blink)
    pixels = project(points, poses, np.broadcast_to(K, (frames, 3, 3)))
    torso = _torso(size, np.rint(3 * np.sin(np.arange(frames) / 9)).astype(int))
    regions = np.stack([_regions(p, layer) for p, layer in zip(pixels, torso, strict=True)])
    root.mkdir(parents=True, exist_ok=True)
    _write_clips(root, frames, size)
    _write_speech(root, rng, speech)
    _write_pictures(root, regions, torso)
    # Depth in pixels of the head's own distance, as the landmarker gives it.
    depth = (points @ poses[:, :3, :3].swapaxes(1, 2) + poses[:, None, :3, 3])[..., 2:] * K[0, 0] / 0.6
    names = np.array(expression_basis().names)
    np.savez(
        root / "landmarks.npz",
        points=np.concatenate([pixels, depth], 2).astype(np.float32),
        blendshapes=np.zeros((frames, len(names)), np.float32),
        valid=np.ones(frames, bool),
        names=names,
    )
    np.savez(
        root / "tracking.npz",
        K=np.broadcast_to(K, (frames, 3, 3)),
        world_to_camera=poses,
        neutral=expression_basis().canonical,
        residual=np.zeros(frames),
    )
    units = np.concatenate([1 + 0.5 * smooth(rng, frames, 5), 3 * blink[:, None]], 1)
    np.savez(
        root / "expression.npz",
        coefficients=np.stack([opening, blink], 1),
        action_units=np.clip(units, 0, 5).astype(np.float32),
        mouth_opening=opening.astype(np.float32),
        blink=blink.astype(np.float32),
        names=np.array(["jawOpen", "eyeBlink"]),
    )
    _write_heard(root, rng, opening, speech)
    return Subject(root)


def _write_heard(root: Path, rng: np.random.Generator, opening: np.ndarray, speech: np.ndarray) -> None:
    """Priors that hear the opening of the mouth and little else, and an emotion that wanders."""
    frames = len(opening)
    expression = smooth(rng, frames, 64)
    expression[:, 52] = (opening - opening.mean()) / opening.std()
    mixed = 0.2 * expression
    mixed[:, 52] = expression[:, 52] + 0.1 * smooth(rng, frames, 1)[:, 0]
    arrays = {"expression": expression, "lip_expression": mixed, "voice_style": smooth(rng, frames, 64), "mixed": mixed}
    arrays |= {"variance": np.ones((frames, 64)), "novelty": np.ones(frames), "cv_correlation": np.full(64, 0.5)}
    np.savez(root / "priors.npz", **{key: value.astype(np.float32) for key, value in arrays.items()})
    embedding = np.repeat(smooth(rng, frames, 16, 8.0), 8, 1).astype(np.float32)
    happy = (1 / (1 + np.exp(-speech[:, 1]))).astype(np.float32)
    np.savez(
        root / "emotion.npz",
        embedding=embedding,
        probabilities=np.stack([1 - happy, happy], 1),
        labels=np.array(["neutral", "happy"]),
        prototypes=np.stack([embedding[: frames // 2].mean(0), embedding[frames // 2 :].mean(0)]),
    )


def _points(opening: np.ndarray, blink: np.ndarray) -> np.ndarray:
    """The canonical face with its jaw and lids moved, [T, 478, 3] m."""
    basis = expression_basis()
    jaw, *lids = basis.index("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")
    moved: np.ndarray = basis.canonical + opening[:, None, None] * basis.shapes[jaw]
    return moved + blink[:, None, None] * basis.shapes[lids].sum(0)


def _poses(rng: np.random.Generator, frames: int) -> np.ndarray:
    """world_to_camera [T, 4, 4]: a head 0.6 m away that turns and drifts a little."""
    turns = 0.1 * smooth(rng, frames, 3, 8.0)
    return rigid(rotation_matrix(turns), np.array([0, 0, 0.6]) + 0.004 * smooth(rng, frames, 3, 8.0))


def _torso(size: int, shifts: np.ndarray) -> np.ndarray:
    """RGBA [T, H, W, 4]: a trapezium at the lower edge."""
    layers = np.zeros((len(shifts), size, size, 4), np.uint8)
    for layer, shift in zip(layers, shifts, strict=True):
        corners = np.array([[0.35, 0.7], [0.65, 0.7], [0.95, 1.0], [0.05, 1.0]]) * size + [shift, 0]
        cv2.fillPoly(layer, [np.rint(corners).astype(np.int32)], (*COLOURS[Region.CLOTH], 255))
    return layers


def _regions(pixels: np.ndarray, torso: np.ndarray) -> np.ndarray:
    """Labels [H, W] of one frame from its landmarks [478, 2] px."""
    labels = np.where(torso[..., 3] > 0, np.uint8(Region.CLOTH), np.uint8(Region.BACKGROUND))

    def fill(outline: np.ndarray, region: Region) -> None:
        cv2.fillPoly(labels, [np.rint(outline - 0.5).astype(np.int32)], int(region))

    oval = pixels[list(OVAL)]
    fill(oval.mean(0) + (oval - oval.mean(0)) * [1.2, 1.15] - [0, 0.15 * np.ptp(oval[:, 1])], Region.HAIR)
    fill(oval, Region.SKIN)
    fill(pixels[list(OUTER_LIPS)], Region.LIPS)
    fill(pixels[list(INNER_LIPS)], Region.MOUTH)
    return labels


def _write_pictures(root: Path, regions: np.ndarray, torso: np.ndarray) -> None:
    """video, regions, plate and torso."""
    palette = np.zeros((256, 3))
    for region, colour in COLOURS.items():
        palette[int(region)] = colour
    shade = 1 + 0.15 * np.sin(np.arange(regions.shape[2]) / 5)[None, None, :, None]
    video = np.clip(palette[regions] * shade, 0, 255).astype(np.uint8)
    plate = (np.broadcast_to(palette[0], video.shape[1:]) * shade[0]).astype(np.uint8)
    (root / "layers").mkdir(exist_ok=True)
    np.save(root / "video.npy", video)
    np.save(root / "regions.npy", regions)
    np.save(root / "layers" / "torso.npy", torso)
    Image.fromarray(plate).save(root / "layers" / "plate.png")


def _write_speech(root: Path, rng: np.random.Generator, speech: np.ndarray) -> None:
    """Tokens that hold the curves and a little noise, mel, and a sound."""
    tokens = np.repeat(speech, 2, 0)
    tokens += 0.05 * rng.standard_normal(tokens.shape)
    mel = np.repeat(speech[:, :1], 4, 0) + rng.standard_normal((4 * len(speech), 80))
    np.savez(
        root / "speech.npz",
        features=tokens.astype(np.float16),
        mel=mel.astype(np.float32),
        position=np.zeros((WINDOW_TOKENS, TOKEN_WIDTH), np.float32),
        encoder=np.array("tiny"),
    )
    sound = 0.1 * rng.standard_normal(len(speech) * SAMPLES_PER_FRAME)
    soundfile.write(root / "audio.wav", sound, AUDIO_RATE, subtype="PCM_16")


def _write_clips(root: Path, frames: int, size: int) -> None:
    clip = {
        "path": "tiny.mp4",
        "sha256": "0" * 64,
        "first": 0,
        "length": frames,
        "test_first": split_point([frames])[0],
        "emotion": None,
        "fps": float(FPS),
        "width": size,
        "height": size,
        "crop": [0, 0, size],
    }
    document = {"state": "0", "fps": FPS, "size": size, "frames": frames, "clips": [clip]}
    (root / "clips.json").write_text(json.dumps(document))


def corrupted(subject: Subject, folder: Path, *, speech: bool = False) -> Subject:
    """The subject with nonsense in its held-out frames: all but what the audio tells, or the audio."""
    root = Path(shutil.copytree(subject.root, folder / "corrupted"))
    first, rng = int(subject.test_frames[0]), np.random.default_rng(9)

    def spoil(name: str, *keys: str, per_frame: int = 1) -> None:
        with np.load(root / name) as data:
            arrays = {key: data[key] for key in data.files}
        for key in keys:
            array = arrays[key]
            array[first * per_frame :] = rng.uniform(0, 1, array[first * per_frame :].shape).astype(array.dtype)
        np.savez(root / name, **arrays)

    if speech:
        spoil("speech.npz", "features", per_frame=2)
        spoil("speech.npz", "mel", per_frame=4)
        return Subject(root)
    spoil("tracking.npz", "world_to_camera", "residual", "K")
    spoil("expression.npz", "coefficients", "action_units", "mouth_opening", "blink")
    spoil("landmarks.npz", "points", "blendshapes")
    for name in ("video.npy", "regions.npy", "layers/torso.npy"):
        frames = np.load(root / name)
        frames[first:] = rng.integers(0, 255, frames[first:].shape)
        np.save(root / name, frames)
    return Subject(root)
