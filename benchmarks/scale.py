"""What many actors, many clips and long clips cost.

    python -m benchmarks.scale actors [--counts 100 1000]         seconds of a dry run
    python -m benchmarks.scale clips film.mp4 [--count 500]       many short clips against one long clip, stage by stage
    python -m benchmarks.scale minutes film.mp4 [--minutes 1 10]  memory and disk of longer clips, stage by stage

The film is played over and over until it is so long. Clips are compared by processor time, which other work on the
machine changes little. Memory is what a job's processes hold for themselves; pages of
mapped files, which the system takes back when it needs them, do not count.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import psutil

from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.encode import write_video
from ua3dtalk.outcomes import cost
from ua3dtalk.subject import AUDIO_RATE, FPS

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = re.compile(r"\.snakemake/scripts/[^.]+\.(\w+)\.py$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to work; kept, and gone on from when it is there")
    parser.add_argument("--until", action="append", help="a file of each actor that is made, metrics.json unless given")
    parser.add_argument("--config", action="append", default=["budget=tiny"], help="as snakemake --config")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("actors").add_argument("--counts", type=int, nargs="*", default=[100, 300, 1000])
    clips = kinds.add_parser("clips")
    clips.add_argument("film", type=Path)
    clips.add_argument("--count", type=int, default=500)
    clips.add_argument("--seconds", type=int, default=4)
    minutes = kinds.add_parser("minutes")
    minutes.add_argument("film", type=Path)
    minutes.add_argument("--minutes", type=float, nargs="*", default=[1, 10])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        {"actors": dry_runs, "clips": short_clips, "minutes": long_clips}[options.kind](options, folder)


def dry_runs(options: argparse.Namespace, folder: Path) -> None:
    """Each actor has one clip of its own; nothing was made yet."""
    print("| actors | jobs | dry run s |\n|---|---|---|")
    for count in options.counts:
        for number in range(count):
            (folder / f"{number}.mp4").write_text(str(number))
        sheet = folder / "actors.csv"
        sheet.write_text("actor,clips\n" + "".join(f"a{number:05},{number}.mp4\n" for number in range(count)))
        start = time.monotonic()
        snakemake(folder, ["--dry-run", "--quiet"], ["actors=actors.csv"])
        seconds = time.monotonic() - start
        table = snakemake(folder, ["--dry-run", "--quiet", "rules"], ["actors=actors.csv"])
        jobs = re.findall(r"^total\s+(\d+)", table.stdout + table.stderr, re.M)
        print(f"| {count} | {jobs[0]} | {seconds:.1f} |", flush=True)


def short_clips(options: argparse.Namespace, folder: Path) -> None:
    """One actor has many short clips, the other one clip of the same length."""
    film = Film(options.film)
    film.write(folder / "whole.mp4", 0, options.count * options.seconds)
    for number in range(options.count):
        film.write(folder / "pieces" / f"{number:04}.mp4", number * options.seconds, options.seconds)
    sheet = "actor,path,clips\nlong,,whole.mp4\nshort,pieces,*.mp4\n"
    costs = run(options, folder, sheet, ["long", "short"])
    print(f"{options.count} clips of {options.seconds} s against one of the same length\n")
    print("| stage | long: wall s | processor s | short: wall s | processor s | ratio |\n|---|---|---|---|---|---|")
    long, short = costs["long"], costs["short"]
    for stage in sorted(long.seconds.keys() & short.seconds.keys()):
        print(_compared(stage, *(each[stage] for each in (long.seconds, long.busy, short.seconds, short.busy))))
    print(_compared("all", *(sum(each.values()) for each in (long.seconds, long.busy, short.seconds, short.busy))))


def _compared(name: str, *seconds: float) -> str:
    ratio = seconds[3] / seconds[1] if seconds[1] else float("nan")
    return f"| {name} | {' | '.join(f'{each:.1f}' for each in seconds)} | {ratio:.2f} |"


def long_clips(options: argparse.Namespace, folder: Path) -> None:
    """One actor for each length."""
    names = [f"m{minutes:g}".replace(".", "_") for minutes in options.minutes]
    film = Film(options.film)
    for name, minutes in zip(names, options.minutes, strict=True):
        film.write(folder / f"{name}.mp4", 0, 60 * minutes)
    sheet = "actor,clips\n" + "".join(f"{name},{name}.mp4\n" for name in names)
    costs = run(options, folder, sheet, names)
    head = " | ".join(f"{minutes:g} min: MB | s" for minutes in options.minutes)
    print(f"| stage | {head} |\n|---{'|---|---' * len(names)}|")
    for stage in costs[names[-1]].seconds:
        cells = [f"{costs[name].memory.get(stage, 0):.0f} | {costs[name].seconds.get(stage, 0):.0f}" for name in names]
        print(f"| {stage} | {' | '.join(cells)} |")
    cells = [
        f"{max(costs[name].memory.values(), default=0):.0f} | {sum(costs[name].seconds.values()):.0f}" for name in names
    ]
    print(f"| largest, all | {' | '.join(cells)} |")
    for name, minutes in zip(names, options.minutes, strict=True):
        held = sum(path.stat().st_size for path in (folder / "results" / name).rglob("*") if path.is_file())
        print(f"on disk, {minutes:g} min: {held / 1e6:.0f} MB, {held / 1e6 / minutes:.0f} MB a minute")


@dataclass
class Costs:
    """Wall and processor seconds and own memory (MB) by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


def run(options: argparse.Namespace, folder: Path, sheet: str, actors: Sequence[str]) -> dict[str, Costs]:
    """Make every actor, one after the other, and look at its jobs' memory meanwhile."""
    (folder / "actors.csv").write_text(sheet)
    found = {}
    for actor in actors:
        watch = Watch(folder / f"{actor}.memory.json")
        done = snakemake(
            folder,
            ["--cores", "all", "--", *(f"results/{actor}/{file}" for file in options.until or ["metrics.json"])],
            ["actors=actors.csv", *options.config],
        )
        watch.end()
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        stages = cost(folder / "results" / actor, without=("report",))["stages"]
        records = {name: folder / "results" / actor / "logs" / f"{name}.json" for name in stages}
        found[actor] = Costs(
            {name: stage["seconds"] for name, stage in stages.items()},
            {name: json.loads(record.read_text())["processor_seconds"] for name, record in records.items()},
            watch.peak,
        )
    return found


def snakemake(folder: Path, arguments: Sequence[str], config: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The workflow of this checkout in a folder of its own."""
    place = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    profile = ["--workflow-profile", str(ROOT / "profiles" / "default")]
    command = [sys.executable, "-m", "snakemake", *place, *profile, "--config", *config, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


class Watch:
    """Looks ten times a second at what the jobs hold in memory for themselves; peaks by rule, MB."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory  # of earlier runs in the same folder
        self.peak: dict[str, float] = json.loads(memory.read_text()) if memory.exists() else {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self.memory.write_text(json.dumps(self.peak))

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.1):
            with suppress(psutil.Error):
                for process in me.children(recursive=True):
                    self._note(process)

    def _note(self, process: psutil.Process) -> None:
        with suppress(psutil.Error, OSError, IndexError):
            rules = [found[1] for word in process.cmdline() if (found := SCRIPT.search(word))]
            status = Path(f"/proc/{process.pid}/status").read_text()
            own = sum(int(kilobytes) for kilobytes in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", status, re.M))
            if rules:
                self.peak[rules[0]] = max(self.peak.get(rules[0], 0), own / 1024)


class Film:
    """A film that is played over and over."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            self.frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        self.sound = np.resize(read_audio(path), len(self.frames) * AUDIO_RATE // FPS)

    def write(self, out: Path, start: float, seconds: float) -> None:
        """Write a part of it, unless that is there."""
        if out.exists():
            return
        out.parent.mkdir(exist_ok=True)
        first, count = round(start * FPS), round(seconds * FPS)
        samples = np.arange(first * AUDIO_RATE // FPS, (first + count) * AUDIO_RATE // FPS)
        frames = (self.frames[i % len(self.frames)] for i in range(first, first + count))
        write_video(out, frames, audio=self.sound[samples % len(self.sound)])


if __name__ == "__main__":
    main()
