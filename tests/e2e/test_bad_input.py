"""What is wrong with a user's files ends as one line with cause and remedy; nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow


@pytest.fixture(scope="module")
def workflow(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    made = copy_workflow(root, tmp_path_factory.mktemp("bad") / "copy", stub=False)
    (made.folder / "text.mp4").write_text("this is no video\n" * 50)
    return made


def last_line(workflow: Workflow, config: str, *targets: str) -> str:
    done = workflow.snakemake("--cores", "2", "--", *targets, config=config)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("medai={size: 3}", "ua3dtalk: config: medai: unknown key; did you mean media?"),
        ("media={sise: 3}", "ua3dtalk: config: media.sise: unknown key; did you mean size?"),
        ("actors={../x: {clips: builtin}}", "ua3dtalk: config: actors.../x: found '../x' as a name; use 1 to 64 "),
        ("actors={x: {clips: [nothing.mp4]}}", "ua3dtalk: config: actors.x.clips[0]: no file nothing.mp4 (looked "),
        ("seed=0", "ua3dtalk: config: actors.x: no such actor; add it to config.yaml: x: "),
    ],
)
def test_a_wrong_config(workflow: Workflow, config: str, line: str) -> None:
    assert last_line(workflow, config, "results/x/metrics.json").startswith(line)
    assert not (workflow.folder / "results").exists()


def test_a_text_file_that_is_called_a_video(workflow: Workflow) -> None:
    line = last_line(workflow, "actors={x: {clips: [text.mp4]}}", "results/x/clips.json")
    assert line.startswith("ua3dtalk: x: locate failed: ")
    assert "text.mp4" in line
    assert "bug" not in line


def test_a_weight_that_is_not_what_it_should_be(workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "face_landmarker.task").write_text("not the weight")
    (workflow.folder / "results/.assets/face_landmarker.task").unlink(missing_ok=True)
    os.environ["UA3DTALK_ASSETS"] = str(tmp_path)
    try:
        line = last_line(workflow, "seed=0", "results/.assets/face_landmarker.task")
    finally:
        del os.environ["UA3DTALK_ASSETS"]
    assert line.startswith("ua3dtalk: face_landmarker.task failed: ")
    assert "sha256 64184e22" in line


@pytest.fixture
def small_disk(workflow: Workflow) -> Iterator[Path]:
    """The folder of an actor on a disk of two megabytes."""
    folder = workflow.folder / "results" / "May"
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(workflow: Workflow, small_disk: Path) -> None:
    size = "demo={seconds: 4, size: 256}"
    line = last_line(workflow, size, "results/May/clips.json")
    assert line.startswith("ua3dtalk: May: ")
    assert "disk full" in line
    assert not [path for path in small_disk.rglob(".*") if path.is_file()], "no half-written file is left"
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    done = workflow.snakemake("--cores", "2", "--", "results/May/clips.json", config=size)
    assert done.returncode == 0, done.stderr[-2000:]
