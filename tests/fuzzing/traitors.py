"""Readers that do what none may, for the test of the watch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from fuzzing import targets, worker
from ua3dtalk.errors import InputError


def _raises(content: bytes) -> None:
    raise KeyError("x")


def _sleeps(content: bytes) -> None:
    time.sleep(60)


def _grows(content: bytes) -> None:
    bytearray(3 << 30)


def _dies(content: bytes) -> None:
    os.abort()


def _hides(content: bytes) -> None:
    try:
        _grows(content)
    except MemoryError as error:
        raise InputError("it cannot be read") from error


def _answers(content: bytes) -> None:
    raise InputError("it cannot be read")


def _target(read: Callable[[bytes], None]) -> targets.Target:
    """The reader behaves when it is warmed up, which is not watched."""
    calls: list[bytes] = []

    def late(content: bytes) -> None:
        calls.append(content)
        if len(calls) > 1:
            read(content)

    return lambda folder: (st.just(b"x"), late)


if __name__ == "__main__":
    targets.TARGETS = {
        "raises": _target(_raises),
        "sleeps": _target(_sleeps),
        "grows": _target(_grows),
        "dies": _target(_dies),
        "hides its hunger": _target(_hides),
        "answers": _target(_answers),
    }
    worker.main(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
