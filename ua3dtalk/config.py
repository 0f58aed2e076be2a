"""Settings: frozen models, one per stage, checked before anything runs.

A setting's value comes from the first of these that names it: the user's config, the budget's preset, the
method's preset, the default in code. Presets are data (`ua3dtalk/presets`). A wrong config is one line that
names the key, what was found and what would be right.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ua3dtalk.errors import ConfigError

PRESETS = Path(__file__).parent / "presets"
ACTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
BUILTIN = "builtin"
BUILTIN_EMOTIONS = ("neutral", "happy", "angry")  # of the built-in actor's clips, in their order


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
    max_pixels: int = Field(8192 * 8192, gt=0, description="largest source frame that is accepted, px")
    margin: float = Field(1.0, gt=0, le=4, description="scales the crop around head and shoulders")
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


class CrossSettings(Settings):
    """Cross-driving: foreign voices that every actor says, each into `results/{actor}/cross/{voice}/`."""

    voices: dict[str, str] = Field({}, description="name: file; any file with sound that ffmpeg reads, a video too")
    device: str = "auto"
    rasteriser: Literal["auto", "reference", "native", "gsplat"] = "auto"

    @field_validator("voices")
    @classmethod
    def _usable(cls, voices: dict[str, str]) -> dict[str, str]:
        for name, path in voices.items():
            if not ACTOR_NAME.fullmatch(name):
                raise ValueError(f"name {name!r} with 1 to 64 letters, digits, _ and -, a letter or digit first")
            if not path or set(path) & set("{}\n"):
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
FROM_BACKENDS = {
    ("face", "landmarks"): "landmarks",
    ("face", "action_units"): "action_units",
    ("speech", "encoder"): "speech",
    ("priors", "source"): "priors",
    ("training", "device"): "device",
    ("training", "rasteriser"): "rasteriser",
    ("rendering", "device"): "device",
    ("rendering", "rasteriser"): "rasteriser",
    ("cross", "device"): "device",
    ("cross", "rasteriser"): "rasteriser",
}

# The section of the config that a stage reads.
SECTION_OF_STAGE = {
    "builtin_actor": "demo",
    "rehearse": "demo",
    "locate": "media",
    "decode": "media",
    "landmarks": "face",
    "train_sync": "sync",
    "audio_offset": "sync",
    "sound": "media",
    "regions": "face",
    "tracking": "face",
    "expression": "face",
    "layers": "face",
    "speech": "speech",
    "priors": "priors",
    "emotion": "emotion",
    "train_audio": "training",
    "train_mouth": "training",
    "train_face": "training",
    "train_fuse": "training",
    "render_test": "rendering",
    "metrics": "metrics",
    "cross_drive": "cross",
    "cross_metrics": "cross",
    "release": "release",
    "ablation": "ablation",
    "report": "report",
    "compare": "compare",
}


@cache
def section_models() -> dict[str, type[BaseModel]]:
    """The settings class of each section."""
    # Here and not at the top: these import this module for the base class of their settings.
    emotion = importlib.import_module("ua3dtalk.speech.emotion.settings").EmotionSettings
    priors = importlib.import_module("ua3dtalk.speech.priors.settings").PriorsSettings
    training = importlib.import_module("ua3dtalk.training.settings").TrainingSettings
    return {
        "backends": BackendSettings,
        "demo": DemoSettings,
        "media": MediaSettings,
        "sync": SyncSettings,
        "face": FaceSettings,
        "speech": SpeechSettings,
        "priors": priors,
        "emotion": emotion,
        "training": training,
        "rendering": RenderingSettings,
        "metrics": MetricsSettings,
        "cross": CrossSettings,
        "release": ReleaseSettings,
        "ablation": AblationSettings,
        "report": ReportSettings,
        "compare": CompareSettings,
    }


class ClipEntry(Settings):
    """One source clip of an actor as the config names it."""

    path: str = Field(min_length=1, pattern=r"^[^{}\n]+$")  # Snakemake takes braces for wildcards, always
    emotion: str | None = Field(None, min_length=1)
    audio_offset: float | None = Field(None, ge=-10, le=10)  # s by which the sound is moved; negative: it was late


@dataclass(frozen=True)
class Actor:
    """An actor: the clips in order; none for the built-in one, which makes its own."""

    name: str
    clips: tuple[ClipEntry, ...]

    @property
    def builtin(self) -> bool:
        return not self.clips

    @property
    def emotions(self) -> tuple[str | None, ...]:
        """The label of each clip, None where the config gives none."""
        return BUILTIN_EMOTIONS if self.builtin else tuple(clip.emotion for clip in self.clips)

    @property
    def audio_offsets(self) -> tuple[float | None, ...]:
        """Seconds by which each clip's sound is moved, None where the config says nothing."""
        return (None,) * len(BUILTIN_EMOTIONS) if self.builtin else tuple(clip.audio_offset for clip in self.clips)


@dataclass(frozen=True)
class Config:
    """The whole config, merged with its presets and checked."""

    actors: Mapping[str, Actor]
    method: str
    budget: str
    seed: int
    sections: Mapping[str, BaseModel]

    def stage(self, name: str, actor: str | None = None) -> Any:
        """Settings object of one stage; `{actor}` in a text setting becomes the actor's name."""
        section = SECTION_OF_STAGE[name]
        settings = self.sections[section]
        changes = {
            field: getattr(self.sections["backends"], backend)
            for (place, field), backend in FROM_BACKENDS.items()
            if place == section and field in type(settings).model_fields
        }
        if actor is not None:
            values = {key: getattr(settings, key) for key in type(settings).model_fields}
            texts = {key: value for key, value in values.items() if isinstance(value, str) and "{actor}" in value}
            changes |= {key: value.replace("{actor}", actor) for key, value in texts.items()}
        return settings.model_copy(update=changes)

    def pooled(self, stage: str, actor: str) -> tuple[str, ...]:
        """The other actors whose training frames a stage may learn from, in the order of its setting `pool`."""
        names = getattr(self.sections[SECTION_OF_STAGE[stage]], "pool", ())
        return tuple(name for name in dict.fromkeys(names) if name != actor)

    @property
    def sync_actors(self) -> tuple[str, ...]:
        """The actors that the local sync net learns from: built-in ones and those of `sync.train_on`."""
        builtin = (name for name, actor in self.actors.items() if actor.builtin)
        return tuple(dict.fromkeys([*builtin, *self.sections["sync"].train_on]))  # type: ignore[attr-defined]


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a parsed config.yaml and merge it with its presets.

    Args:
        raw: what YAML gave, not changed.
    Raises:
        ConfigError: one line with the dotted key, what was found and what would be right.
    """
    try:
        return _load(raw)
    except ConfigError as error:  # a key may hold anything, a line break too
        line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(error))
        raise ConfigError(line) from None


def _load(raw: Mapping[str, Any]) -> Config:
    models = section_models()
    _known(raw, {"actors", "method", "budget", "seed", *models}, "")
    method, budget = (_preset_name(raw, kind) for kind in ("method", "budget"))
    # The defaults first: a group inside a group (`training.mouth`) may have other defaults than its class.
    merged: dict[str, Any] = {name: model().model_dump() for name, model in models.items()}
    for preset in (_preset("method", method), _preset("budget", budget)):
        _known(preset, models, "")
        merged = _merge(merged, preset)
    user = {name: _section(raw.get(name), name) for name in models}
    for (section, field), backend in FROM_BACKENDS.items():
        if field in user[section]:
            raise ConfigError(f"{section}.{field}: is set by backends.{backend}; move it there")
    merged = _merge(merged, user)
    sections = {name: _build(model, merged[name], name) for name, model in models.items()}
    seed = raw.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ConfigError(f"seed: found {_show(seed)}; give a whole number from 0 to 2147483647")
    actors = _actors(raw.get("actors"))
    _check_pools(sections, actors)
    _check_names(sections["compare"].actors, actors, "compare.actors")  # type: ignore[attr-defined]
    config = Config(actors, method, budget, seed, sections)
    if sections["media"].fix_audio_offset and not config.sync_actors:
        raise ConfigError(
            "media.fix_audio_offset: nothing to learn lip sync from; add `May: {clips: builtin}` to actors, "
            "or name actors in sync.train_on"
        )
    return config


def preset_names(kind: Literal["method", "budget"]) -> list[str]:
    """Names of the presets that lie in `ua3dtalk/presets`."""
    return sorted(path.stem for path in (PRESETS / f"{kind}s").glob("*.yaml"))


def _preset_name(raw: Mapping[str, Any], kind: Literal["method", "budget"]) -> str:
    name = raw.get(kind, {"method": "ua3dtalk", "budget": "demo"}[kind])
    if name not in preset_names(kind):
        raise ConfigError(f"{kind}: found {_show(name)}; {_choice(str(name), preset_names(kind))}")
    return str(name)


def _preset(kind: str, name: str) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((PRESETS / f"{kind}s" / f"{name}.yaml").read_text()) or {}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mapping by mapping; lists and values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            value = _merge(merged[key], value)
        merged[key] = value
    return merged


def _section(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:  # `media:` with everything commented out
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: found {_show(value)}; give keys and values, or leave the section out")
    return value


def _actors(raw: Any) -> dict[str, Actor]:
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigError(f"actors: found {_show(raw)}; give at least one, as in `actors: {{May: {{clips: builtin}}}}`")
    actors = {str(name): _actor(name, value) for name, value in raw.items()}
    seen: dict[str, str] = {}
    for name in actors:
        # results/May and results/may are one folder on file systems that ignore case
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise ConfigError(f"actors.{name}: differs from actors.{other} in case only; rename one")
    return actors


def _check_pools(sections: Mapping[str, BaseModel], actors: Mapping[str, Actor]) -> None:
    """A stage can learn only from actors that the config has."""
    for section, settings in sections.items():
        for key in ("pool", "train_on"):
            _check_names(getattr(settings, key, ()), actors, f"{section}.{key}")


def _check_names(names: Sequence[str], actors: Mapping[str, Actor], place: str) -> None:
    for index, name in enumerate(names):
        if name not in actors:
            raise ConfigError(f"{place}[{index}]: found {_show(name)}; {_choice(name, list(actors))}")


def _actor(name: Any, value: Any) -> Actor:
    if not isinstance(name, str) or not ACTOR_NAME.fullmatch(name):
        raise ConfigError(
            f"actors.{name}: found {_show(name)} as a name; "
            "use 1 to 64 letters, digits, _ and -, a letter or digit first"
        )
    place = f"actors.{name}"
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: found {_show(value)}; give `clips: builtin` or `clips: [video.mp4]`")
    _known(value, {"clips"}, f"{place}.")
    clips = value.get("clips")
    if clips == BUILTIN:
        return Actor(name, ())
    if not isinstance(clips, list) or not clips:
        raise ConfigError(f"{place}.clips: found {_show(clips)}; give `builtin` or a list of video files")
    entries = tuple(_clip(clip, f"{place}.clips[{index}]") for index, clip in enumerate(clips))
    return Actor(name, entries)


def _clip(value: Any, place: str) -> ClipEntry:
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: found {_show(value)}; give a path, or `{{path: a.mp4, emotion: happy}}`")
    entry: ClipEntry = _build(ClipEntry, value, place)
    return entry


def _known(raw: Mapping[Any, Any], allowed: Any, place: str) -> None:
    for key in raw:
        if key not in allowed:
            raise ConfigError(f"{place}{key}: unknown key; {_choice(str(key), list(allowed))}")


def _build(model: type[BaseModel], values: Mapping[str, Any], place: str) -> Any:
    """The model from values; the first thing wrong becomes one line."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(_explain(model, error, place)) from None


def _explain(model: type[BaseModel], error: ValidationError, place: str) -> str:
    first = error.errors(include_url=False)[0]
    unknown = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()  # a key of the user's may hold anything
    path = first["loc"][: len(first["loc"]) - len(unknown)]
    location = [*(part for part in path if not (isinstance(part, str) and "[" in part)), *unknown]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    if first["type"] == "extra_forbidden":
        group = _model_at(model, location[:-1])
        return f"{place}{key}: unknown key; {_choice(str(location[-1]), list(group.model_fields))}"
    if first["type"] == "missing":
        return f"{place}{key}: is missing; give it"
    found = _show(first["input"])
    if first["type"] == "string_pattern_mismatch" and model is ClipEntry:
        return f"{place}{key}: found {found}; rename the file without {{, }} and line breaks"
    if "expected" in first.get("ctx", {}):
        return f"{place}{key}: found {found}; allowed: {first['ctx']['expected']}"
    message = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    return f"{place}{key}: found {found}; {message[:1].lower()}{message[1:]}"


def _model_at(model: type[BaseModel], location: list[Any]) -> type[BaseModel]:
    """The settings class that a path of keys inside `model` leads to."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _inner_model(model.model_fields[part].annotation) or model
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple, list):
        return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)
    return None


def _choice(found: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(found, allowed, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"allowed: {', '.join(sorted(allowed))}"


def _show(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
