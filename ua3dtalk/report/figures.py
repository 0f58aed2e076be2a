"""How each figure is read: its title, which way is better, and what it is in one line.

docs/metrics.md is the long form. A figure that has no line here is shown all the same, under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["up", "down", "one", "zero", "truth"]

ARROWS: dict[Better | None, str] = {"up": "↑", "down": "↓", "one": "→ 1", "zero": "→ 0", "truth": "≈", None: ""}
SAID: dict[Better | None, str] = {
    "up": "higher is better",
    "down": "lower is better",
    "one": "best at 1",
    "zero": "best at 0",
    "truth": "best where the truth is, or what is usual for the actor",
    None: "for orientation",
}

PICTURE, LIPS, SYNC, EXPRESSION, MOTION, DOUBT, COST, OTHER, COUNTS = GROUPS = (
    "Picture",
    "Lips",
    "Lip sync",
    "Expression",
    "Identity and motion",
    "Uncertainty",
    "Cost",
    "Other figures",
    "What was measured",
)


@dataclass(frozen=True)
class Reading:
    """How one figure is shown.

    Attributes:
        title, unit: the unit may be empty.
        better: which way is better, None for neither.
        decimals: that are worth showing.
        group: one of GROUPS.
        meaning: one sentence.
        main: whether it stands in tables that have room for few figures.
    """

    title: str
    unit: str
    better: Better | None
    decimals: int
    group: str
    meaning: str
    main: bool = False

    @property
    def arrow(self) -> str:
        return ARROWS[self.better]

    @property
    def said(self) -> str:
        """The arrow in words."""
        return SAID[self.better]


# A key ends in * where the rest of a figure's name says its variant (extractor, width, frames), which is shown.
READINGS: dict[str, Reading] = {
    "psnr": Reading("PSNR", "dB", "up", 2, PICTURE, "Peak signal over the mean squared error of the pixels.", True),
    "ssim": Reading("SSIM", "", "up", 3, PICTURE, "Structural similarity in windows of 11 px; 1 is equal.", True),
    "ms_ssim": Reading("MS-SSIM", "", "up", 3, PICTURE, "Structural similarity over five scales; 1 is equal."),
    "st_lpips_alex": Reading(
        "ST-LPIPS",
        "AlexNet",
        "down",
        4,
        PICTURE,
        "Perceptual distance that forgives small shifts and punishes blur.",
        True,
    ),
    "st_lpips_*": Reading("ST-LPIPS", "", "down", 4, PICTURE, "Perceptual distance that forgives small shifts.", True),
    "lpips_*": Reading("LPIPS", "", "down", 4, PICTURE, "Perceptual distance of deep features.", True),
    "fid_*": Reading("FID", "", "down", 2, PICTURE, "Distance of the distributions of deep features of frames."),
    "fid": Reading("FID", "Inception", "down", 2, PICTURE, "Distance of the distributions of Inception's features."),
    "frechet_*": Reading(
        "Frechet", "", "down", 2, PICTURE, "Distance of the distributions of deep features of frames."
    ),
    "lmd_px": Reading(
        "LMD", "px", "down", 2, LIPS, "Mean distance of 20 lip points, each set centred; grows with size.", True
    ),
    "lmd_normalised": Reading(
        "LMD / eyes", "", "down", 4, LIPS, "The same over the distance of the outer eye corners."
    ),
    "lmd_*": Reading("LMD", "", "down", 3, LIPS, "Mean distance of the lip points, each set centred."),
    "mouth_opening_correlation": Reading(
        "Opening, correlation", "", "up", 2, LIPS, "Mouth opening against the truth's, the head's pose taken off.", True
    ),
    "mouth_opening_correlation_plain": Reading(
        "Opening, plain correlation", "", None, 2, LIPS, "With the pose left in: a nodding head alone scores here."
    ),
    "mouth_opening_gain": Reading(
        "Opening, gain", "", "one", 2, LIPS, "Amplitude over the truth's: 0.5 mumbles, 1.4 overacts.", True
    ),
    "closed_in_silence": Reading("Closed in silence", "", "up", 2, LIPS, "Share of silent frames with a closed mouth."),
    "silent_share": Reading("Silence", "", None, 2, COUNTS, "Share of frames in which nobody speaks."),
    "mouth_opening_low": Reading("Opening, lowest", "", "truth", 3, LIPS, "5th percentile, to be like the actor's."),
    "mouth_opening_high": Reading("Opening, highest", "", "truth", 3, LIPS, "95th percentile, to be like the actor's."),
    "mouth_opening_loudness_correlation": Reading(
        "Opening and loudness", "", "up", 2, LIPS, "Rank correlation of the mouth's opening with the sound's level."
    ),
    "novelty": Reading(
        "Novelty", "", None, 2, DOUBT, "How unlike the training speech it sounds; the actor's own is 1."
    ),
    "deviation": Reading(
        "Predicted deviation", "", None, 4, DOUBT, "Mean over the face; more where speech is foreign."
    ),
    "sync_local_confidence": Reading(
        "Confidence, local",
        "",
        "up",
        2,
        SYNC,
        "How clearly one offset of sound and lips beats the others (own net).",
        True,
    ),
    "sync_local_distance": Reading(
        "Distance, local", "", "down", 2, SYNC, "Distance of sound and lips at the best offset (own net)."
    ),
    "sync_local_offset_ms": Reading(
        "Offset, local", "ms", "zero", 0, SYNC, "Where sound and lips fit best; negative: the sound is late (own net)."
    ),
    "sync_c": Reading(
        "Sync-C", "", "up", 2, SYNC, "SyncNet: median minus minimum of the distances over offsets.", True
    ),
    "sync_d": Reading("Sync-D", "", "down", 2, SYNC, "SyncNet: the least mean distance over offsets."),
    "sync_offset_frames": Reading("SyncNet offset", "frames", "zero", 0, SYNC, "The offset of that least distance."),
    "sync_*": Reading("Sync", "", None, 3, SYNC, "Agreement of sound and lips."),
    "aue": Reading(
        "AUE", "", "down", 3, EXPRESSION, "Squared error of the blendshapes, summed: how wrong the face acts.", True
    ),
    "aue_upper": Reading("AUE, upper face", "", "down", 3, EXPRESSION, "Its part above the nose: brows and lids."),
    "aue_lower": Reading("AUE, lower face", "", "down", 3, EXPRESSION, "Its part below: mouth, jaw and cheeks."),
    "aue_openface_*": Reading("AUE, OpenFace", "", "down", 3, EXPRESSION, "The published AUE, from OpenFace's tables."),
    "efid_*": Reading("E-FID", "", "down", 3, EXPRESSION, "Distance of the distributions of expressions.", True),
    "blinks": Reading("Blinks", "", "truth", 0, EXPRESSION, "How often the eyes close."),
    "blinks_per_minute": Reading("Blinks a minute", "", "truth", 1, EXPRESSION, "How often the eyes close."),
    "blinks_per_minute_difference": Reading("Blinks a minute, off by", "", "zero", 1, EXPRESSION, "From the truth's."),
    "blink_seconds": Reading("Length of a blink", "s", "truth", 2, EXPRESSION, "How long the eyes are closed."),
    "blink_seconds_difference": Reading("Length of a blink, off by", "s", "zero", 2, EXPRESSION, "From the truth's."),
    "identity_*": Reading("Identity", "", "up", 3, MOTION, "Likeness of the person: cosine with the truth's vector."),
    "jitter": Reading("Jitter", "", "truth", 4, MOTION, "Trembling of the head's rigid part."),
    "jitter_error": Reading("Jitter, error", "", "down", 4, MOTION, "Trembling that the truth does not have."),
    "spearman_pixels": Reading(
        "Rank correlation, pixels", "", "up", 2, DOUBT, "Of doubt and error over the pixels of a frame."
    ),
    "spearman_frames": Reading("Rank correlation, frames", "", "up", 2, DOUBT, "Of their means over frames."),
    "ause": Reading(
        "AUSE", "", "down", 3, DOUBT, "What is lost by dropping the most doubted pixels instead of the worst ones."
    ),
    "ence": Reading("ENCE", "", "down", 3, DOUBT, "How far predicted sizes of the error are from the observed ones."),
    "training_seconds": Reading("Training", "s", "down", 0, COST, "Wall time of mouth, face and both together."),
    "frames_per_second": Reading("Rendering", "frames / s", "up", 1, COST, "Without writing, on the run's device."),
    "landmark_frames": Reading(
        "Frames with landmarks", "", None, 0, COUNTS, "Frames that all figures from landmarks were computed on."
    ),
    "frames_without_face": Reading("Frames without a face", "", "zero", 0, COUNTS, "No face was found in them."),
    "perceptual_frames": Reading("Frames, perceptual", "", None, 0, COUNTS, "Frames of the perceptual distance."),
    "identity_frames": Reading("Frames, identity", "", None, 0, COUNTS, "Frames of the likeness of the person."),
    "frechet_frames": Reading("Frames, Frechet", "", None, 0, COUNTS, "Frames of the Frechet distance of features."),
}

# What says which row it is and is no figure.
NO_FIGURES = frozenset({"name", "region", "driven_by", "codec"})


def reading_of(key: str) -> Reading:
    """How a figure is shown: its own line, that of the longest name with * that it begins with, or its bare name."""
    if key in READINGS:
        return READINGS[key]
    name = _open_ended(key)
    if not name:
        group = COUNTS if key.endswith("_frames") or key.startswith("frames_") else OTHER
        return Reading(key.replace("_", " "), "", None, 0 if group == COUNTS else 4, group, "See docs/metrics.md.")
    found = READINGS[name]
    variant = key[len(name) - 1 :].replace("_", " ")
    return Reading(found.title, variant, found.better, found.decimals, found.group, found.meaning, found.main)


def _open_ended(key: str) -> str:
    """The longest name with * that a key begins with; nothing where there is none."""
    return max((name for name in READINGS if name.endswith("*") and key.startswith(name[:-1])), key=len, default="")


def in_order(keys: Iterable[str]) -> list[str]:
    """Figures in the order of READINGS, group by group; those that have no line there last, as they come."""
    lines = list(READINGS)

    def place(key: str) -> tuple[int, int]:
        line = key if key in READINGS else _open_ended(key)
        return GROUPS.index(reading_of(key).group), lines.index(line) if line else len(lines)

    return sorted(dict.fromkeys(keys), key=place)


def ends_of(key: str) -> tuple[str, str]:
    """Names under which the ends of a figure's interval stand beside it."""
    return f"{key}_low", f"{key}_high"


def is_end(key: str, keys: Container[str]) -> bool:
    """Whether a key is an end of another figure's interval."""
    return any(key.endswith(end) and key[: -len(end)] in keys for end in ("_low", "_high"))


def shown(value: Any, decimals: int) -> str:
    """A figure as text, a dash where there is none; what is no number as it is."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        text = f"{value:.{decimals}f}"
        if value and float(text) == 0:  # a small figure is not none
            text = f"{value:.1g}" if abs(value) < 1e-4 else f"{float(f'{value:.1g}'):f}".rstrip("0")
        return text.replace("-", "−")
    return ", ".join(shown(part, decimals) for part in value)


def merit(value: Any, better: Better | None, truth: Any = None) -> float | None:
    """A number that is larger for a better value; None where values cannot be ranked."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if better == "truth":
        return -abs(value - truth) if isinstance(truth, int | float) and math.isfinite(truth) else None
    if better is None:
        return None
    return {"up": value, "down": -value, "one": -abs(value - 1), "zero": -abs(value)}[better]
