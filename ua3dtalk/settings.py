"""What can be set: one frozen model for each group of stages. `ua3dtalk.config` fills and checks them."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ua3dtalk.errors import InputError

ACTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BackendSettings(Settings):
    """Which of several implementations does a job; `device` and `rasteriser` never make a result stale."""

    landmarks: Literal["mediapipe", "face-alignment"] = Field("mediapipe", description="finds the 478 (68) points")
    action_units: Literal["blendshapes", "openface"] = Field(
        "blendshapes", description="where action units come from; openface reads `face.openface_csv`"
    )
    speech: Literal["whisper", "file"] = Field(
        "whisper", description="speech features; file reads `speech.features_file` (HuBERT, wav2vec2, DeepSpeech)"
    )
    priors: Literal["open", "reference"] = Field(
        "open", description="expression from speech; reference reads the files that `priors` names (Wav2Lip and others)"
    )
    rasteriser: Literal["auto", "reference", "native", "gsplat"] = Field(
        "auto", description="auto takes gsplat on a CUDA device and native elsewhere"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")


class DemoSettings(Settings):
    """The built-in actor; seconds and size of the clips that are made for it."""

    seconds: float = Field(24.0, ge=4, le=120, description="length of the built-in actor's three clips together, s")
    size: int = Field(512, ge=64, le=1024, description="side of the built-in actor's clips, px")


class MediaSettings(Settings):
    """Decoding: `size` is the side of the square frames in px (the budget's, unless given)."""

    size: int = Field(256, ge=64, le=2048, multiple_of=2, description="side of the square frames, px")
    max_seconds: float = Field(3600, gt=0, description="longest clip that is accepted, s")
    max_pixels: int = Field(8192 * 4320, gt=0, description="largest source frame that is accepted, px")
    max_bytes: int = Field(20 * 10**9, gt=0, description="largest file of a clip that is accepted")
    margin: float = Field(1.0, gt=0, le=4, description="scales the crop around head and shoulders")
    keep_frames: bool = Field(
        True, description="false: the frames' pixels are deleted once the run is through with them; all actors alike"
    )
    fix_audio_offset: bool = Field(
        False,
        description="move the sound of clips that are off by more than a frame; `clips[].audio_offset` goes before",
    )


class SyncSettings(Settings):
    """The local lip sync net, which measures how well lips fit speech and by how much a clip's sound is off."""

    train_on: tuple[str, ...] = Field(
        (), description="actors whose training frames the sync net learns from, besides the built-in one"
    )
    iterations: int = Field(400, ge=1, description="of the sync net's training")


class FaceSettings(Settings):
    """Landmarks, regions, tracking, expression and layers."""

    landmarks: Literal["mediapipe", "face-alignment"] = "mediapipe"
    action_units: Literal["blendshapes", "openface"] = "blendshapes"
    openface_csv: str | None = Field(None, description="OpenFace's table for `{actor}`, read when asked for")


class SpeechSettings(Settings):
    """Speech features."""

    encoder: Literal["whisper", "file"] = "whisper"
    features_file: str | None = Field(
        None, description="[S, D] at 50 Hz or [N, W, D] at 25 fps; `{actor}`, for several clips `{clip}`, are filled in"
    )


class RenderingSettings(Settings):
    """What of a held-out frame the render may see besides its audio."""

    driven_by: tuple[Literal["pose", "action_units", "torso"], ...] = Field(
        ("pose", "action_units", "torso"), description="inputs of a held-out frame that its render may see"
    )
    device: str = "auto"
    rasteriser: Literal["auto", "reference", "native", "gsplat"] = "auto"


class MetricsSettings(Settings):
    """Figures of the report."""

    perceptual: Literal["st_lpips_alex", "lpips_squeeze_proxy", "lpips_alex", "lpips_vgg"] = Field(
        "st_lpips_alex", description="perceptual distance; says its backbone in the figure's name"
    )
    more_perceptual: tuple[Literal["st_lpips_alex", "lpips_squeeze_proxy", "lpips_alex", "lpips_vgg"], ...] = Field(
        (), description="computed beside it; all but st_lpips_alex need the package lpips, official ones weights too"
    )
    perceptual_frames_face: int = Field(75, ge=1, description="at most so many face crops, evenly taken")
    perceptual_frames_whole: int = Field(25, ge=1, description="at most so many whole frames, evenly taken")
    inception: bool = Field(False, description="FID as published; needs the weights of pytorch-fid")
    frechet_frames_face: int = Field(250, ge=2, description="at most so many face crops for Frechet distances")
    frechet_frames_whole: int = Field(50, ge=2, description="at most so many whole frames for Frechet distances")
    identity_frames: int = Field(25, ge=1, description="at most so many frames for the similarity of identity")
    fan68: bool = Field(False, description="LMD as published; needs the package face-alignment and FAN's weights")
    fan68_frames: int = Field(50, ge=1, description="at most so many frames for it: a second each on a CPU")
    deep3d: str | None = Field(None, description="Deep3DFaceRecon's `epoch_20.pth`, for E-FID as published")
    deep3d_frames: int = Field(250, ge=2, description="at most so many frames for it")
    resamples: int = Field(200, ge=20, description="of the bootstrap behind E-FID's interval")
    openface_csv: str | None = Field(
        None, description="OpenFace's table of the held-out frames, for AUE as published; `{row}` is truth, ours, ..."
    )
    syncnet: bool = Field(False, description="also Sync-C and Sync-D as published, with SyncNet's official weights")


class AblationSettings(Settings):
    """Which methods are compared on one actor, and with which seeds."""

    methods: tuple[
        Literal["baseline", "+prior", "+emotion", "+prior+uncertainty", "ua3dtalk", "ua3dtalk-released"], ...
    ] = Field(
        ("baseline", "+prior", "+emotion", "+prior+uncertainty", "ua3dtalk", "ua3dtalk-released"),
        min_length=1,
        description="rows of the table; gains are against the first",
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="each method is trained with each of them")


POSES = ("wander", "replay", "still")


class Voice(Settings):
    """A foreign voice, and how it is said."""

    path: str = Field(description="any file with sound that ffmpeg reads, a video too")
    emotion: str | None = Field(None, description="as `ua3dtalk say --emotion`; nothing for what is heard")
    style: str | None = Field(None, description="as `ua3dtalk say --style`; nothing for the actor's own manner")
    pose: str = Field("wander", description="head motion: wander, replay, still, or as `ua3dtalk say --pose`")
    camera: str = Field("still", description="as `ua3dtalk say --camera`")

    @property
    def guests(self) -> dict[str, str]:
        """Clips or actors' folders of other persons, by the setting that names them."""
        from ua3dtalk.rendering.wishes import parse_example, parse_style

        found = {} if self.style is None else {"style": parse_style(self.style)[0]}
        if self.emotion and (example := parse_example(self.emotion)):
            found["emotion"] = example[0]
        return found if self.pose in POSES else found | {"pose": self.pose}

    @field_validator("emotion", "camera", "style")
    @classmethod
    def _meant(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None or text == "still":
            return text
        # Only for those who ask: what draws heads takes seconds to load.
        from ua3dtalk.rendering.orbit import parse_camera
        from ua3dtalk.rendering.wishes import parse_example, parse_style, parse_wish

        try:
            if info.field_name == "emotion":
                _ = parse_example(text) or parse_wish(text)
            else:
                parse_camera(text) if info.field_name == "camera" else parse_style(text)
        except InputError as error:
            raise ValueError(f"what can be meant: {error}") from error
        return text


class CrossSettings(Settings):
    """Cross-driving: foreign voices that every actor says, each into `results/{actor}/cross/{voice}/`."""

    voices: dict[str, Voice] = Field({}, description="name: file, or name: {path, emotion, style, pose, camera}")
    device: str = "auto"
    rasteriser: Literal["auto", "reference", "native", "gsplat"] = "auto"

    @field_validator("voices", mode="before")
    @classmethod
    def _named(cls, voices: Any) -> Any:
        if not isinstance(voices, dict):
            return voices
        return {name: {"path": voice} if isinstance(voice, str) else voice for name, voice in voices.items()}

    @field_validator("voices")
    @classmethod
    def _usable(cls, voices: dict[str, Voice]) -> dict[str, Voice]:
        for name, voice in voices.items():
            if not ACTOR_NAME.fullmatch(name):
                raise ValueError(f"name {name!r} with 1 to 64 letters, digits, _ and -, a letter or digit first")
            if not voice.path or set(voice.path) & set("{}\n"):
                raise ValueError(f"the file of {name} needs a path without {{, }} and line breaks")
        if len({name.lower() for name in voices}) < len(voices):
            raise ValueError("two names differ in case only; rename one")
        return voices


class ReportSettings(Settings):
    """The page of one actor, and what pages of comparisons share with it."""

    video_side: int = Field(320, ge=64, le=1024, multiple_of=16, description="largest side of a panel of its films, px")
    video_seconds: float = Field(60, gt=0, description="at most so much of the held-out frames is shown, s")
    video_crf: float = Field(26, ge=0, le=51, description="quality of its films: 0 is lossless and large")
    picture_width: int = Field(1200, ge=200, description="largest width of the stages' pictures, px")


class CompareSettings(Settings):
    """What `results/compare.html` compares; each run is one of the ablation's."""

    actors: tuple[str, ...] = Field((), description="names from `actors`; all of them when the list is empty")
    methods: tuple[
        Literal["baseline", "+prior", "+emotion", "+prior+uncertainty", "ua3dtalk", "ua3dtalk-released"], ...
    ] = Field(("baseline", "ua3dtalk"), min_length=1, description="differences are against the first")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="each method is trained with each of them")
    block_frames: int = Field(
        25, ge=1, description="frames that are resampled together: longer than what neighbouring frames share"
    )
    resamples: int = Field(4000, ge=100, description="of the bootstrap")


class ReleaseSettings(Settings):
    """The data folder of the released UA-3DTalk."""

    jpeg_quality: int = Field(95, ge=1, le=100, description="of its pictures")


# A setting that `backends` gives and the stage's own section therefore does not.
