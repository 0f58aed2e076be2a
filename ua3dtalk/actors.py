"""Who the config's actors are: their clips, and settings of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from ua3dtalk.config_errors import build, printable, refuse_unknown, shown
from ua3dtalk.errors import ConfigError
from ua3dtalk.settings import ACTOR_NAME, Settings

BUILTIN = "builtin"
BUILTIN_EMOTIONS = ("neutral", "happy", "angry")  # of the built-in actor's clips, in their order

# What an actor may have other than the config; the other sections are about several actors, or about the method.
OWN = (
    *("budget", "backends", "demo", "media", "face", "speech", "priors", "emotion"),
    *("training", "rendering", "metrics", "report", "release"),
)


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
    own: Mapping[str, Any] = field(default_factory=dict)  # settings above the config's, for this actor alone

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


@contextmanager
def noted(mistakes: list[str]) -> Iterator[None]:
    """Note what is wrong and go on, so that all mistakes are told at once."""
    try:
        yield
    except ConfigError as error:
        mistakes.append(printable(str(error)))


def read_actors(raw: Any, mistakes: list[str]) -> dict[str, Actor]:
    """The actors that are right; what is wrong with the others is added to `mistakes`.

    Args:
        raw: the config's `actors`, as YAML or a sheet gave them.
        mistakes: one line each.
    Raises:
        ConfigError: there are no actors at all.
    """
    if not isinstance(raw, Mapping) or not (raw or mistakes):
        raise ConfigError(f"actors: found {shown(raw)}; give at least one, as in `actors: {{May: {{clips: builtin}}}}`")
    actors: dict[str, Actor] = {}
    seen: dict[str, str] = {}
    for name, value in raw.items():
        with noted(mistakes):
            actor = _actor(name, value)
            # results/May and results/may are one folder on file systems that ignore case
            if (other := seen.setdefault(actor.name.lower(), actor.name)) != actor.name:
                raise ConfigError(f"actors.{actor.name}: differs from actors.{other} in case only; rename one")
            actors[actor.name] = actor
    return actors


def _actor(name: Any, value: Any) -> Actor:
    if not isinstance(name, str) or not ACTOR_NAME.fullmatch(name):
        raise ConfigError(
            f"actors.{name}: found {shown(name)} as a name; "
            "use 1 to 64 letters, digits, _ and -, a letter or digit first"
        )
    place = f"actors.{name}"
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: found {shown(value)}; give `clips: builtin` or `clips: [video.mp4]`")
    refuse_unknown(value, ("clips", *OWN), f"{place}.")
    clips = value.get("clips")
    own = {key: value[key] for key in OWN if key in value}
    if clips == BUILTIN:
        return Actor(name, (), own)
    if not isinstance(clips, list) or not clips:
        raise ConfigError(f"{place}.clips: found {shown(clips)}; give `builtin` or a list of video files")
    entries = tuple(_clip(clip, f"{place}.clips[{index}]") for index, clip in enumerate(clips))
    return Actor(name, entries, own)


def _clip(value: Any, place: str) -> ClipEntry:
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: found {shown(value)}; give a path, or `{{path: a.mp4, emotion: happy}}`")
    entry: ClipEntry = build(ClipEntry, value, place)
    return entry
