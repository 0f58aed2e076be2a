"""Settings: frozen models, one per stage, checked before anything runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MediaSettings(Settings):
    """Decoding: `size` is the side of the square frames in px (the budget's, unless given)."""

    size: int = 256
    max_seconds: float = 3600
    max_pixels: int = 8192 * 8192
    margin: float = 1.0  # scales the crop around head and shoulders


class FaceSettings(Settings):
    landmarks: Literal["mediapipe", "face-alignment"] = "mediapipe"
    action_units: Literal["blendshapes", "openface"] = "blendshapes"
    openface_csv: str | None = None


class SpeechSettings(Settings):
    encoder: Literal["whisper", "file"] = "whisper"
    features_file: str | None = None


class RenderingSettings(Settings):
    """What of a held-out frame the render may see besides its audio."""

    driven_by: tuple[Literal["pose", "action_units", "torso"], ...] = ("pose", "action_units", "torso")


class MetricsSettings(Settings):
    perceptual: Literal["st_lpips_alex", "lpips_squeeze_proxy"] = "st_lpips_alex"
