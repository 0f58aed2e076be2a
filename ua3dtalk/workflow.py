"""What the adapters of the rules share: atomic output, progress, one-line errors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling with the same suffix; it takes the final name only when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def progress(items: Iterable[Item], label: str, total: int | None = None, every: float = 5.0) -> Iterator[Item]:
    """Pass items on; every few seconds one line says how far it got and when it will be done."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= every:
            last = now
            left = f", {(now - start) / done * (total - done):.0f} s left" if total and done else ""
            print(f"{label}: {done}/{total or '?'}{left}", file=sys.stderr, flush=True)
        yield item
