"""The bundle of one actor: where its files lie and how they are read.

All clips of an actor lie end to end on one frame index ``0..T-1`` at 25 frames a second; every per-frame
array has T rows and is read by that index. Windows never cross a clip's border. Units: metres, seconds,
pixels with (0.5, 0.5) the centre of the first pixel. Cameras are OpenCV's (x right, y down, z forward);
the world is the head: for a head that looks straight into the camera the world's axes are the camera's,
so the nose points to -z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.reading import AGAIN, Field, floats, map_npy, read_json, read_npz, read_picture, reading, texts

FPS = 25
AUDIO_RATE = 16_000
SAMPLES_PER_FRAME = AUDIO_RATE // FPS
TOKENS_PER_FRAME = 2  # speech tokens come at 50 Hz

ACTION_UNITS = ("AU01", "AU04", "AU05", "AU06", "AU07", "AU45")


class Region(IntEnum):
    """Labels of `regions.npy`."""

    BACKGROUND = 0
    SKIN = 1
    BROWS = 2
    EYES = 3
    NOSE = 4
    EARS = 5
    LIPS = 6
    MOUTH = 7  # the interior, teeth and tongue with it
    NECK = 8
    CLOTH = 9
    HAIR = 10
    HAT = 11
    GLASSES = 12


FACE_REGIONS = (
    Region.SKIN,
    Region.BROWS,
    Region.EYES,
    Region.NOSE,
    Region.EARS,
    Region.LIPS,
    Region.GLASSES,
)
HEAD_REGIONS = (*FACE_REGIONS, Region.HAIR, Region.HAT)
TORSO_REGIONS = (Region.NECK, Region.CLOTH)


@dataclass(frozen=True)
class ClipSource:
    """A clip as the config names it: its file and the label of its emotion, if one is given."""

    path: Path
    emotion: str | None = None


@dataclass(frozen=True)
class Clip:
    """One source clip on the actor's frame index.

    Attributes:
        path: the source file as the config names it.
        sha256: of the source file.
        first, length: frames ``first .. first + length - 1`` of the actor's index.
        test_first: first held-out frame (absolute index); frames before it train.
        emotion: label given in the config, or None.
        fps: average rate of the source; width, height: source pixels after rotation.
        crop: (left, top, side) of the square in source pixels.
    """

    path: str
    sha256: str
    first: int
    length: int
    test_first: int
    emotion: str | None
    fps: float
    width: int
    height: int
    crop: tuple[float, float, float]

    @property
    def end(self) -> int:
        """One past the clip's last frame."""
        return self.first + self.length


@dataclass(frozen=True)
class Landmarks:
    """points [T, 478, 3] px (z in the scale of x), blendshapes [T, 52] in 0..1, valid [T] bool."""

    points: np.ndarray
    blendshapes: np.ndarray
    valid: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Tracking:
    """K [T, 3, 3] px (constant within a clip: crops differ), world_to_camera [T, 4, 4], neutral [478, 3] m,
    residual [T] px (NaN where no face is seen), expression [T, 52] fitted weights in 0..1."""

    K: np.ndarray
    world_to_camera: np.ndarray
    neutral: np.ndarray
    residual: np.ndarray
    expression: np.ndarray = field(default_factory=lambda: np.zeros((0, 52), np.float32))


@dataclass(frozen=True)
class Expression:
    """coefficients [T, E] in 0..1, action_units [T, 6] (`ACTION_UNITS`, OpenFace's 0..5), mouth_opening [T]
    (inner-lip distance over the distance of the eyes), blink [T] in 0..1, names of the E coefficients."""

    coefficients: np.ndarray
    action_units: np.ndarray
    mouth_opening: np.ndarray
    blink: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Speech:
    """features [2 T, D]: tokens 2 i and 2 i + 1 belong to frame i; mel [4 T, 80] natural log; encoder's name;
    position [W, D]: what was taken off the W tokens of each of the encoder's windows, where it was one of ours."""

    features: np.ndarray
    mel: np.ndarray
    encoder: str
    position: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))


LIPS_IN_EXPRESSION = 52  # column where the lip shapes begin in the priors' space: the open basis comes first


@dataclass(frozen=True)
class Priors:
    """What speech tells of the expression, in standard deviations of the training frames.

    expression [T, 64] of the real frames: 52 coefficients of the open basis, then 12 lip shapes; lip_expression,
    voice_style and mixed [T, 64] are heard: for a training frame by models that did not see it; variance [T, 64] of
    what mixed is off by; novelty [T]: how unlike the training speech a frame's speech is (1: as usual); cv_correlation
    [64] of mixed with expression over blocks of training frames: what speech tells at all."""

    expression: np.ndarray
    lip_expression: np.ndarray
    voice_style: np.ndarray
    mixed: np.ndarray
    variance: np.ndarray
    novelty: np.ndarray
    cv_correlation: np.ndarray


@dataclass(frozen=True)
class Emotion:
    """embedding [T, 128], probabilities [T, L] of the labels, prototypes [L, 128]: the mean embedding of each label."""

    embedding: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]
    prototypes: np.ndarray


MOST_FRAMES = 10_000_000  # 111 hours
MOST_SIDE = 4096  # px of the square frames

# The arrays of the bundle that are read, by file. T, T2, T4: frames, and two and four rows of each.
_LANDMARKS = {
    "points": floats("T", "N", 3),
    "blendshapes": floats("T", "E"),
    "valid": Field(("T",), "b"),
    "names": texts("E"),
}
_TRACKING = {
    "K": floats("T", 3, 3),
    "world_to_camera": floats("T", 4, 4),
    "neutral": floats("N", 3),
    "residual": floats("T", finite=False),
    "expression": floats("T", "E", needed=False),
}
_EXPRESSION = {
    "coefficients": floats("T", "E"),
    "action_units": floats("T", len(ACTION_UNITS)),
    "mouth_opening": floats("T"),
    "blink": floats("T"),
    "names": texts("E"),
}
_SPEECH = {"features": floats("T2", "D"), "mel": floats("T4", "M"), "position": floats("W", "P"), "encoder": texts()}
_PRIORS = {
    **{name: floats("T", 64) for name in ("expression", "lip_expression", "voice_style", "mixed", "variance")},
    "novelty": floats("T"),
    "cv_correlation": floats(64, finite=False),
}
_EMOTION = {
    "embedding": floats("T", "D"),
    "probabilities": floats("T", "L"),
    "labels": texts("L"),
    "prototypes": floats("L", "D", finite=False),
}


class Subject:
    """Typed readers over ``results/{actor}/``; nothing is read before it is asked for."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def name(self) -> str:
        return self.root.name

    def path(self, name: str) -> Path:
        """Path of one file of the bundle; a missing one is a clear error."""
        path = self.root / name
        if not path.exists():
            raise DataError(f"{path} is missing: run the stage that makes it, or delete the folder and start again")
        return path

    def _npz(self, name: str, wanted: Mapping[str, Field]) -> dict[str, Any]:
        """Arrays of a file; texts as tuples of str, or str."""
        path = self.path(name)
        frames = self.frame_count
        found: dict[str, Any] = dict(read_npz(path, wanted, {"T": frames, "T2": 2 * frames, "T4": 4 * frames}))
        with reading(path):  # what stands for letters may be none
            for key, each in wanted.items():
                if each.kinds == "U":
                    found[key] = tuple(found[key].tolist()) if each.shape else str(found[key])
        return found

    def _memmap(self, name: str, *row: int | str) -> np.ndarray:
        path = self.path(name)
        with reading(path):
            return map_npy(path, Field(("T", *row), "u"), {"T": self.frame_count})

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        path = self.path("clips.json")
        document = read_json(path)
        with reading(path):
            found = tuple(_clip(entry) for entry in document["clips"])
            if not found:
                raise ValueError("no clips in it")
            end = 0
            for clip in found:
                if clip.first != end:
                    raise ValueError(f"a clip begins at frame {clip.first} where {end} is next")
                end = clip.end
            if end > MOST_FRAMES:
                raise ValueError(f"{end} frames are more than any actor has")
            return found

    @cached_property
    def size(self) -> int:
        """Side of the square frames, px."""
        path = self.path("clips.json")
        with reading(path):
            size = read_json(path)["size"]
            if type(size) is not int or not 0 < size <= MOST_SIDE:
                raise ValueError("size is no number of px")
            return size

    @property
    def frame_count(self) -> int:
        """T, frames of all clips together."""
        return self.clips[-1].end

    @cached_property
    def train_frames(self) -> np.ndarray:
        """Indices of the training frames, ascending."""
        return np.concatenate([np.arange(clip.first, clip.test_first) for clip in self.clips])

    @cached_property
    def test_frames(self) -> np.ndarray:
        """Indices of the held-out frames, ascending."""
        return np.concatenate([np.arange(clip.test_first, clip.end) for clip in self.clips])

    @cached_property
    def video(self) -> np.ndarray:
        """uint8 [T, H, W, 3] RGB, memory-mapped."""
        return self._memmap("video.npy", "H", "W", 3)

    def audio(self) -> np.ndarray:
        """float32 [T * 640] in -1..1, 16 kHz mono."""
        import soundfile

        path = self.path("audio.wav")
        with reading(path), soundfile.SoundFile(path) as sound:
            wanted = self.frame_count * SAMPLES_PER_FRAME
            if (sound.samplerate, sound.channels) != (AUDIO_RATE, 1):
                raise ValueError(f"it is no mono sound at {AUDIO_RATE} Hz")
            if sound.frames != wanted:
                raise DataError(
                    f"{path} has {sound.frames} samples where {self.frame_count} frames need {wanted}: {AGAIN}"
                )
            samples = sound.read(dtype="float32")
            if len(samples) != wanted or not np.isfinite(samples).all():
                raise ValueError("it is cut short, or its samples are not numbers")
            return samples

    @cached_property
    def landmarks(self) -> Landmarks:
        return Landmarks(**self._npz("landmarks.npz", _LANDMARKS))

    @cached_property
    def regions(self) -> np.ndarray:
        """uint8 [T, H, W] of `Region`, memory-mapped."""
        return self._memmap("regions.npy", "H", "W")

    @cached_property
    def tracking(self) -> Tracking:
        return Tracking(**self._npz("tracking.npz", _TRACKING))

    @cached_property
    def expression(self) -> Expression:
        return Expression(**self._npz("expression.npz", _EXPRESSION))

    @cached_property
    def plate(self) -> np.ndarray:
        """uint8 [H, W, 3], the background without the person."""
        return read_picture(self.path("layers/plate.png"), MOST_SIDE**2)

    @cached_property
    def torso(self) -> np.ndarray:
        """uint8 [T, H, W, 4], colour (not premultiplied) and alpha of neck and cloth, memory-mapped."""
        return self._memmap("layers/torso.npy", "H", "W", 4)

    @cached_property
    def speech(self) -> Speech:
        return Speech(**self._npz("speech.npz", _SPEECH))

    @cached_property
    def priors(self) -> Priors:
        return Priors(**self._npz("priors.npz", _PRIORS))

    @cached_property
    def emotion(self) -> Emotion:
        return Emotion(**self._npz("emotion.npz", _EMOTION))


def _clip(entry: Any) -> Clip:
    """One entry of clips.json, checked.

    Raises:
        ValueError, TypeError: it is none.
    """
    left, top, side = entry["crop"]
    clip = Clip(**{**entry, "crop": (left, top, side)})
    whole = (clip.first, clip.length, clip.test_first, clip.width, clip.height)
    words = (clip.path, clip.sha256, clip.emotion or "")
    numbers = (clip.fps, left, top, side)
    if not all(type(number) is int and number >= 0 for number in whole):
        raise ValueError("first, length, test_first, width and height are whole numbers")
    if not all(isinstance(text, str) for text in words):
        raise ValueError("path, sha256 and emotion are texts")
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError("fps and crop are numbers")
    if not clip.first < clip.test_first < clip.end and clip.length > 1:
        raise ValueError(f"test_first {clip.test_first} lies outside its clip")
    return clip


def split_point(lengths: list[int]) -> list[int]:
    """Training frames of each clip: the first 10/11, less where an actor would be tested on under 5 s.

    Args:
        lengths: frames of each clip.
    Returns:
        frames of each clip that train; the rest is held out (never more than a third of a clip).
    Source: AD-NeRF's 10/11 split; at least 5 s because a head that does not move its mouth can correlate by
        chance on shorter stretches.
    """
    total = sum(lengths)
    share = min(max(1 / 11, 5 * FPS / total), 1 / 3)
    return [length - min(max(round(length * share), 1), length // 3 or 1) for length in lengths]
