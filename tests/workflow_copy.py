"""A copy of the workflow whose adapters write small files, so that a whole run takes seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.checkout import copy_checkout

STUB = """
import time
from pathlib import Path

from ua3dtalk.errors import InputError
from ua3dtalk.workflow import job

with job(snakemake) as run:
    if Path(f"fail_{run.rule}").exists() or Path(f"fail_{run.rule}_{run.actor}").exists():
        raise InputError("no face in clip.mp4: use another clip")
    while Path(f"hold_{run.rule}").exists():
        time.sleep(0.05)
    for path in map(Path, snakemake.output):
        if path.name == "test":
            path.mkdir(parents=True, exist_ok=True)
            path = path / "ours.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(run.state)
"""


# Snakemake that asks SLURM every half second: its plugin waits ten seconds longer each time that no job has ended.
IMPATIENT = """
import asyncio
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

async def sleep(self):
    await asyncio.sleep(0.5)

RemoteExecutor.sleep = sleep
main()
"""


@dataclass
class Workflow:
    """A checkout of its own, and how to run it."""

    folder: Path
    config: list[str] = field(default_factory=list)
    program: list[str] = field(default_factory=lambda: ["-m", "snakemake"])

    def start(self, *arguments: str, config: str = "") -> subprocess.Popen[str]:
        """Start snakemake in the copy; `config` is one more `key=value`."""
        values = [*self.config, *([config] if config else [])]
        command = [sys.executable, *self.program, "--config", *values, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def snakemake(self, *arguments: str, config: str = "") -> subprocess.CompletedProcess[str]:
        """Run snakemake in the copy to its end."""
        with self.start(*arguments, config=config) as process:
            out, err = process.communicate(timeout=1200)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, config: str = "") -> subprocess.CompletedProcess[str]:
        """Make everything."""
        return self.snakemake("--cores", "2", config=config)

    def stale(self, config: str = "", cores: int = 2) -> Counter[str]:
        """How many jobs of each rule a run would start."""
        done = self.snakemake("--dry-run", "--cores", str(cores), config=config)
        assert done.returncode == 0, done.stderr + done.stdout
        table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)^total", done.stdout + done.stderr, re.M | re.S)
        if table is None:
            assert "Nothing to be done" in done.stdout + done.stderr
            return Counter()
        rows = (line.split() for line in table.group(1).splitlines())
        # These follow whatever figures change.
        return Counter({name: int(count) for name, count in rows if name not in ("all", "summary")})


def copy_workflow(root: Path, folder: Path, stub: bool = True, real: Collection[str] = ()) -> Workflow:
    """The workflow of the checkout in an empty folder, with adapters, but those of `real`, that only write outputs."""
    copy_checkout(root, folder)
    if stub:
        stubs = [path for path in (folder / "workflow_scripts").glob("*.py") if path.stem not in real]
        for adapter in stubs:
            adapter.write_text(f'"""{adapter.stem}"""\n{STUB}')
    return Workflow(folder)
