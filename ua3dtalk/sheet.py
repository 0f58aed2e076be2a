"""Actors as a sheet: one row, or several, per actor, from any spreadsheet program.

    actor,path,clips,emotions,media.size
    anna,films/anna,*.mp4,,512
    bert,films,bert_1.mp4; bert_2.mp4,happy; angry,

The whole sheet is read before the first job, and all that is wrong with it is told at once.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ua3dtalk.actors import BUILTIN, OWN, noted
from ua3dtalk.config_errors import choice, shown
from ua3dtalk.errors import ConfigError
from ua3dtalk.reading import read_text, reading

SUFFIXES = (".csv", ".tsv")
COLUMNS = ("actor", "path", "clips", "emotions", "audio_offsets")
MOST_BYTES = 16 << 20
_PATTERN = frozenset("*?[")
_SEPARATOR = ";"


def read_sheet(path: Path | str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """A sheet as the config's `actors`.

    Args:
        path: comma-separated (.csv) or tab-separated (.tsv) values, UTF-8, the columns' names first. `actor` and
            `clips` must be there. Clips are files or patterns, several with `;` between them, from the folder `path`,
            which counts from the sheet's own; or `builtin`. `emotions` and `audio_offsets` are one for all clips of
            the row or one for each. Any other column is a setting that the actor has for itself, as `media.size`;
            an empty field leaves it as it is. Rows with the same name belong to one actor, in their order.
    Returns:
        actors: by name, as the config has them.
        mistakes: one line each, with the line of the sheet.
    Raises:
        ConfigError: the sheet cannot be read as a table at all.
    """
    path = Path(path)
    actors: dict[str, dict[str, Any]] = {}
    mistakes: list[str] = []
    for line, row in _rows(path):
        with noted(mistakes):
            _add(actors, row, f"{path.name} line {line}", path.parent)
    if not actors and not mistakes:
        raise ConfigError(f"actors: {path} has no rows: give one for each actor")
    return actors, mistakes


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows that are not empty, as fields by column, with their line in the file."""
    text = _text(path)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
    )
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, path)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(header):
                raise ConfigError(
                    f"actors: {path.name} line {reader.line_num}: {len(values)} fields in {len(header)} columns: "
                    "put text that holds a comma in quotes"
                )
            yield reader.line_num, dict(zip(header, (value.strip() for value in values), strict=False))
    except csv.Error as error:
        raise ConfigError(f"actors: {path.name} line {reader.line_num}: {error}: save the sheet again as csv") from None


def _text(path: Path) -> str:
    with reading(path, "save the sheet as csv, UTF-8, and give its path in actors", ConfigError, "a sheet of actors"):
        text = read_text(path, MOST_BYTES)
        if "\0" in text:
            raise ValueError("it is no text")
        return text


def _check_header(header: list[str], path: Path) -> None:
    if "actor" not in header or "clips" not in header:
        hint = "; it seems to have ; between its columns: save it with commas" if _SEPARATOR in "".join(header) else ""
        raise ConfigError(f"actors: {path}: the first line must name the columns actor and clips{hint}")
    for name in header:
        if name not in COLUMNS and name.split(".")[0] not in OWN:
            raise ConfigError(
                f"actors: {path}: column {shown(name)} is unknown; {choice(name.split('.')[0], (*COLUMNS, *OWN))}"
            )
        if header.count(name) > 1:
            raise ConfigError(f"actors: {path}: the column {name} is there twice: take one away")


def _add(actors: dict[str, dict[str, Any]], row: Mapping[str, str], place: str, folder: Path) -> None:
    """Add what a row says to its actor."""
    name = row["actor"]
    if not name:
        raise ConfigError(f"{place}: no actor's name: give one")
    place = f"{place}: {shown(name)[1:-1]}"
    entry: dict[str, Any] = dict(actors.get(name, {}))
    if row.get("clips") == BUILTIN:
        if entry:
            raise ConfigError(f"{place}: the built-in actor brings its own clips: give it one row")
        entry["clips"] = BUILTIN
    elif entry.get("clips") == BUILTIN:
        raise ConfigError(f"{place}: is the built-in actor in a row above: give this one another name")
    else:
        entry["clips"] = [*entry.get("clips", []), *_clips(row, place, folder, entry.get("clips", []))]
    for column, value in row.items():
        if column not in COLUMNS and value:
            entry = _with_setting(entry, column, value, place)
    actors[name] = entry


def _clips(row: Mapping[str, str], place: str, folder: Path, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The row's clips as the config has them."""
    where = folder / row.get("path", "")
    named = _split(row.get("clips", ""))
    if not named:
        raise ConfigError(f"{place}: no clips: give files, a pattern as *.mp4, or builtin")
    paths = [found for name in named for found in _found(where, name, place)]
    known = {clip["path"] for clip in before}
    for path in paths:
        if path in known:
            raise ConfigError(f"{place}: {path} is there twice: take one away")
        known.add(path)
    clips: list[dict[str, Any]] = [{"path": path} for path in paths]
    for column, key in (("emotions", "emotion"), ("audio_offsets", "audio_offset")):
        for clip, value in zip(clips, _one_each(row.get(column, ""), len(clips), column, place), strict=True):
            if value:
                clip[key] = _value(value, column, place) if key == "audio_offset" else value
    return clips


def _found(where: Path, name: str, place: str) -> list[str]:
    """The file, or those that fit the pattern, in the order of their names."""
    if not _PATTERN & set(name) or (where / name).is_file():
        path = os.path.normpath(where / name)
        if not Path(path).is_file():
            raise ConfigError(f"{place}: no file {path} (looked from {Path.cwd()}): correct the path")
        return [path]
    try:
        found = sorted(os.path.normpath(path) for path in where.glob(name) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"{place}: the pattern {shown(name)} cannot be used ({error}): give files by name") from None
    if not found:
        raise ConfigError(f"{place}: no file fits {where / name} (looked from {Path.cwd()}): correct the path")
    return found


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(_SEPARATOR) if part.strip()]


def _one_each(text: str, count: int, column: str, place: str) -> list[str]:
    """The field's values: one for all clips, or one for each (an empty one says nothing of its clip)."""
    values = [part.strip() for part in text.split(_SEPARATOR)]
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise ConfigError(f"{place}: {len(values)} {column} for {count} clips: give one, or one for each")
    return values


def _with_setting(entry: dict[str, Any], column: str, text: str, place: str) -> dict[str, Any]:
    """The actor with one setting more, the value read as in config.yaml."""
    value = _value(text, column, place)
    *groups, key = column.split(".")
    changed = inner = dict(entry)
    for group in groups:
        inner[group] = dict(inner.get(group) or {})
        inner = inner[group]
    if inner.get(key, value) != value:
        raise ConfigError(f"{place}: {column}: found {shown(value)}, {shown(inner[key])} in a row above: give it once")
    inner[key] = value
    return changed


def _value(text: str, column: str, place: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{place}: {column}: found {shown(text)}; write it as in config.yaml") from None
