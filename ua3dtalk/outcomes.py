"""What became of jobs: what they took, and in one line each why they failed."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from ua3dtalk.slurm import ended_jobs
from ua3dtalk.workflow import TERMINATED

SILENT = "was killed (by a person, or by the system for memory)"


def cost(bundle: Path, without: Container[str] = ("metrics",)) -> dict[str, Any]:
    """What an actor's stages took, from the tables that Snakemake writes after each job, and from the jobs' records.

    Args:
        bundle: the actor's folder.
        without: stages to leave out: who asks would find its own time of the run before.
    Returns:
        ``stages``: seconds and peak_memory_mb of each; ``seconds`` in all, one after the other; ``peak_memory_mb``.
    """
    tables = {path.stem: path for path in (bundle / "benchmarks").glob("*.tsv")}
    # Rules whose results may come out of a cache have no table.
    records = {path.stem: path for path in (bundle / "logs").glob("*.json")}
    stages = {
        name: _cost_of_stage(tables.get(name), records.get(name))
        for name in sorted({*tables, *records})
        if name not in without
    }
    return {
        "stages": stages,
        "seconds": round(sum(stage["seconds"] for stage in stages.values()), 1),
        "peak_memory_mb": max((stage["peak_memory_mb"] for stage in stages.values()), default=0),
    }


def _cost_of_stage(table: Path | None, record: Path | None) -> dict[str, float]:
    row: dict[str, str] = {}
    own: dict[str, Any] = {}
    if table:
        header, values = (line.split("\t") for line in table.read_text().splitlines()[:2])
        row = dict(zip(header, values, strict=True))
    if record:
        own = json.loads(record.read_text())
    memory: Any = row.get("max_rss", "NA")
    if memory in ("NA", "-"):  # no table, or the job ended before Snakemake looked at its memory
        memory = own.get("peak_memory_mb", 0)
    return {"seconds": round(float(row.get("s", own.get("seconds", 0))), 1), "peak_memory_mb": round(float(memory))}


def failures(results: Path, since: float) -> list[str]:
    """One line for each job that failed, read from the logs that were touched.

    Args:
        results: the folder of all actors.
        since: time of the run's start, as `time.time` gives it.
    """
    ended = ended_jobs(since)
    touched = {log for log in results.glob("*/logs/**/*.log") if log.stat().st_mtime >= since}
    told: dict[str, dict[str, list[str]]] = {}
    silent: dict[str, dict[str, list[str]]] = {}
    # A job that was ended before it could begin has left no log, or that of an earlier run.
    for log in sorted(touched | ended.keys()):
        if log.with_suffix(".json").exists():
            continue
        begun = log in touched and log.stat().st_size > 0
        cause = cause_of(log) if begun else ""
        if not cause or (log in ended and cause.startswith((SILENT, TERMINATED))):
            cause = ended.get(log, _silent_end(log))
        folder = log.relative_to(results).parts[0]
        actor = "" if folder.startswith(".") else f"{folder}: "
        kind = told if begun or log in ended else silent
        kind.setdefault(actor, {}).setdefault(cause, []).append(log.stem)
    # Snakemake makes empty logs for the rest of a group that failed: they count only where nothing else tells.
    return [
        f"ua3dtalk: {actor}{', '.join(jobs)} failed: {cause}"
        for actor in sorted(told | silent)
        for cause, jobs in (told.get(actor) or silent[actor]).items()
    ]


def cause_of(log: Path) -> str:
    """Why a job failed, in one line, from its log."""
    lines = log.read_text(errors="replace").splitlines()
    if lines and lines[-1].startswith("error: "):
        return lines[-1].removeprefix("error: ")
    return _silent_end(log)


def _silent_end(log: Path) -> str:
    return f"{SILENT}: run again to go on; what it printed is in {log}"
