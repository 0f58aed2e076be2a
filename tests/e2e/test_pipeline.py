"""The real pipeline at the smallest budget: from nothing to figures, and on after a kill."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors import safe_open
from workflow_copy import Workflow

from benchmarks.faults.__main__ import survive
from benchmarks.faults.folder import Reference
from ua3dtalk.provenance import STAGES, below
from ua3dtalk.subject import ACTION_UNITS, AUDIO_RATE, SAMPLES_PER_FRAME, Region, Subject

pytestmark = pytest.mark.slow

MAY = Path("results/May")


@pytest.fixture
def subject(finished: Workflow) -> Subject:
    return Subject(finished.folder / MAY)


def test_the_bundle_is_complete_and_fits_together(subject: Subject) -> None:
    frames, size = subject.frame_count, 128
    assert subject.video.shape == (frames, size, size, 3)
    assert subject.regions.shape == (frames, size, size)
    assert set(np.unique(subject.regions)) <= set(Region)
    assert subject.torso.shape == (frames, size, size, 4)
    assert subject.plate.shape == (size, size, 3)
    assert subject.audio().shape == (frames * SAMPLES_PER_FRAME,)
    assert subject.landmarks.points.shape == (frames, 478, 3)
    assert subject.landmarks.blendshapes.shape == (frames, 52)
    assert subject.landmarks.valid.mean() > 0.95
    assert subject.tracking.world_to_camera.shape == (frames, 4, 4)
    assert subject.expression.action_units.shape == (frames, len(ACTION_UNITS))
    assert len(subject.speech.features) == 2 * frames
    assert subject.speech.mel.shape == (4 * frames, 80)
    both = np.concatenate([subject.train_frames, subject.test_frames])
    assert sorted(both) == list(range(frames))


def test_every_result_carries_its_state(finished: Workflow, subject: Subject) -> None:
    states = {path.stem: json.loads(path.read_text())["state"] for path in (subject.root / "logs").glob("*.json")}
    assert set(states) == {name for name, stage in STAGES.items() if not stage.shared}
    for stage, file in {
        "locate": "crop",
        "decode": "clips",
        "sound": "sound",
        "audio_offset": "audio_offset",
        "render_test": "renders/test",
        "metrics": "metrics",
    }.items():
        assert json.loads(subject.path(f"{file}.json").read_text())["state"] == states[stage]
    for stage, file in {"builtin_actor": "source/truth", "landmarks": "landmarks", "tracking": "tracking"}.items():
        with np.load(subject.path(f"{file}.npz")) as data:
            assert str(data["state"]) == states[stage]
    models = {
        "train_mouth": "mouth",
        "train_face": "face",
        "train_fuse": "fused",
        "priors": "priors",
        "emotion": "emotion",
    }
    for stage, file in models.items():
        with safe_open(subject.path(f"model/{file}.safetensors"), "pt") as data:
            assert data.metadata()["state"] == states[stage]


def documented(root: Path, file: str) -> set[str]:
    """Keys of the table below the line that names a file in docs/stages.md."""
    text = (root / "docs" / "stages.md").read_text()
    table = text.split(f"`{file}`", 1)[1].split("\n\n")[1]
    return {key for line in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", line.split("|")[1])}


@pytest.mark.parametrize(
    "file", ["landmarks.npz", "tracking.npz", "expression.npz", "speech.npz", "priors.npz", "emotion.npz"]
)
def test_every_array_is_documented_as_it_is(root: Path, subject: Subject, file: str) -> None:
    with np.load(subject.path(file)) as data:
        assert set(data.files) == documented(root, file)
        text = (root / "docs" / "stages.md").read_text().split(f"`{file}`", 1)[1]
        for key in data.files:
            row = re.search(rf"^\| `{key}` \| \[(.*?)\] \| (\w+) ", text, re.M)
            assert row is not None
            assert data[key].ndim == len(row[1].split(",")) * bool(row[1])
            assert row[2] == ("text" if data[key].dtype.kind == "U" else str(data[key].dtype)), key


@pytest.mark.parametrize("file", ["crop.json", "clips.json", "audio_offset.json", "sound.json", "metrics.json"])
def test_every_key_is_documented(root: Path, subject: Subject, file: str) -> None:
    assert set(json.loads(subject.path(file).read_text())) == documented(root, file)


def test_every_stage_leaves_a_picture(subject: Subject) -> None:
    from PIL import Image

    shared = subject.root.parent / ".shared"
    for stage, entry in STAGES.items():
        if stage.startswith("cross"):  # no voice is asked for
            continue
        folder = shared if entry.shared else subject.root
        with Image.open(folder / "pictures" / f"{stage}.png") as picture:
            assert 500 <= picture.width <= 2000, stage


def test_the_videos_have_sound_and_the_held_out_length(subject: Subject) -> None:
    import av

    for name in ("test", "truth"):
        with av.open(str(subject.path(f"renders/{name}.mp4"))) as container:
            assert len(container.streams.audio) == 1
            assert sum(1 for _ in container.decode(video=0)) == len(subject.test_frames)


def test_the_figures_say_what_they_are(subject: Subject) -> None:
    metrics = json.loads(subject.path("metrics.json").read_text())
    assert metrics["actor"] == "May"
    assert (metrics["method"], metrics["budget"], metrics["seed"]) == ("ua3dtalk", "tiny", 0)
    assert {"ours", "truth", "static_mean", "nearest_pose", "nearest_audio"} <= {row["name"] for row in metrics["rows"]}
    assert {row["region"] for row in metrics["rows"]} == {"frame", "face"}
    assert all("driven_by" in row for row in metrics["rows"])
    assert metrics["speed"]["frames_per_second"] > 0
    assert metrics["cost"]["seconds"] > 0
    assert 100 < metrics["cost"]["peak_memory_mb"] < 6000


@pytest.mark.parametrize("fast", [[], ["--fast"]], ids=["ensemble", "fast"])
def test_the_trained_head_says_a_voice(subject: Subject, tmp_path: Path, fast: list[str]) -> None:
    import av
    import soundfile

    voice, out = tmp_path / "voice.wav", tmp_path / "said.mp4"
    soundfile.write(voice, subject.audio()[: 30 * SAMPLES_PER_FRAME], AUDIO_RATE)
    words = ["-X", "importtime", "-m", "ua3dtalk.cli", "say", str(subject.root), str(voice), "--out", str(out), *fast]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "torch" in loaded
    assert not loaded & {"torch._dynamo", "sympy", "librosa", "mediapipe"}, (
        "seconds of start that a voice does not need"
    )
    with av.open(str(out)) as container:
        assert len(container.streams.audio) == 1
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 30
    assert np.std(frames[15]) > 5 and not np.array_equal(frames[0], frames[-1]), "a picture that moves"


def test_a_second_run_has_nothing_to_do(finished: Workflow) -> None:
    assert finished.stale() == {}


def test_a_report_is_made(finished: Workflow) -> None:
    done = finished.snakemake("--report", "report.html", "--cores", "1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (finished.folder / "report.html").stat().st_size > 100_000


def figures(workflow: Workflow) -> dict:
    metrics = json.loads((workflow.folder / MAY / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key not in ("speed", "cost")}


def forget(workflow: Workflow, *stages: str) -> None:
    """Take the results of stages away, as if they had not run yet."""
    for stage in stages:
        record = workflow.folder / MAY / "logs" / f"{stage}.json"
        for output in map(Path, json.loads(record.read_text())["outputs"]):
            path = workflow.folder / output
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        record.unlink()
        record.with_suffix(".log").unlink()


@pytest.mark.parametrize("stage", ["regions", "train_face"])
def test_a_kill_in_the_middle_changes_nothing(finished: Workflow, tmp_path: Path, stage: str) -> None:
    again = Workflow(Reference(finished.folder).copy(tmp_path / "copy").path, finished.config)
    forget(again, *below(stage))
    log = again.folder / MAY / "logs" / f"{stage}.log"
    driver = again.start("--cores", "2")
    sign = again.folder / MAY / "model/.face.checkpoint" if stage == "train_face" else log
    end = time.monotonic() + 120
    while not sign.exists():
        assert driver.poll() is None and time.monotonic() < end, "the stage has not begun"
        time.sleep(0.02)
    jobs = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(jobs, timeout=20)
    assert not alive, "the jobs of a killed run end too"
    assert not log.with_suffix(".json").exists(), "it was in the middle of the stage"
    done = again.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert figures(again) == figures(finished)
    for model in ("mouth", "face", "fused"):
        name = Path(MAY, "model", f"{model}.safetensors")
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes(), model
    left = [path for path in (again.folder / MAY).rglob(".*") if path.name != ".snakemake_timestamp"]
    assert not left, "temporary files and checkpoints are gone"


@pytest.mark.parametrize(
    ("stage", "fault", "line"),
    [
        ("sound", "terminate_job", "ua3dtalk: May: sound failed: stopped by SIGTERM "),
        ("layers", "flipped", "ua3dtalk: May: layers failed: results/May/"),
        ("train_mouth", "checkpoint_flipped", "ua3dtalk: May: train_mouth failed: was killed "),
    ],
)
def test_a_fault_is_one_line_and_changes_nothing(
    finished: Workflow, tmp_path: Path, stage: str, fault: str, line: str
) -> None:
    """A part of the table of docs/reliability.md."""
    reference = Reference(finished.folder)
    found = survive(reference, tmp_path / "copy", reference.stages[stage], fault)
    assert found["survived"], found["why"]
    assert found["lines"][0].startswith(line)
