"""A working folder that is to be damaged: the finished run that it is made from, its stages, and snakemake in it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.checkout import SITE, copy_checkout
from ua3dtalk.workflow import checkpoints_of

CONFIG = ["budget=tiny", "training={checkpoint_seconds: 0.1}"]
LAST = "results/May/report.html"
METRICS = "results/May/metrics.json"
LARGE = 1 << 20  # bytes from which a file is linked instead of copied: all of those are replaced, never written into
UNSTEADY = ("speed", "cost")  # of metrics.json and renders/test.json: what the run took
# Ours; what a job tells of its progress is left out.
_LINES = re.compile(
    r"^ua3dtalk: (?:.* failed: |another run|the run before|stopped|config: |disk full|.* may not be written).*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Stage:
    """A job of the finished run; paths count from the working folder."""

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    log: str
    seconds: float

    @property
    def record(self) -> str:
        return str(Path(self.log).with_suffix(".json"))

    @property
    def benchmark(self) -> str:
        return str(Path(self.log).parents[1] / "benchmarks" / f"{self.name}.tsv")

    @property
    def checkpoint(self) -> str | None:
        """The file that it renews while it runs, if it is one that does."""
        trains = self.name in ("train_mouth", "train_face", "train_fuse")
        return str(checkpoints_of(Path(self.outputs[0]))[0]) if trains else None


@dataclass(frozen=True)
class Ended:
    """A run of snakemake that is over."""

    code: int
    error: str

    @property
    def lines(self) -> list[str]:
        """What it said of itself in lines of ours, in which its user finds cause and remedy."""
        return _LINES.findall(self.error)


class Folder:
    """One working folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, *targets: str) -> subprocess.Popen[str]:
        """Start snakemake in the folder."""
        command = [sys.executable, "-m", "snakemake", "--config", *CONFIG, "--cores", "2", "--", *targets]
        environment = {**os.environ, "PYTHONPATH": str(self.path)}
        with (self.path / "stderr.txt").open("w") as error:
            return subprocess.Popen(
                command, cwd=self.path, env=environment, stdout=subprocess.DEVNULL, stderr=error, text=True
            )

    def end(self, driver: subprocess.Popen[str], seconds: float = 900) -> Ended:
        """Wait for a run; what it said is kept only until the next one starts."""
        driver.wait(seconds)
        return Ended(driver.returncode, (self.path / "stderr.txt").read_text(errors="replace"))

    def run(self, *targets: str) -> Ended:
        return self.end(self.start(*targets))

    def forget(self, *stages: Stage) -> None:
        """Take away what stages left, as if they had not run yet."""
        for stage in stages:
            checkpoints = map(str, checkpoints_of(Path(stage.outputs[0])))
            for name in (*stage.outputs, stage.record, stage.log, stage.benchmark, *checkpoints):
                path = self.path / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


class Reference(Folder):
    """A run to its end, never written into again."""

    def make(self, root: Path) -> None:
        """Run the whole pipeline unless that was done already."""
        if not (self.path / "Snakefile").exists():
            copy_checkout(root, self.path)
        done = self.run(LAST)
        if done.code != 0:
            raise SystemExit(f"error: the run without faults failed:\n{done.error[-3000:]}")

    @cached_property
    def stages(self) -> dict[str, Stage]:
        return _stages(self.path)

    def below(self, stage: Stage) -> list[Stage]:
        """The stage and all that read what it makes, directly or not, in any order."""
        found = {stage.name: stage}
        while True:
            made = {name for each in found.values() for name in each.outputs}
            more = [each for each in self.stages.values() if each.name not in found and made & set(each.inputs)]
            if not more:
                return list(found.values())
            found |= {each.name: each for each in more}

    def maker(self, path: str) -> Stage | None:
        """The stage that makes a file."""
        return next((stage for stage in self.stages.values() if path in stage.outputs), None)

    def seconds_to_remake(self, path: str, until: Stage) -> float:
        """What it takes to make a file again with all that is made from it on the way to a stage."""
        maker = self.maker(path)
        if maker is None:  # it is fetched
            return 0.0
        return sum(each.seconds for each in self.below(maker) if until in self.below(each) and each != until)

    def copy(self, target: Path) -> Folder:
        """A working folder like this one; large files are shared, so they may only be replaced."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.path, target, symlinks=True, copy_function=_link_or_copy)
        (target / "sitecustomize.py").write_text(SITE.format(folder=str(target)))
        return Folder(target)

    def differences(self, other: Folder, stage: Stage) -> list[str]:
        """Outputs of a stage that are not as in this run."""
        return [name for name in stage.outputs if not _same(self.path / name, other.path / name)]


def _link_or_copy(source: str, target: str) -> None:
    if os.stat(source).st_size >= LARGE:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _stages(folder: Path) -> dict[str, Stage]:
    """The jobs of a finished run, from their records and from what Snakemake remembers of their files."""
    inputs: dict[str, list[str]] = {}
    for path in (folder / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            key = "".join(path.relative_to(folder / ".snakemake" / "metadata").parts).replace("@", "")
            inputs[base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)).decode()] = (
                json.loads(path.read_text())["input"] or []
            )
    found = {}
    for record in sorted(folder.glob("results/*/logs/*.json")):
        content: dict[str, Any] = json.loads(record.read_text())
        outputs = tuple(content["outputs"])
        if content["rule"] == "fetch_asset":
            continue
        log = str(record.with_suffix(".log").relative_to(folder))
        read = tuple(dict.fromkeys(inputs[outputs[0]]))
        found[Path(log).stem] = Stage(Path(log).stem, outputs, read, log, content["seconds"])
    return found


def _same(one: Path, other: Path) -> bool:
    if one.is_dir():
        names = {path.name for path in one.iterdir()} | {path.name for path in other.iterdir()}
        return all(_same(one / name, other / name) for name in names if not name.startswith("."))
    if not one.exists() or not other.exists():
        return False
    if one.read_bytes() == other.read_bytes():
        return True
    if one.name not in ("metrics.json", "test.json"):
        return False
    documents = [json.loads(path.read_text()) for path in (one, other)]
    return len({json.dumps({k: v for k, v in each.items() if k not in UNSTEADY}) for each in documents}) == 1
