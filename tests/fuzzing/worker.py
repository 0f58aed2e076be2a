"""The process in which one reader reads bad inputs, one after the other, within limits of memory.

For each input a line goes to standard output when it begins and one when it ends; whoever reads them keeps the time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

GROWTH = 2 << 30  # bytes that a reader may take beyond what the loaded libraries have


def kilobytes(key: str) -> int:
    """A line of this process' status, kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    return 0


def memory_error(error: BaseException | None) -> bool:
    """Whether memory ran out, though it was said in other words."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def main(name: str, count: int, number: int, folder: Path) -> None:
    """Give `count` inputs to a reader; `folder` is its own and holds the input it is at."""
    os.chdir(folder)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # C libraries chat
    from fuzzing.targets import TARGETS
    from ua3dtalk.errors import UserError

    (folder / "work").mkdir(exist_ok=True)
    strategy, read = TARGETS[name](folder / "work")
    current = folder / "input"

    def tell(**said: Any) -> None:
        out.write(json.dumps(said) + "\n")

    def attempt(content: bytes) -> None:
        current.write_bytes(content)
        tell(at="begin")
        start, result, what = time.monotonic(), "accepted", ""
        try:
            read(content)
        except UserError as error:
            result, what = "refused", str(error)
            if memory_error(error):
                result = "memory"
            elif "\n" in what or not what or len(what) > 2000:
                result = "words"
        except BaseException:
            result, what = "traceback", traceback.format_exc()
        milliseconds = (time.monotonic() - start) * 1000
        tell(at="end", result=result, what=what, ms=milliseconds, grown=kilobytes("VmHWM") - base)

    base = 0
    started = False

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def inputs(content: bytes) -> None:
        nonlocal base, started
        if not started:  # libraries load with the first input
            started = True
            _warm(read, content)
            Path("/proc/self/clear_refs").write_text("5")
            base = kilobytes("VmRSS")
            most = kilobytes("VmSize") * 1024 + GROWTH
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        attempt(content)

    inputs()
    tell(at="done")


def _warm(read: Any, content: bytes) -> None:
    try:
        read(content)
    except BaseException:
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
