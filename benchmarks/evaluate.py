"""Time and memory of `ua3dtalk evaluate`: a 10 s pair at 512 px, and the same pair three times as long.

python -m benchmarks.evaluate [clip.mp4]      # a clip of a face; the built-in actor's when none is given
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.process import cost_of
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.frames import frames_at

SIDE, RATE, SECONDS, LONGER = 512, 25, 10, 3
BUILT_IN = Path("results/May/source/neutral.mp4")


def frames(clip: Path, seconds: int) -> Iterator[np.ndarray]:
    """The clip over and over, enlarged to 512 px."""
    shown = [cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for f in islice(frames_at(clip, RATE), 250)]
    return islice(cycle(shown), RATE * seconds)


def pair(clip: Path, seconds: int, folder: Path) -> tuple[Path, Path]:
    """A truth, and a blurred and hard compressed copy as the generated one."""
    generated, truth = folder / f"generated_{seconds}.mp4", folder / f"truth_{seconds}.mp4"
    write_video(truth, frames(clip, seconds), crf=16)
    write_video(generated, (cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in frames(clip, seconds)), crf=30)
    return generated, truth


def main() -> None:
    clip = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT_IN
    if not clip.is_file():
        sys.exit(f"{clip} does not exist: name a clip of a face, or make the built-in actor first")
    print(f"{SIDE} px, {RATE} frames a second, two threads\n")
    print("| seconds | wall s | processor s | peak MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for seconds in (SECONDS, LONGER * SECONDS):
            generated, truth = map(str, pair(clip, seconds, Path(name)))
            out = str(Path(name) / "metrics.json")
            wall, busy, memory = cost_of(["evaluate", generated, truth, "--threads", "2", "--out", out])
            print(f"| {seconds} | {wall:.0f} | {busy:.0f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
