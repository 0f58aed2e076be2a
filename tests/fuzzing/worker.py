"""The process in which readers read bad inputs, one after the other, within limits of memory.

For each input a line goes to standard output when it begins and one when it ends; whoever reads them keeps the time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import av
from hypothesis import HealthCheck, Phase, given, seed, settings

MOST_WORDS = 2000  # signs of a line of an answer; of a sheet all mistakes are told, a line each
GROWTH = 2 << 30  # bytes that a reader may take beyond what the loaded libraries have
NEARLY = 0.9  # of it: the next allocation may have been refused


def kilobytes(key: str) -> int:
    """A line of this process' status, kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    return 0


def memory_error(error: BaseException | None) -> bool:
    """Whether memory ran out, though it was said in other words.

    ffmpeg says so of what it does not even try, more than 2 GB in one piece; what it took is measured.
    """
    while error is not None:
        if isinstance(error, MemoryError) and not isinstance(error, av.FFmpegError):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def main(names: list[str], count: int, number: int, folder: Path) -> None:
    """Give `count` inputs to each of some readers; `folder` is this process' own and holds the input it is at."""
    os.chdir(folder)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # C libraries chat
    from fuzzing.targets import TARGETS

    for place, name in enumerate(names):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        work = folder / f"work{place}"
        work.mkdir()
        _give(name, count, number, TARGETS[name](work), folder / "input", out)
    out.write(json.dumps({"at": "done"}) + "\n")


def _give(name: str, count: int, number: int, target: tuple[Any, Any], current: Path, out: TextIO) -> None:
    strategy, read = target
    base: list[int] = []
    kept = 0  # bytes of inputs that hypothesis remembers

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
        nonlocal kept
        if not base:  # libraries load with the first input
            with suppress(BaseException):
                read(content)
            base.append(kilobytes("VmRSS"))
        kept += len(content)
        before = _begin()
        current.write_bytes(content)
        out.write(json.dumps({"at": "begin", "reader": name}) + "\n")
        said = _answer(read, content)
        # What this input took, or what all of them left behind.
        grown = max(kilobytes("VmHWM") - before, kilobytes("VmRSS") - base[0] - kept // 1024)
        if said["result"] != "traceback" and grown * 1024 > NEARLY * GROWTH:
            said["result"] = "memory"
        out.write(json.dumps({"at": "end", "reader": name, "grown": grown, **said}) + "\n")

    inputs()


def _begin() -> int:
    """Forget the peak of memory, limit its growth; returns the kB that are in use."""
    Path("/proc/self/clear_refs").write_text("5")
    resource.setrlimit(resource.RLIMIT_AS, (kilobytes("VmSize") * 1024 + GROWTH, resource.RLIM_INFINITY))
    return kilobytes("VmRSS")


def _answer(read: Any, content: bytes) -> dict[str, Any]:
    """What a reader makes of an input, and in how many milliseconds."""
    from ua3dtalk.errors import UserError
    from ua3dtalk.workflow import one_line

    start, result, what = time.monotonic(), "accepted", ""
    try:
        read(content)
    except UserError as error:
        result, what = "refused", one_line(error)
        if memory_error(error):
            result = "memory"
        elif not what or not what.isprintable() or any(len(line) > MOST_WORDS for line in str(error).splitlines()):
            result = "words"
    except BaseException:
        result, what = "traceback", traceback.format_exc()
    return {"result": result, "what": what, "ms": (time.monotonic() - start) * 1000}


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
