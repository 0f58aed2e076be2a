"""The config: every stage's settings, checked before anything runs.

A setting's value comes from the first of these that names it: the user's config, the budget's preset, the
method's preset, the default in code. Presets are data (`ua3dtalk/presets`). A wrong config is one line that
names the key, what was found and what would be right.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from ua3dtalk.errors import ConfigError
from ua3dtalk.settings import (
    ACTOR_NAME,
    AblationSettings,
    BackendSettings,
    CompareSettings,
    CrossSettings,
    DemoSettings,
    FaceSettings,
    MediaSettings,
    MetricsSettings,
    ReleaseSettings,
    RenderingSettings,
    ReportSettings,
    Settings,
    SpeechSettings,
    SyncSettings,
)

PRESETS = Path(__file__).parent / "presets"
BUILTIN = "builtin"
BUILTIN_EMOTIONS = ("neutral", "happy", "angry")  # of the built-in actor's clips, in their order


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
    if get_origin(annotation) in (Union, UnionType, tuple, list, dict):
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
