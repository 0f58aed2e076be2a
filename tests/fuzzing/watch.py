"""Readers under watch, in processes of their own, whose death, silence and growth are findings."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
MODULE = "fuzzing.worker"
SECONDS = 20.0  # that an input may take
LOADING = 120.0  # s until the first one
MOST_RESTARTS = 20


@dataclass(frozen=True)
class Finding:
    """What went wrong, with the input that did it."""

    kind: str
    what: str
    content: bytes


@dataclass
class Patience:
    """Seconds that the next line of a process is waited for."""

    seconds: float = LOADING


@dataclass
class Outcome:
    """Of one reader: inputs that were accepted and refused, the slowest (ms), growth of memory (MB), findings."""

    name: str
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    grown: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused + len(self.findings)


def watch(names: Sequence[str], count: int, seed: int = 0) -> list[Outcome]:
    """Give each reader `count` inputs, one reader after the other in one process.

    A process that dies or hangs is replaced by another, with other inputs for what is left.
    """
    outcomes = [Outcome(name) for name in names]
    for restart in range(MOST_RESTARTS):
        left = [outcome for outcome in outcomes if outcome.inputs < count]
        if not left:
            break
        # The first one may have been interrupted; the others have not begun.
        first = left[0]
        if first.inputs:
            _one_process([first], count - first.inputs, seed + 1000 * (restart + 1))
        else:
            _one_process(left, count, seed + 1000 * restart)
    return outcomes


def _one_process(outcomes: list[Outcome], count: int, seed: int) -> None:
    by_name, at = {outcome.name: outcome for outcome in outcomes}, outcomes[0]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        told = [sys.executable, "-m", MODULE, ",".join(by_name), str(count), str(seed), folder]
        path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        said = Path(folder) / "said"
        with said.open("wb") as errors:
            process = subprocess.Popen(told, stdout=subprocess.PIPE, stderr=errors, env=environment)
        patience = Patience()
        try:
            for line in _lines(process, patience):
                if line is None:
                    at.findings.append(Finding("hang", f"no answer in {SECONDS:.0f} s", _input(folder)))
                    return
                if line["at"] == "done":
                    return
                patience.seconds = SECONDS + 2 if line["at"] == "begin" else LOADING
                at = by_name[line["reader"]]
                if line["at"] == "end":
                    _count(at, line, folder)
            process.wait()
            last = f"ended with {process.returncode}: {said.read_bytes()[-2000:].decode(errors='replace')}"
            if patience.seconds == LOADING:  # between two inputs: the fault is in what makes them
                raise RuntimeError(f"{at.name}: the process {last}")
            at.findings.append(Finding("crash", last, _input(folder)))
        finally:
            process.kill()
            process.wait()


def _count(outcome: Outcome, line: dict[str, Any], folder: str) -> None:
    outcome.slowest = max(outcome.slowest, line["ms"])
    outcome.grown = max(outcome.grown, line["grown"] / 1024)
    if line["ms"] > 1000 * SECONDS:
        outcome.findings.append(Finding("hang", f"{line['ms'] / 1000:.1f} s", _input(folder)))
    elif line["result"] == "accepted":
        outcome.accepted += 1
    elif line["result"] == "refused":
        outcome.refused += 1
    else:
        outcome.findings.append(Finding(line["result"], line["what"], _input(folder)))


def _input(folder: str) -> bytes:
    path = Path(folder) / "input"
    return path.read_bytes() if path.exists() else b""


def _lines(process: subprocess.Popen[bytes], patience: Patience) -> Iterator[dict[str, Any] | None]:
    """Lines of the process as they come; None, once, when it is silent for too long."""
    assert process.stdout is not None
    descriptor, rest = process.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(patience.seconds):
                yield None
                return
            block = os.read(descriptor, 1 << 16)
            if not block:
                return
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield json.loads(line)


def save_findings(outcome: Outcome, folder: Path) -> list[Path]:
    """Write the inputs of the findings and what was said of them; returns the files of the inputs."""
    paths = []
    for number, finding in enumerate(outcome.findings):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{outcome.name.replace(' ', '_')}-{number}.bin"
        path.write_bytes(finding.content)
        path.with_suffix(".txt").write_text(f"{finding.kind}\n{finding.what}\n")
        paths.append(path)
    return paths


def remove(folder: Path) -> None:
    """An old run's findings would pass for this one's."""
    shutil.rmtree(folder, ignore_errors=True)
