"""Two actors from clip to figures through a real SLURM: the same as without it, and one command although a job dies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from slurm_node import ON_ONE_NODE
from workflow_copy import IMPATIENT, Workflow, copy_workflow

from benchmarks.faults.folder import Reference

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ACTORS = ("May", "Ann")
SLURM = [*ON_ONE_NODE, "--latency-wait", "10", "--retries", "1"]
TARGETS = ["--", *(f"results/{actor}/metrics.json" for actor in ACTORS)]


@pytest.fixture(scope="module")
def local(finished: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """May, and an actor whose clips come from outside, like a user's: copies of those that May's first rule makes."""
    workflow = Workflow(Reference(finished.folder).copy(tmp_path_factory.mktemp("local") / "copy").path)
    outside = tmp_path_factory.mktemp("clips")
    sources = (workflow.folder / f"results/May/source/{emotion}.mp4" for emotion in ("neutral", "happy", "angry"))
    clips = [str(shutil.copy(source, outside)) for source in sources]
    workflow.config = [*finished.config, f"actors={{May: {{clips: builtin}}, Ann: {{clips: {clips}}}}}"]
    done = workflow.snakemake("--cores", "2", *TARGETS)
    assert done.returncode == 0, done.stderr[-3000:]
    return workflow


@pytest.fixture(scope="module")
def through_slurm(root: Path, local: Workflow, slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The same through SLURM; May's training of the face is cancelled once, in the middle."""
    workflow = copy_workflow(root, tmp_path_factory.mktemp("slurm") / "copy", stub=False)
    workflow.config = local.config
    workflow.program = ["-c", IMPATIENT]
    with workflow.start(*SLURM, *TARGETS) as driver:
        checkpoint = workflow.folder / "results/May/model/.face.checkpoint"
        while driver.poll() is None and not checkpoint.exists():
            time.sleep(0.02)
        cancel("rule_train_face_wildcards_May")
        _, err = driver.communicate(timeout=1200)
    (workflow.folder / "driver.log").write_text(err)
    assert driver.returncode == 0, err[-3000:]
    return workflow


def cancel(comment: str) -> None:
    rows = subprocess.run(["squeue", "-h", "-o", "%i %k"], capture_output=True, text=True, check=True, timeout=20)
    numbers = [row.split()[0] for row in rows.stdout.splitlines() if row.split()[1:] == [comment]]
    assert numbers, rows.stdout
    subprocess.run(["scancel", *numbers], check=True, timeout=20)


def figures(workflow: Workflow, actor: str) -> dict:
    metrics = json.loads((workflow.folder / f"results/{actor}/metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key not in ("speed", "cost")}


@pytest.mark.parametrize("actor", ACTORS)
def test_the_results_are_those_of_a_local_run(local: Workflow, through_slurm: Workflow, actor: str) -> None:
    assert figures(through_slurm, actor) == figures(local, actor)
    for model in ("mouth", "face", "fused"):
        name = f"results/{actor}/model/{model}.safetensors"
        assert (through_slurm.folder / name).read_bytes() == (local.folder / name).read_bytes(), model


def test_the_cancelled_training_went_on_from_its_checkpoint(through_slurm: Workflow) -> None:
    log = (through_slurm.folder / "results/May/logs/train_face.log").read_text()
    assert re.search(r"goes on from iteration [1-9]", log)


def test_a_second_run_has_nothing_to_do(through_slurm: Workflow) -> None:
    done = through_slurm.snakemake(*SLURM, "--dry-run", *TARGETS)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_what_comes_before_training_is_two_jobs_of_an_actor_and_training_is_alone(through_slurm: Workflow) -> None:
    rows = subprocess.run(["squeue", "-h", "-t", "all", "-o", "%k"], capture_output=True, text=True, timeout=20).stdout
    for actor in ACTORS:
        for stage in ("train_mouth", "train_face", "train_fuse"):
            assert f"rule_{stage}_wildcards_{actor}" in rows.split()
    assert len(re.findall("rule_picture_", rows)) == len(ACTORS)
    assert len(re.findall("rule_voice_", rows)) == len(ACTORS)
    assert len(re.findall("rule_figures_", rows)) == len(ACTORS)
