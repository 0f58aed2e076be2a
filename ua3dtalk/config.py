"""The config: every stage's settings, checked before anything runs.

A setting's value comes from the first of these that names it: the user's config, the budget's preset, the
method's preset, the default in code. Presets are data (`ua3dtalk/presets`). A wrong config is one line that
names the key, what was found and what would be right.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from ua3dtalk.actors import Actor, noted, read_actors
from ua3dtalk.config_errors import build, choice, printable, refuse_unknown, shown
from ua3dtalk.errors import ConfigError
from ua3dtalk.settings import (
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
    SpeechSettings,
    SyncSettings,
)

PRESETS = Path(__file__).parent / "presets"
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


@dataclass(frozen=True)
class Config:
    """The whole config, merged with its presets and checked."""

    actors: Mapping[str, Actor]
    method: str
    budget: str
    seed: int
    sections: Mapping[str, BaseModel]
    own: Mapping[str, Config] = field(default_factory=dict)  # of the actors that have settings of their own
    _stages: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, actor: str) -> Config:
        """The config as it is for one actor."""
        return self.own.get(actor, self)

    def stage(self, name: str, actor: str | None = None) -> Any:
        """Settings object of one stage; `{actor}` in a text setting becomes the actor's name."""
        if actor is not None and actor in self.own:
            return self.own[actor].stage(name, actor)
        if name not in self._stages:  # asked for each of a thousand actors
            self._stages[name] = self._settings_of_stage(name)
        settings, texts = self._stages[name]
        if actor is None or not texts:
            return settings
        return settings.model_copy(update={key: value.replace("{actor}", actor) for key, value in texts.items()})

    def _settings_of_stage(self, name: str) -> tuple[BaseModel, dict[str, str]]:
        """Settings with the backends' part in them, and those that name the actor."""
        section = SECTION_OF_STAGE[name]
        settings = self.sections[section]
        backends = {
            field: getattr(self.sections["backends"], backend)
            for (place, field), backend in FROM_BACKENDS.items()
            if place == section and field in type(settings).model_fields
        }
        settings = settings.model_copy(update=backends)
        values = {key: getattr(settings, key) for key in type(settings).model_fields}
        return settings, {key: value for key, value in values.items() if isinstance(value, str) and "{actor}" in value}

    def pooled(self, stage: str, actor: str) -> tuple[str, ...]:
        """The other actors whose training frames a stage may learn from, in the order of its setting `pool`."""
        names = getattr(self.of(actor).sections[SECTION_OF_STAGE[stage]], "pool", ())
        return tuple(name for name in dict.fromkeys(names) if name != actor)

    @cached_property
    def sync_actors(self) -> tuple[str, ...]:
        """The actors that the local sync net learns from: built-in ones and those of `sync.train_on`."""
        builtin = (name for name, actor in self.actors.items() if actor.builtin)
        return tuple(dict.fromkeys([*builtin, *self.sections["sync"].train_on]))  # type: ignore[attr-defined]


def load_config(raw: Mapping[str, Any], mistakes: Sequence[str] = ()) -> Config:
    """Check a parsed config.yaml and merge it with its presets.

    Args:
        raw: what YAML gave, not changed.
        mistakes: what is known to be wrong with the actors, from reading their sheet.
    Raises:
        ConfigError: the dotted key, what was found and what would be right, in one line; several mistakes in the
            actors are one line each.
    """
    found = list(mistakes)
    try:
        config = _load(raw, found)
    except ConfigError as error:
        raise ConfigError(printable(str(error))) from None
    if found:
        raise ConfigError(found[0] if len(found) == 1 else "\n  ".join([f"{len(found)} mistakes:", *found]))
    return config


def _load(raw: Mapping[str, Any], mistakes: list[str]) -> Config:
    models = section_models()
    refuse_unknown(raw, {"actors", "method", "budget", "seed", *models}, "")
    method = _preset_name(raw, "method")
    user = {name: _mapping(raw.get(name), name) for name in models}
    budget = _preset_name(raw, "budget")
    sections = _sections(method, budget, user, {}, "")
    seed = raw.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ConfigError(f"seed: found {shown(seed)}; give a whole number from 0 to 2147483647")
    actors = read_actors(raw.get("actors"), mistakes)
    names = list(raw["actors"])
    own: dict[str, Config] = {}
    config = Config(actors, method, budget, seed, sections, own)
    with noted(mistakes):
        _check(config, names, "")
    for name in (name for name, actor in actors.items() if actor.own):
        with noted(mistakes):
            place, given = f"actors.{name}.", actors[name].own
            changes = {key: _mapping(given[key], f"{place}{key}") for key in models if key in given}
            its_budget = _preset_name({"budget": budget, **given}, "budget", place)
            its_sections = _sections(method, its_budget, user, changes, place)
            own[name] = Config(actors, method, its_budget, seed, its_sections)
            _check(own[name], names, place)
            if "keep_frames" in changes.get("media", {}):  # a rule's output is temporary for all actors or for none
                raise ConfigError(f"{place}media.keep_frames: is the same for all actors; set it in the config's media")
    return config


def _sections(
    method: str, budget: str, user: Mapping[str, Any], changes: Mapping[str, Any], place: str
) -> dict[str, BaseModel]:
    """All sections: the presets, the user's settings above them, an actor's own above those."""
    merged = _with_presets(method, budget)
    for layer, prefix in ((user, ""), (changes, place)):
        for (section, name), backend in FROM_BACKENDS.items():
            if name in layer.get(section, {}):
                raise ConfigError(f"{prefix}{section}.{name}: is set by backends.{backend}; move it there")
        merged = _merge(merged, layer)
    places = {name: f"{place if name in changes else ''}{name}" for name in merged}
    return {name: build(model, merged[name], places[name]) for name, model in section_models().items()}


@cache
def _with_presets(method: str, budget: str) -> dict[str, Any]:
    """The defaults in code below the presets, not to be changed."""
    # The defaults first: a group inside a group (`training.mouth`) may have other defaults than its class.
    merged: dict[str, Any] = {name: model().model_dump() for name, model in section_models().items()}
    for preset in (_preset("method", method), _preset("budget", budget)):
        refuse_unknown(preset, section_models(), "")
        merged = _merge(merged, preset)
    return merged


def preset_names(kind: Literal["method", "budget"]) -> list[str]:
    """Names of the presets that lie in `ua3dtalk/presets`."""
    return sorted(path.stem for path in (PRESETS / f"{kind}s").glob("*.yaml"))


def _preset_name(raw: Mapping[str, Any], kind: Literal["method", "budget"], place: str = "") -> str:
    name = raw.get(kind, {"method": "ua3dtalk", "budget": "demo"}[kind])
    if name not in preset_names(kind):
        raise ConfigError(f"{place}{kind}: found {shown(name)}; {choice(str(name), preset_names(kind))}")
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


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:  # `media:` with everything commented out
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: found {shown(value)}; give keys and values, or leave the section out")
    return value


def _check(config: Config, actors: Sequence[str], place: str) -> None:
    """Names of actors in the settings are actors; what learns lip sync has somebody to learn from."""
    for section, settings in config.sections.items():
        for key in ("pool", "train_on"):
            _check_names(getattr(settings, key, ()), actors, f"{place}{section}.{key}")
    _check_names(config.sections["compare"].actors, actors, "compare.actors")  # type: ignore[attr-defined]
    if config.sections["media"].fix_audio_offset and not config.sync_actors:  # type: ignore[attr-defined]
        raise ConfigError(
            f"{place}media.fix_audio_offset: nothing to learn lip sync from; add `May: {{clips: builtin}}` to actors, "
            "or name actors in sync.train_on"
        )


def _check_names(names: Sequence[str], actors: Sequence[str], place: str) -> None:
    for index, name in enumerate(names):
        if name not in actors:
            raise ConfigError(f"{place}[{index}]: found {shown(name)}; {choice(name, actors)}")
