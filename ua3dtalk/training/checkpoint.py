"""Checkpoints of a running stage: written atomically, bound to the stage's state, loaded without running code."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from ua3dtalk.workflow import atomic


class Checkpoint:
    """One file that a stage renews every few seconds and removes when it is done.

    Args:
        path: the file, beside the stage's output; None keeps nothing.
        state: the stage's state; a checkpoint of another state is ignored.
        seconds: least time between two writes.
    """

    def __init__(self, path: Path | None, state: str, seconds: float) -> None:
        self._path, self._state, self._seconds = path, state, seconds
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None; a broken file is as good as none."""
        if self._path is None or not self._path.exists():
            return None
        try:
            content = torch.load(self._path, map_location="cpu", weights_only=True)
            if content["state"] != self._state:
                return None
            print(f"goes on from iteration {content['content']['iteration']}", file=sys.stderr)
            return dict(content["content"])
        except Exception as error:  # whatever is wrong with it, starting anew is right
            print(f"checkpoint {self._path} is not usable ({type(error).__name__}): starting anew", file=sys.stderr)
            return None

    def due(self) -> bool:
        """Whether it is time to save again."""
        return self._path is not None and time.monotonic() - self._last >= self._seconds

    def save(self, content: dict[str, Any]) -> None:
        """Write; `content` holds tensors, numbers, strings, lists and dicts only."""
        assert self._path is not None
        with atomic(self._path) as temporary:
            torch.save({"state": self._state, "content": content}, temporary)
        self._last = time.monotonic()

    def remove(self) -> None:
        """The stage is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
