"""Write the pages that follow from the code, configuration.md and rules.md: python docs/generate.py."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ua3dtalk.config import FROM_BACKENDS, PRESETS, SECTION_OF_STAGE, preset_names, section_models
from ua3dtalk.provenance import STAGES

HEAD = """# Configuration

Written by `python docs/generate.py` from the settings in the code; a test keeps it current.

Everything that can be chosen stands in `config.yaml`, or in a file of your own: `snakemake --configfile my.yaml ...`
(keys that you leave out keep the values of `config.yaml`). Single values can be given on the command line:

    snakemake --cores all --config budget=quick 'media={size: 320}' -- results/May/metrics.json

The whole config is checked before anything runs; what is wrong ends as one line that names the key and the remedy.
A value comes from the first of these that gives it: your config, the preset of the `budget`, the preset of the
`method`, the default in the table below.

## actors

    actors:
      May: {clips: builtin}                      # the talking head of nobody that the project makes itself
      obama: {clips: [videos/obama.mp4]}         # paths from the folder that snakemake runs in
      anna:
        clips:                                   # several clips of one person, laid end to end
          - {path: videos/anna_1.mp4, emotion: happy}
          - {path: videos/anna_2.mp4, emotion: angry}

      bert:                                      # what stands beside clips is for this actor alone
        clips: [videos/bert.mp4]
        budget: full
        media: {size: 512}

Or a table: `actors: actors.csv` ([many actors](many-actors.md)).

A name has 1 to 64 letters, digits, `_` and `-`, and begins with a letter or digit: it is a folder of `results/`.
Clips may be in any format that ffmpeg reads. The label of emotion is optional. So is `audio_offset`: seconds by which a
clip's sound is moved, negative where it comes too late (`{path: videos/anna_1.mp4, audio_offset: -0.2}`);
[sync.md](sync.md) tells how it is measured.

## seed

A whole number, 0 unless given. It goes into training and everything after it.
"""


RULES_HEAD = """# The rules

Written by `python docs/generate.py` from the rules; a test keeps it current. An arrow that follows from others is left
out. `snakemake --report report.html -- results/May/metrics.json` also shows a run's times, memory and pictures.
"""

ROOT = Path(__file__).resolve().parents[1]


def configuration() -> str:
    """The page of all settings."""
    parts = [HEAD, *(_presets(kind) for kind in ("method", "budget"))]
    parts += [_section(name, model) for name, model in section_models().items()]
    return "\n".join(parts)


def _presets(kind: Any) -> str:
    lines = [f"## {kind}", ""]
    order = ["tiny", "demo", "quick", "full"]
    for name in sorted(preset_names(kind), key=lambda name: (order.index(name) if name in order else 99, name)):
        text = (PRESETS / f"{kind}s" / f"{name}.yaml").read_text().strip()
        lines += [f"`{name}`:", "", *(f"    {line}".rstrip() for line in text.splitlines()), ""]
    return "\n".join(lines)


def _section(name: str, model: type[BaseModel]) -> str:
    stages = [stage for stage, section in SECTION_OF_STAGE.items() if section == name]
    about = " ".join((model.__doc__ or "").split())
    readers = f" Read by {', '.join(stages)}." if stages else ""
    lines = [f"## {name}", "", f"{about}{readers}", "", "| key | values | default | meaning |", "|---|---|---|---|"]
    elsewhere = {field for place, field in FROM_BACKENDS if place == name}
    for key, kind, default, meaning in _rows(model, model(), name):
        if key.removeprefix(f"{name}.") not in elsewhere:
            lines.append(f"| `{key}` | {kind} | {default} | {meaning} |")
    return "\n".join([*lines, ""])


def _rows(model: type[BaseModel], values: BaseModel, place: str) -> Iterator[tuple[str, str, str, str]]:
    for key, field in model.model_fields.items():
        value = getattr(values, key, ...)
        if isinstance(value, BaseModel):
            yield from _rows(type(value), value, f"{place}.{key}")
            continue
        group = next((part for part in typing.get_args(field.annotation) if _is_group(part)), None)
        if group is not None:  # a group that may be absent, or there under several names: its keys as when it is there
            named = typing.get_origin(field.annotation) is dict
            kind = "keys below for each name" if named else "keys below, or nothing"
            yield f"{place}.{key}", kind, f"`{_shown(value)}`", field.description or ""
            yield from _rows(group, group.model_construct(), f"{place}.{key}" + (".{name}" if named else ""))
            continue
        bounds = "".join(f", {_bound(item)}" for item in field.metadata if _bound(item))
        meaning = (field.description or "").replace("|", "\\|")
        yield f"{place}.{key}", _kind(field.annotation) + bounds, f"`{_shown(value)}`", meaning


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bound(item: Any) -> str:
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("multiple_of", "multiple of")):
        if getattr(item, name, None) is not None:
            return f"{sign} {getattr(item, name)}"
    return ""


def _kind(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("nothing" if part is type(None) else _kind(part) for part in inner)
    if origin is dict:
        return f"{_kind(inner[0])}: {_kind(inner[1])}, any number"
    if origin in (tuple, list):
        return f"list of {_kind(inner[0])}"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names.get(annotation, re.sub(r"<class '(.*)'>", r"\1", str(annotation)))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if value is ...:
        return "required"
    if value is None:
        return "null"
    if value == {}:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def rules() -> str:
    """The page of the rules: their graph, and what each does."""
    lines = [RULES_HEAD, "```mermaid", "flowchart TB"]
    lines += [f"    {before} --> {name}" for name in STAGES for before in _directly_before(name)]
    lines += ["```", "", "| rule | what it does |", "|---|---|"]
    for file in RULE_FILES:
        text = (ROOT / "rules" / f"{file}.smk").read_text()
        for name, about in re.findall(r'^rule (\w+):\n    """(.*?)"""', text, re.M | re.S):
            lines.append(f"| `{name}` | {' '.join(about.split())} |")
    return "\n".join([*lines, ""])


def _directly_before(name: str) -> list[str]:
    """Stages before a stage, without those that another one of them comes after."""
    before = STAGES[name].after
    return [one for one in before if not any(one in _all_before(other) for other in before)]


def _all_before(name: str) -> set[str]:
    return {found for before in STAGES[name].after for found in (before, *_all_before(before))}


RULE_FILES = (
    "assets", "demo", "media", "face", "speech", "training", "rendering", "metrics", "cross", "release", "ablation",
    "report",
)  # fmt: skip
PAGES = {"configuration.md": configuration, "rules.md": rules}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (ROOT / "docs" / page).write_text(write())
