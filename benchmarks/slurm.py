"""What SLURM costs: one actor at the smallest budget, on this machine alone and through a SLURM of one node on it.

    python -m benchmarks.slurm

Of each SLURM job: its stages, what they took alone and in the job, and what is left of the job's time: Snakemake and
srun are started anew for every stage. Needs root, or SLURM's packages installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from slurm_node import ON_ONE_NODE, one_node  # noqa: E402
from workflow_copy import Workflow, copy_workflow  # noqa: E402

OPTIONS = [*ON_ONE_NODE, "--slurm-keep-successful-logs"]
TARGET = ["--", "results/May/metrics.json"]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slurm_") as name:
        folder = Path(name)
        local, cluster = (copy_workflow(ROOT, folder / kind, stub=False) for kind in ("local", "cluster"))
        local.config = cluster.config = ["budget=tiny"]
        alone = timed(local, "--cores", "2", *TARGET)
        with one_node(folder / "node") as environment:
            os.environ.update(environment)
            through = timed(cluster, *OPTIONS, *TARGET)
            rows = subprocess.run(
                ["squeue", "-h", "-t", "all", "-S", "i", "-o", "%V|%S|%e|%i"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()
        print("| SLURM job | stages | alone s | in the job s | waited s | job s | left over s | a stage s |")
        print("|---|---|---|---|---|---|---|---|")
        for row in rows:
            *times, number = row.split("|")
            asked, began, ended = (datetime.fromisoformat(text) for text in times)
            names, stages = stages_of(cluster, number)
            before, within = (sum(seconds(each, stage) for stage in stages) for each in (local, cluster))
            took = (ended - began).total_seconds()
            left = took - within
            print(
                f"| {names} | {len(stages)} | {before:.1f} | {within:.1f} | {(began - asked).total_seconds():.0f} "
                f"| {took:.0f} | {left:.1f} | {left / max(len(stages), 1):.1f} |"
            )
        print(f"\nin all: alone {alone:.0f} s, through SLURM {through:.0f} s")


def timed(workflow: Workflow, *arguments: str) -> float:
    """Seconds of a whole run."""
    start = time.monotonic()
    done = workflow.snakemake(*arguments)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return time.monotonic() - start


def stages_of(workflow: Workflow, number: str) -> tuple[str, list[Path]]:
    """Name of a SLURM job, and its stages' logs, from what it printed."""
    (log,) = workflow.folder.glob(f".snakemake/slurm_logs/**/{number}.log")
    lines = (line.strip() for line in log.read_text().splitlines())
    found = dict.fromkeys(Path(line.split()[1]) for line in lines if line.startswith("log: results/"))
    name = log.relative_to(workflow.folder / ".snakemake/slurm_logs").parts[0].removeprefix("rule_")
    return "_".join(name.split("_")[1:2]) if name.startswith("group_") else name, list(found)


def seconds(workflow: Workflow, log: Path) -> float:
    return float(json.loads((workflow.folder / log).with_suffix(".json").read_text())["seconds"])


if __name__ == "__main__":
    main()
