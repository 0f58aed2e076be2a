"""The bundle of one actor: where its files lie and how they are read.

All clips of an actor lie end to end on one frame index ``0..T-1`` at 25 frames a second; every per-frame
array has T rows and is read by that index. Windows never cross a clip's border. Units: metres, seconds,
pixels with (0.5, 0.5) the centre of the first pixel. Cameras are OpenCV's (x right, y down, z forward);
the world is the head: for a head that looks straight into the camera the world's axes are the camera's,
so the nose points to -z.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from ua3dtalk.errors import DataError

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


class _Arrays(dict[str, np.ndarray]):
    """What a file holds; a key that it lacks, because another version wrote it, is a clear error."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self._path = path

    def __missing__(self, key: str) -> np.ndarray:
        raise DataError(f"{self._path} has no {key}: another version wrote it; run the pipeline again")


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

    def _npz(self, name: str) -> dict[str, np.ndarray]:
        path = self.path(name)
        try:
            with np.load(path, allow_pickle=False) as data:
                return _Arrays(path, {key: data[key] for key in data.files})
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise DataError(f"{path} cannot be read ({error}): delete it and run again") from error

    def _memmap(self, name: str) -> np.ndarray:
        path = self.path(name)
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} cannot be read ({error}): delete it and run again") from error

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        document = json.loads(self.path("clips.json").read_text())
        return tuple(Clip(**{**clip, "crop": tuple(clip["crop"])}) for clip in document["clips"])

    @cached_property
    def size(self) -> int:
        """Side of the square frames, px."""
        return int(json.loads(self.path("clips.json").read_text())["size"])

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
        return self._memmap("video.npy")

    def audio(self) -> np.ndarray:
        """float32 [T * 640] in -1..1, 16 kHz mono."""
        import soundfile

        samples, _ = soundfile.read(self.path("audio.wav"), dtype="float32")
        return samples

    @cached_property
    def landmarks(self) -> Landmarks:
        data = self._npz("landmarks.npz")
        return Landmarks(data["points"], data["blendshapes"], data["valid"].astype(bool), tuple(data["names"].tolist()))

    @cached_property
    def regions(self) -> np.ndarray:
        """uint8 [T, H, W] of `Region`, memory-mapped."""
        return self._memmap("regions.npy")

    @cached_property
    def tracking(self) -> Tracking:
        data = self._npz("tracking.npz")
        names = ("K", "world_to_camera", "neutral", "residual", "expression")
        return Tracking(*(data[name] for name in names if name in data))

    @cached_property
    def expression(self) -> Expression:
        data = self._npz("expression.npz")
        return Expression(
            data["coefficients"],
            data["action_units"],
            data["mouth_opening"],
            data["blink"],
            tuple(data["names"].tolist()),
        )

    @cached_property
    def plate(self) -> np.ndarray:
        """uint8 [H, W, 3], the background without the person."""
        from PIL import Image

        return np.asarray(Image.open(self.path("layers/plate.png")).convert("RGB"))

    @cached_property
    def torso(self) -> np.ndarray:
        """uint8 [T, H, W, 4], colour (not premultiplied) and alpha of neck and cloth, memory-mapped."""
        return self._memmap("layers/torso.npy")

    @cached_property
    def speech(self) -> Speech:
        data = self._npz("speech.npz")
        return Speech(data["features"], data["mel"], str(data["encoder"]), data["position"])

    @cached_property
    def priors(self) -> Priors:
        data = self._npz("priors.npz")
        names = ("expression", "lip_expression", "voice_style", "mixed", "variance", "novelty", "cv_correlation")
        return Priors(*(data[name] for name in names))

    @cached_property
    def emotion(self) -> Emotion:
        data = self._npz("emotion.npz")
        labels = tuple(data["labels"].tolist())
        return Emotion(data["embedding"], data["probabilities"], labels, data["prototypes"])


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
