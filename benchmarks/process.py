"""What a command costs as a whole process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

# A process between, so that the peak is the command's own.
_PROBE = (
    "import resource, subprocess, sys, time; t = time.monotonic(); subprocess.run(sys.argv[1:], check=True, "
    "stdout=2, stderr=subprocess.DEVNULL); u = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(time.monotonic() - t, u.ru_utime + u.ru_stime, u.ru_maxrss / 1024)"
)


def cost_of(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory (MB) of one run of `ua3dtalk` with these arguments."""
    words = [sys.executable, "-c", _PROBE, sys.executable, "-m", "ua3dtalk.cli", *arguments]
    wall, busy, memory = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(wall), float(busy), float(memory)
