"""Why SLURM ended a job: the job itself cannot say it."""

from __future__ import annotations

import re
from pathlib import Path

LOGS = Path(".snakemake") / "slurm_logs"

_ENDED = re.compile(r"\*\*\* (?:JOB|STEP) \S+ ON (\S+) (CANCELLED) AT \S+(?: DUE TO (.+?))? \*\*\*")
_MEMORY = re.compile(r"oom.kill|Exceeded job memory limit|exceeded memory limit", re.I)
_LOG = re.compile(r"^\s+log: (\S+)", re.M)


def ended_jobs(since: float, folder: Path = LOGS) -> dict[Path, str]:
    """What SLURM ended since a time, from what its jobs printed.

    Args:
        since: as `time.time` gives it.
        folder: where the executor plugin lets SLURM write.
    Returns:
        the cause, by the log of the rule that was at work.
    """
    found = {}
    for path in sorted(folder.glob("**/*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(errors="replace")
        at_work = _LOG.findall(text)
        if at_work and (cause := _cause(text)):
            found[Path(at_work[-1])] = f"{cause}: see {path}"
    return found


def _cause(text: str) -> str:
    if _MEMORY.search(text):
        return "SLURM ended it (out of memory); ask for more: --set-resources RULE:mem_mb=16000"
    if not (ended := _ENDED.search(text)):
        return ""
    if ended[3] == "TIME LIMIT":
        return "SLURM ended it (out of time); run again to go on, or ask for more: --set-resources RULE:runtime=1440"
    if ended[3]:
        return f"SLURM ended it ({ended[3].lower()} on {ended[1]}); run again to go on"
    return "SLURM ended it (cancelled); run again to go on"
