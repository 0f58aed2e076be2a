"""How the built-in actor moves: lips from phonemes, face from emotion, blinks, gaze and head, one row per frame.

Lips follow the dominance model of coarticulation: each sound pulls each channel towards its own target with a
strength that rises before it, holds and falls after it; the channel is the weighted mean. A closure (p, b, m)
pulls its channels hard and lets the rest go, a schwa pulls softly.
Source of the scheme: Cohen and Massaro, Modeling coarticulation in synthetic visual speech, 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ua3dtalk.demo.script import Performance
from ua3dtalk.demo.voice import Phoneme
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.subject import FPS

# Channels of the lips; those of a pair (Left, Right) move together here and get a small asymmetry later.
LIPS = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthClose", "mouthPress", "mouthRollLower", "mouthRollUpper",
    "mouthLowerDown", "mouthUpperUp", "mouthStretch", "mouthSmile", "mouthShrugLower",
)  # fmt: skip

# Targets of the visemes; channels not named are 0.
VISEMES: dict[str, dict[str, float]] = {
    "closed": {"jawOpen": 0.02, "mouthClose": 0.03, "mouthPress": 0.30, "mouthRollLower": 0.10},
    "bite": {"jawOpen": 0.05, "mouthRollLower": 0.42, "mouthUpperUp": 0.18, "mouthShrugLower": 0.10},
    "tongue": {"jawOpen": 0.14, "mouthLowerDown": 0.22, "mouthUpperUp": 0.10},
    "ridge": {"jawOpen": 0.10, "mouthLowerDown": 0.20, "mouthUpperUp": 0.08, "mouthStretch": 0.10},
    "hush": {"jawOpen": 0.09, "mouthFunnel": 0.50, "mouthPucker": 0.12},
    "back": {"jawOpen": 0.20, "mouthLowerDown": 0.08},
    "r": {"jawOpen": 0.15, "mouthFunnel": 0.28, "mouthPucker": 0.20},
    "w": {"jawOpen": 0.07, "mouthPucker": 0.80, "mouthFunnel": 0.15},
    "y": {"jawOpen": 0.10, "mouthSmile": 0.16, "mouthStretch": 0.18, "mouthLowerDown": 0.10},
    "i": {"jawOpen": 0.13, "mouthSmile": 0.20, "mouthStretch": 0.25, "mouthLowerDown": 0.16},
    "I": {"jawOpen": 0.24, "mouthSmile": 0.08, "mouthStretch": 0.14, "mouthLowerDown": 0.14},
    "E": {"jawOpen": 0.44, "mouthStretch": 0.14, "mouthLowerDown": 0.20, "mouthUpperUp": 0.06},
    "a": {"jawOpen": 0.66, "mouthStretch": 0.14, "mouthLowerDown": 0.28, "mouthUpperUp": 0.10},
    "A": {"jawOpen": 0.74, "mouthLowerDown": 0.18},
    "V": {"jawOpen": 0.50, "mouthLowerDown": 0.16},
    "@": {"jawOpen": 0.24, "mouthLowerDown": 0.10},
    "O": {"jawOpen": 0.40, "mouthFunnel": 0.45, "mouthPucker": 0.15},
    "o": {"jawOpen": 0.28, "mouthFunnel": 0.45, "mouthPucker": 0.40},
    "u": {"jawOpen": 0.14, "mouthPucker": 0.78, "mouthFunnel": 0.22},
    "U": {"jawOpen": 0.22, "mouthPucker": 0.50, "mouthFunnel": 0.25},
    "3": {"jawOpen": 0.28, "mouthFunnel": 0.34, "mouthPucker": 0.22},
    "rest": {"mouthClose": 0.0, "mouthPress": 0.05},
}

# espeak's mnemonics by their first characters, longest first; diphthongs go through two shapes.
SOUNDS: dict[str, tuple[str, ...]] = {
    "tS": ("hush",), "dZ": ("hush",), "aI": ("a", "I"), "aU": ("a", "U"), "eI": ("E", "i"), "oU": ("o", "u"),
    "OI": ("O", "I"), "O@": ("O", "3"), "A@": ("A", "3"), "3:": ("3",), "i:": ("i",), "u:": ("u",), "A:": ("A",),
    "O:": ("O",), "e@": ("E", "3"), "i@": ("i", "3"), "U@": ("U", "3"), "@L": ("@",), "I#": ("I",), "I2": ("I",),
    "a#": ("@",), "O2": ("O",), "@2": ("@",), "t#": ("ridge",), "t2": ("ridge",),
    "p": ("closed",), "b": ("closed",), "m": ("closed",), "f": ("bite",), "v": ("bite",), "T": ("tongue",),
    "D": ("tongue",), "t": ("ridge",), "d": ("ridge",), "n": ("ridge",), "l": ("ridge",), "s": ("ridge",),
    "z": ("ridge",), "S": ("hush",), "Z": ("hush",), "k": ("back",), "g": ("back",), "N": ("back",), "h": ("back",),
    "r": ("r",), "w": ("w",), "j": ("y",), "i": ("i",), "I": ("I",), "E": ("E",), "e": ("E",), "a": ("a",),
    "A": ("A",), "V": ("V",), "@": ("@",), "0": ("O",), "O": ("O",), "u": ("u",), "U": ("U",), "3": ("3",),
    "_": ("rest",),
}  # fmt: skip

# Strength of a viseme's pull (default 1) and, for some channels, more.
STRENGTH = {
    "closed": 1.6,
    "bite": 1.4,
    "back": 0.35,
    "tongue": 0.7,
    "ridge": 0.55,
    "@": 0.6,
    "r": 0.9,
    "w": 1.3,
    "rest": 0.5,
}
FIRM = {
    "closed": ("jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthPress", "mouthStretch"),
    "bite": ("mouthRollLower", "jawOpen"),
}
RATE = 100  # Hz of the fine time line
BEFORE, AFTER = 0.042, 0.048  # s, how fast a pull rises and falls

# What the face adds while speaking with an emotion (full strength); pairs without side mean both sides.
EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.58, "cheekSquint": 0.45, "eyeSquint": 0.14, "browInnerUp": 0.28, "browOuterUp": 0.22,
              "mouthUpperUp": 0.10, "mouthDimple": 0.12},
    "angry": {"browDown": 0.85, "noseSneer": 0.50, "mouthFrown": 0.32, "eyeSquint": 0.28, "mouthPress": 0.12,
              "mouthUpperUp": 0.14, "mouthStretch": 0.10},
}  # fmt: skip
JAW_GAIN = {"neutral": 1.0, "happy": 1.1, "angry": 1.22}
SIDES = ("Left", "Right")


@dataclass(frozen=True)
class Motion:
    """blendshapes [T, 52] in 0..1 (`BLENDSHAPE_NAMES`); head [T, 6]: rotation vector (rad, pitch yaw roll about x y z
    of the head frame) and shift (m) of the head against the shoulders; torso [T, 6] the same of the shoulders."""

    blendshapes: np.ndarray
    head: np.ndarray
    torso: np.ndarray


def move(performance: Performance, seed: int) -> Motion:
    """The whole motion of a spoken clip; the same for the same seed."""
    rng = np.random.default_rng(seed)
    frames = len(performance.emotion)
    lips = lip_channels(performance.phonemes, frames)
    presence = emotion_presence(performance)
    gain = sum(presence[name] * JAW_GAIN[name] for name in presence)
    lips["jawOpen"] = lips["jawOpen"] * gain
    curves = {name: np.zeros(frames) for name in BLENDSHAPE_NAMES}
    for name, values in lips.items():
        _add(curves, name, values)
    sway = 1 + 0.12 * _drift(rng, frames, 1.2)
    for emotion, strength in presence.items():
        for name, full in EMOTIONS[emotion].items():
            _add(curves, name, full * strength * sway)
    rounding = np.clip(lips["mouthPucker"] + 0.6 * lips["mouthFunnel"], 0, 1)
    for side in SIDES:  # rounded lips and a broad smile exclude one another
        curves[f"mouthSmile{side}"] *= 1 - 0.5 * rounding
        curves[f"mouthStretch{side}"] *= 1 - 0.7 * rounding
    _stress_brows(curves, performance, rng)
    head = head_motion(rng, frames, performance)
    _gaze_and_blinks(curves, head, rng)
    _asymmetry(curves, rng)
    table = np.stack([np.clip(curves[name], 0, 1) for name in BLENDSHAPE_NAMES], axis=1)
    return Motion(table.astype(np.float32), head, torso_motion(rng, frames))


def lip_channels(phonemes: Sequence[Phoneme], frames: int) -> dict[str, np.ndarray]:
    """Channel -> [frames], sampled at the middle of each frame.

    D_i(t) = strength_i * exp(-distance / tau), target = sum D_i target_i / sum D_i over the sounds i.
    """
    times = (np.arange(frames * RATE // FPS) + 0.5) / RATE
    weights = np.full((len(LIPS), len(times)), 1e-3)
    total = np.zeros((len(LIPS), len(times)))
    for viseme, start, end, stress in _visemes(phonemes):
        distance = np.where(times < start, (start - times) / BEFORE, np.maximum(times - end, 0) / AFTER)
        pull = STRENGTH.get(viseme, 1.0) * (1 + 0.25 * stress) * np.exp(-(np.minimum(distance, 40) ** 1.25))
        target = VISEMES[viseme]
        for row, channel in enumerate(LIPS):
            strength = pull * (3.0 if channel in FIRM.get(viseme, ()) else 1.0)
            weights[row] += strength
            total[row] += strength * target.get(channel, 0.0) * (1 + 0.12 * stress)
    fine = gaussian_filter1d(total / weights, 1.6, axis=1, mode="nearest")
    middle = (np.arange(frames) + 0.5) / FPS
    return {name: np.interp(middle, times, fine[row]) for row, name in enumerate(LIPS)}


def _visemes(phonemes: Sequence[Phoneme]) -> list[tuple[str, float, float, float]]:
    """(viseme, hold from, hold to, stress); the hold is the middle of the sound, shapes of a diphthong share it."""
    found = []
    for phoneme in phonemes:
        shapes = next(
            (SOUNDS[phoneme.symbol[:n]] for n in (2, 1) if phoneme.symbol[:n] in SOUNDS),
            ("@",),
        )
        length = (phoneme.end - phoneme.start) / len(shapes)
        margin = 0.04 if shapes == ("rest",) else 0.25 * length
        for part, shape in enumerate(shapes):
            start = phoneme.start + part * length
            found.append(
                (shape, start + min(margin, 0.5 * length), start + length - min(margin, 0.5 * length), phoneme.stress)
            )
    return found


def emotion_presence(performance: Performance) -> dict[str, np.ndarray]:
    """Emotion -> [T], 1 in its own stretch and 0 elsewhere: each stretch is a clip of its own."""
    one_hot = (performance.emotion[:, None] == np.arange(len(performance.emotions))).astype(float)
    return dict(zip(performance.emotions, one_hot.T, strict=True))


def head_motion(rng: np.random.Generator, frames: int, performance: Performance) -> np.ndarray:
    """[T, 6]: slow turns that use the range of yaw, nods on stressed sounds, a little drift; within the bounds."""
    times = np.arange(frames) / FPS
    yaw = np.deg2rad(_glide(times, rng, (1.1, 2.2), (9.0, 23.0), (0.8, 1.2)))
    pitch = np.deg2rad(_glide(times, rng, (1.3, 2.6), (1.0, 6.0), (0.7, 1.1)))
    roll = np.deg2rad(_glide(times, rng, (1.5, 3.0), (0.5, 3.0), (0.8, 1.3))) - 0.08 * yaw
    for phoneme in performance.phonemes:
        if phoneme.stress == 1.0:
            size = np.deg2rad(rng.uniform(0.3, 1.5))
            pitch = pitch + size * np.exp(-(((times - phoneme.start - 0.06) / 0.11) ** 2))
    drift = np.stack([_drift(rng, frames, 0.8) for _ in range(3)], axis=1) * np.deg2rad([0.5, 0.7, 0.4])
    turn = np.stack([np.clip(pitch, -0.16, 0.16), yaw, roll], axis=1) + drift
    turn[:, 1] = np.clip(turn[:, 1], -np.deg2rad(24.5), np.deg2rad(24.5))
    shift = np.stack([_drift(rng, frames, 1.5) for _ in range(3)], axis=1) * [0.002, 0.0015, 0.004]
    return np.concatenate([turn, shift], axis=1)


def torso_motion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """[T, 6]: breath and a slow sway of the shoulders."""
    times = np.arange(frames) / FPS
    breath = 0.0009 * np.sin(2 * np.pi * times / 3.7 + rng.uniform(0, 6))
    sway = np.stack([_drift(rng, frames, 1.6) for _ in range(6)], axis=1)
    sway = sway * [0.004, 0.010, 0.004, 0.0025, 0.0004, 0.002]
    sway[:, 4] += breath
    return sway


def _glide(
    times: np.ndarray,
    rng: np.random.Generator,
    hold: tuple[float, float],
    size: tuple[float, float],
    travel: tuple[float, float],
) -> np.ndarray:
    """Holds joined by smooth moves to changing sides; starts near 0."""
    value, now, side = 0.0, rng.uniform(0.2, 0.5) * hold[0], rng.choice([-1.0, 1.0])
    out = np.full(len(times), value)
    while now < times[-1]:
        target = 0.0 if rng.random() < 0.25 else side * rng.uniform(*size)
        length = rng.uniform(*travel)
        phase = np.clip((times - now) / length, 0, 1)
        ease = phase**3 * (10 - 15 * phase + 6 * phase**2)  # minimum jerk
        out = out + (target - value) * ease
        value, side = target, -side
        now += length + rng.uniform(*hold) - 0.6
    return out


def _drift(rng: np.random.Generator, frames: int, seconds: float) -> np.ndarray:
    """[frames] smooth noise of unit deviation whose features last about `seconds`; independent of the clip's length."""
    count = max(frames, 30 * FPS)
    noise = gaussian_filter1d(rng.standard_normal(count), seconds * FPS / 2.5, mode="wrap")
    return (noise / noise.std())[:frames]


def _stress_brows(curves: dict[str, np.ndarray], performance: Performance, rng: np.random.Generator) -> None:
    """Brows rise a little on some stressed sounds, less when they are angrily low."""
    times = (np.arange(len(performance.emotion)) + 0.5) / FPS
    low = curves["browDownLeft"]
    for phoneme in performance.phonemes:
        if phoneme.stress == 1.0 and rng.random() < 0.4:
            lift = rng.uniform(0.12, 0.4) * np.exp(-(((times - phoneme.start - 0.05) / 0.16) ** 2)) * (1 - 0.8 * low)
            curves["browInnerUp"] += lift
            for side in SIDES:
                curves[f"browOuterUp{side}"] += 0.6 * lift


def _gaze_and_blinks(curves: dict[str, np.ndarray], head: np.ndarray, rng: np.random.Generator) -> None:
    """Eyes keep near the camera while the head turns, with small saccades; lids close every few seconds."""
    frames = len(head)
    side = -head[:, 1] / np.deg2rad(45) + _saccades(rng, frames, 0.09)  # the nose goes to -x: eyes back to +x
    height = head[:, 0] / np.deg2rad(45) + _saccades(rng, frames, 0.05)
    pairs = (("Left", side), ("Right", -side))
    for eye, inward in pairs:
        curves[f"eyeLookIn{eye}"] += np.maximum(inward, 0)
        curves[f"eyeLookOut{eye}"] += np.maximum(-inward, 0)
        curves[f"eyeLookUp{eye}"] += np.maximum(height, 0)
        curves[f"eyeLookDown{eye}"] += np.maximum(-height, 0)
    blink = blink_curve(rng, frames)
    for eye in SIDES:
        curves[f"eyeBlink{eye}"] += blink
        for other in ("eyeSquint", "eyeLookDown", "eyeLookUp", "eyeWide"):  # a closed lid can close no further
            curves[f"{other}{eye}"] *= 1 - blink


def blink_curve(rng: np.random.Generator, frames: int) -> np.ndarray:
    """[frames] in 0..1: closes in 2 to 3 frames, opens in 4 to 5, every 1.6 to 4.2 s; the first within 1 s."""
    curve = np.zeros(frames)
    now = rng.uniform(0.35, 0.8) * FPS
    index = np.arange(frames)
    while now < frames:
        closing, opening = rng.uniform(2.0, 3.0), rng.uniform(4.0, 5.5)
        shape = np.where(index < now, 1 - (now - index) / closing, 1 - (index - now - 1) / opening)
        smooth = np.clip(shape, 0, 1)
        curve = np.maximum(curve, smooth * smooth * (3 - 2 * smooth))
        now += rng.uniform(1.6, 4.2) * FPS
    return curve


def _saccades(rng: np.random.Generator, frames: int, size: float) -> np.ndarray:
    """[frames] fixations of 0.4 to 1.6 s."""
    out = np.zeros(frames)
    now = 0
    while now < frames:
        length = int(rng.uniform(0.4, 1.6) * FPS)
        out[now : now + length] = size * rng.uniform(-1, 1)
        now += length
    return gaussian_filter1d(out, 0.6, mode="nearest")


def _asymmetry(curves: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """No face is even: sides differ by a few percent, the same all the time."""
    for name in BLENDSHAPE_NAMES:
        if name.endswith("Left") and not name.startswith(("eye", "jaw", "mouthLeft")):
            tilt = rng.uniform(-0.05, 0.05)
            curves[name] = curves[name] * (1 + tilt)
            twin = name.removesuffix("Left") + "Right"
            curves[twin] = curves[twin] * (1 - tilt)


def _add(curves: dict[str, np.ndarray], name: str, values: np.ndarray) -> None:
    """Add to one channel or to both sides of a pair."""
    for full in (name,) if name in curves else tuple(name + side for side in SIDES):
        curves[full] = curves[full] + values
