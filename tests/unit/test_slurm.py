"""What SLURM's own lines tell of jobs that could not speak for themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ua3dtalk.outcomes import failures
from ua3dtalk.slurm import ended_jobs

PRINTED = """
rule locate:
    log: results/anna/logs/locate.log
Finished jobid: 3 (Rule: locate)
rule decode:
    log: results/anna/logs/decode.log
{}
Error in rule decode:
    log: results/anna/logs/decode.log (check log file(s) for error details)
"""


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("slurmstepd-n1: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-22T00:10:06 ***", "(cancelled)"),
        ("slurmstepd: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-22T00:10:06 DUE TO TIME LIMIT ***", "(out of time)"),
        (
            "slurmstepd: error: *** STEP 4.0 ON n1 CANCELLED AT 2026-11-22T00:10:06 DUE TO NODE FAILURE ***",
            "node failure",
        ),
        ("slurmstepd: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-22T00:10:06 DUE TO PREEMPTION ***", "preemption"),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=4.0. Some of the step tasks have been OOM Killed.",
            "memory",
        ),
        ("slurmstepd: error: StepId=4.0 exceeded memory limit (900 > 800), being killed", "memory"),
    ],
)
def test_what_slurm_ended_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, cause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = Path(".snakemake/slurm_logs/group_picture/4.log")
    printed.parent.mkdir(parents=True)
    printed.write_text(PRINTED.format(line))
    rest = Path("results/anna/logs/landmarks.log")  # of the group; Snakemake makes it when the group fails
    rest.parent.mkdir(parents=True)
    rest.touch()
    told = failures(Path("results"), since=0)
    assert len(told) == 1
    assert told[0].startswith("ua3dtalk: anna: decode failed: SLURM ended it (")
    assert cause in told[0]
    assert told[0].endswith(f": see {printed}")


def test_a_job_that_failed_by_itself_and_older_runs_are_not_slurms(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(PRINTED.format("srun: error: n1: task 0: Exited with exit code 1"))
    assert ended_jobs(0, tmp_path) == {}
    log.write_text(PRINTED.format("slurmstepd: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-22T00:10:06 ***"))
    assert len(ended_jobs(0, tmp_path)) == 1
    os.utime(log, (100, 100))
    assert ended_jobs(200, tmp_path) == {}
    assert ended_jobs(0, tmp_path / "nowhere") == {}
