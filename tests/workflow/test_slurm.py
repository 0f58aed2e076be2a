"""Through a real SLURM, with adapters that only write their outputs: what goes where, and life after faults."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import slurm_node
from slurm_node import ON_ONE_NODE
from workflow_copy import IMPATIENT, Workflow, copy_workflow

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SLURM = [*ON_ONE_NODE, "--latency-wait", "10", "--retries", "0"]
CROP = ["--", "results/anna/crop.json"]


@pytest.fixture
def workflow(root: Path, tmp_path: Path, slurm: Path) -> Workflow:
    """One actor with a clip, nothing made yet."""
    made = copy_workflow(root, tmp_path / "copy")
    (made.folder / "clip.mp4").write_text("clip")
    made.config = ["actors={anna: {clips: [clip.mp4]}}"]
    made.program = ["-c", IMPATIENT]
    return made


@contextmanager
def running(workflow: Workflow) -> Iterator[subprocess.Popen[str]]:
    """The workflow through SLURM; killed where a test fails before it ends."""
    with workflow.start(*SLURM, *CROP) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def jobs(*states: str) -> list[str]:
    """Numbers of SLURM's jobs."""
    done = subprocess.run(
        ["squeue", "-h", "-o", "%i", "-t", ",".join(states)], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.split()


def begun(workflow: Workflow, stage: str) -> bool:
    return (workflow.folder / f"results/anna/logs/{stage}.log").exists()


def hold(workflow: Workflow, stage: str) -> Path:
    path = workflow.folder / f"hold_{stage}"
    path.touch()
    return path


def told(err: str) -> list[str]:
    """What is said of the actor; a last line counts all actors."""
    return [line for line in err.splitlines() if line.startswith("ua3dtalk: anna: ")]


def test_a_cancelled_job_is_told_in_one_line_and_made_again(workflow: Workflow) -> None:
    held = hold(workflow, "locate")
    with running(workflow) as driver:
        wait_for(lambda: begun(workflow, "locate"))
        subprocess.run(["scancel", *jobs("RUNNING")], check=True, timeout=20)
        _, err = driver.communicate(timeout=120)
    assert driver.returncode == 1
    assert len(told(err)) == 1
    assert told(err)[0].startswith(
        "ua3dtalk: anna: locate failed: SLURM ended it (cancelled); run again to go on: see "
    )
    assert Path(told(err)[0].rsplit(" ", 1)[1]).is_relative_to(".snakemake/slurm_logs")
    held.unlink()
    again = workflow.snakemake(*SLURM, *CROP)
    assert again.returncode == 0, again.stderr[-3000:]


def test_one_stage_of_a_group_fails_with_its_own_cause(workflow: Workflow) -> None:
    (workflow.folder / "fail_decode").touch()
    done = workflow.snakemake(*SLURM, "--", "results/anna/landmarks.npz")
    assert done.returncode == 1
    assert told(done.stderr) == ["ua3dtalk: anna: decode failed: no face in clip.mp4: use another clip"]


def test_a_node_that_loses_its_daemon_for_a_while_loses_no_job(workflow: Workflow, slurm: Path) -> None:
    held = hold(workflow, "locate")
    with running(workflow) as driver:
        wait_for(lambda: begun(workflow, "locate"))
        slurm_node.stop(slurm, "slurmd", kill=True)
        held.unlink()
        time.sleep(1)
        slurm_node.start(slurm, "slurmd")
        _, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, err[-3000:]


def test_what_a_killed_run_left_in_the_cluster_does_not_work_beside_the_next(workflow: Workflow, slurm: Path) -> None:
    held = hold(workflow, "locate")
    # Another job takes all processors, so that the run's wait in the queue.
    blocker = ["sbatch", "--parsable", "--cpus-per-task=4", f"--output={slurm}/blocker.log", "--wrap", "sleep 300"]
    number = subprocess.run(blocker, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    wait_for(lambda: number in jobs("RUNNING"))
    with running(workflow) as driver:
        wait_for(lambda: jobs("PENDING"))
        waiting = jobs("PENDING")
        driver.kill()
    subprocess.run(["scancel", number], check=True, timeout=20)
    with running(workflow) as second:
        wait_for(lambda: set(waiting) <= set(jobs("FAILED")))
        wait_for(lambda: begun(workflow, "locate"))
        log = workflow.folder / f".snakemake/slurm_logs/group_picture_locate/{waiting[0]}.log"
        assert "the run that this job belongs to is over" in log.read_text()
        # Now while a job is at work.
        at_work = jobs("RUNNING")
        assert at_work
        second.kill()
        wait_for(lambda: not jobs("RUNNING"), 30)
    held.unlink()
    last = workflow.snakemake(*SLURM, *CROP)
    assert last.returncode == 0, last.stderr[-3000:]
    assert "the run before this one was killed" in last.stderr
