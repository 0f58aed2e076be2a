"""Checkpoints of a running stage: written atomically, bound to the stage's state, loaded without running code."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ua3dtalk.errors import DataError
from ua3dtalk.workflow import atomic, say

_DIGEST = hashlib.sha256().digest_size


class Checkpoint:
    """A file that a stage renews every few seconds, with the one before it, which the next stage removes.

    Each begins with the sha256 of the rest: torch loads flipped bits as they are.

    Args:
        path: the file, beside the stage's output; None keeps nothing.
        state: the stage's state; a checkpoint of another state is ignored.
        seconds: least time between two writes.
    """

    def __init__(self, path: Path | None, state: str, seconds: float) -> None:
        self._path, self._state, self._seconds = path, state, seconds
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None; in place of a broken file the one before it."""
        for path in self._paths():
            if path.exists():
                try:
                    content = self._read(path)
                except Exception as error:  # whatever is wrong with it, going on without it is right
                    say(f"checkpoint {path} is not usable ({type(error).__name__}): starting anew or from one before")
                    continue
                if content is not None:
                    say(f"goes on from iteration {content['iteration']}")
                return content
        return None

    def due(self) -> bool:
        """Whether it is time to save again."""
        return self._path is not None and time.monotonic() - self._last >= self._seconds

    def save(self, content: dict[str, Any]) -> None:
        """Write; `content` holds tensors, numbers, strings, lists and dicts only.

        Raises:
            DataError: a tensor holds NaN or infinity; the checkpoint that was saved last stays.
        """
        if not all(bool(tensor.isfinite().all()) for tensor in _tensors(content)):
            raise broken(content["iteration"], "a parameter is not a number")
        buffer = io.BytesIO()
        torch.save({"state": self._state, "content": content}, buffer)
        data = buffer.getbuffer()
        path, before = self._paths()
        with atomic(path) as temporary:
            with temporary.open("wb") as file:
                file.write(hashlib.sha256(data).digest())
                file.write(data)
            if path.exists():
                os.replace(path, before)
        self._last = time.monotonic()

    def _paths(self) -> list[Path]:
        """The last one and the one before it."""
        return [] if self._path is None else [self._path, self._path.with_name(f"{self._path.name}.before")]

    def _read(self, path: Path) -> dict[str, Any] | None:
        data = path.read_bytes()
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            raise ValueError("another content than was saved")
        content = torch.load(io.BytesIO(data[_DIGEST:]), map_location="cpu", weights_only=True)
        return dict(content["content"]) if content["state"] == self._state else None


def broken(iteration: int, what: str) -> DataError:
    """The error of a training whose numbers are none any more."""
    return DataError(
        f"training broke at iteration {iteration} ({what}): run again to go on from the last checkpoint; "
        "if it breaks there again, lower the stage's rates under training"
    )


def _tensors(content: Any) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _tensors(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _tensors(value)
