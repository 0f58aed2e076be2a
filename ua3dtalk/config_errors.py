"""What is wrong with a config, in one line: the key, what was found and what would be right."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ua3dtalk.errors import ConfigError


def printable(text: str) -> str:
    """The text as one line: a key may hold anything, a line break too."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def refuse_unknown(raw: Mapping[Any, Any], allowed: Any, place: str) -> None:
    for key in raw:
        if key not in allowed:
            raise ConfigError(f"{place}{key}: unknown key; {choice(str(key), list(allowed))}")


def build(model: type[BaseModel], values: Mapping[str, Any], place: str) -> Any:
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
        return f"{place}{key}: unknown key; {choice(str(location[-1]), list(group.model_fields))}"
    if first["type"] == "missing":
        return f"{place}{key}: is missing; give it"
    found = shown(first["input"])
    if first["type"] == "string_pattern_mismatch" and model.__name__ == "ClipEntry":
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


def choice(found: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(found, allowed, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"allowed: {', '.join(sorted(allowed))}"


class _Short(reprlib.Repr):
    """Python's words for a value, cut before they are made: aliases of yaml stand for any number of values."""

    def repr_int(self, number: int, level: int) -> str:
        return repr(number) if number.bit_length() < 1000 else "a huge number"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxtuple, _SHORT.maxstring = 3, 10, 10, 10, 200


def shown(value: Any) -> str:
    text = " ".join(_SHORT.repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
