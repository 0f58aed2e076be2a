"""The stages on a drawn head: they learn, and a killed run ends as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tiny_training import tiny_settings

from ua3dtalk.errors import DataError
from ua3dtalk.rendering.head import load_branch, load_head
from ua3dtalk.subject import Subject
from ua3dtalk.training import stages
from ua3dtalk.training.branch import BranchTrainer, Example
from ua3dtalk.training.checkpoint import Checkpoint
from ua3dtalk.training.examples import face_example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.fuse import FuseTrainer
from ua3dtalk.training.listening import fit_listening
from ua3dtalk.training.picture import Curve
from ua3dtalk.training.settings import AudioSettings, BranchTraining, FuseTraining, TrainingSettings

STATE = "c0ffee"
FREE = AudioSettings(mouth_coefficients=3, radius=1, free_code=2)


@dataclass
class Bench:
    """Runs stages on the drawn head, each into a folder of its own."""

    subject: Subject
    folder: Path

    def listen(self, settings: TrainingSettings) -> Path:
        out = self.folder / "audio.safetensors"
        if not out.exists():
            stages.train_audio(
                subject=self.subject, out=out, picture=self.folder / "audio.png", settings=settings, state=STATE
            )
        return out

    def branch(self, name: stages.Name, run: str, settings: TrainingSettings, state: str = STATE) -> Path:
        folder = self.folder / run
        stages.train_branch(
            subject=self.subject, branch=name, audio=self.listen(settings), perceptual=None,
            out=folder / f"{name}.safetensors", picture=folder / f"{name}.png", settings=settings, seed=3, state=state,
            checkpoint=folder / f"{name}.ckpt",
        )  # fmt: skip
        return folder / f"{name}.safetensors"

    def fuse(self, face: Path, mouth: Path, run: str, settings: TrainingSettings) -> Path:
        folder = self.folder / run
        stages.train_fuse(
            subject=self.subject, audio=self.listen(settings), face=face, mouth=mouth, perceptual=None,
            out=folder / "head.safetensors", picture=folder / "head.png", settings=settings, seed=3, state=STATE,
            checkpoint=folder / "head.ckpt",
        )  # fmt: skip
        return folder / "head.safetensors"


@pytest.fixture
def bench(tiny_subject: Subject, tmp_path: Path) -> Bench:
    return Bench(tiny_subject, tmp_path)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve itself instead of a picture of it: drawing would take longer than training."""

    def write(*given: object) -> None:
        curve = next((item.to_list() for item in given if isinstance(item, Curve)), [])
        given[-1].write_text(json.dumps(curve))  # type: ignore[attr-defined]

    for name in ("listening_picture", "branch_picture", "fuse_picture"):
        monkeypatch.setattr(stages, name, write)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every seventh step instead of every few seconds."""
    calls = iter(range(10**6))
    monkeypatch.setattr(Checkpoint, "due", lambda self: next(calls) % 7 == 6)


def content(path: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Metadata and the bits of every tensor; the file's own bytes hold the metadata in no fixed order."""
    with safe_open(path, "pt") as file:
        return file.metadata(), {key: file.get_tensor(key).numpy().tobytes() for key in file.keys()}  # noqa: SIM118


def killed_at(trainer: type, iteration: int, run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a stage that is stopped in the middle of a step."""
    step = trainer.step  # type: ignore[attr-defined]

    def stop(self: BranchTrainer | FuseTrainer, what: object) -> float:
        if self.iteration == iteration:
            raise KeyboardInterrupt
        return float(step(self, what))

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            run()


def test_every_stage_draws_a_picture(bench: Bench) -> None:
    branch = {"iterations": 25, "warmup": 2, "initial_gaussians": 50}
    short = tiny_settings(
        face=BranchTraining(**branch), mouth=BranchTraining(**branch), fuse=FuseTraining(iterations=1)
    )
    bench.fuse(bench.branch("face", "a", short), bench.branch("mouth", "a", short), "a", short)
    for picture in ("audio.png", "a/face.png", "a/mouth.png", "a/head.png"):
        assert Image.open(bench.folder / picture).width > 512


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("name", "audio"), [("face", None), ("mouth", None), ("face", FREE)])
def test_a_killed_branch_ends_as_if_nothing_had_happened(
    bench: Bench, name: stages.Name, audio: AudioSettings | None, often: None, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    settings = tiny_settings(**({"audio": audio} if audio else {}))
    whole = bench.branch(name, "whole", settings)
    for iteration in (18, 33):  # once while the cloud grows, once after it has grown
        killed_at(BranchTrainer, iteration, lambda: bench.branch(name, "killed", settings), monkeypatch)
    assert (bench.folder / "killed" / f"{name}.ckpt").exists()
    assert not (bench.folder / "killed" / f"{name}.safetensors").exists()
    resumed = bench.branch(name, "killed", settings)
    assert "goes on from iteration" in capfd.readouterr().err
    assert content(resumed) == content(whole)
    assert resumed.with_suffix(".png").read_bytes() == whole.with_suffix(".png").read_bytes()
    assert [path.suffix for path in sorted((bench.folder / "killed").iterdir())] == [".png", ".safetensors"]
    branch = load_branch(resumed)
    assert len(branch.cloud) != 150, "the cloud never grew: the test is too easy"
    assert content(resumed)[0]["state"] == STATE


@pytest.mark.usefixtures("plain")
def test_a_checkpoint_of_other_settings_is_not_gone_on_from(
    bench: Bench, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings()
    killed_at(BranchTrainer, 20, lambda: bench.branch("mouth", "run", settings, "0ther"), monkeypatch)
    fresh = bench.branch("mouth", "run", settings)
    assert content(fresh) == content(bench.branch("mouth", "whole", settings))


@pytest.mark.usefixtures("plain")
def test_a_killed_fuse_ends_as_if_nothing_had_happened(
    bench: Bench, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings()
    face, mouth = bench.branch("face", "a", settings), bench.branch("mouth", "a", settings)
    whole = bench.fuse(face, mouth, "whole", settings)
    killed_at(FuseTrainer, 17, lambda: bench.fuse(face, mouth, "killed", settings), monkeypatch)
    resumed = bench.fuse(face, mouth, "killed", settings)
    assert content(resumed) == content(whole)
    assert resumed.with_suffix(".png").read_bytes() == whole.with_suffix(".png").read_bytes()
    head, before = load_head(resumed), load_branch(face)
    assert not torch.equal(head.face.cloud.sh, before.cloud.sh)
    for fixed in ("means", "quats", "raw_scales"):
        assert torch.equal(getattr(head.face.cloud, fixed), getattr(before.cloud, fixed)), fixed
    for key, value in before.net.state_dict().items():
        assert torch.equal(value, head.face.net.state_dict()[key]), key


def trainer_of(bench: Bench, settings: TrainingSettings) -> BranchTrainer:
    listening = fit_listening(bench.subject, settings.audio)
    return stages._start(bench.subject, "face", listening, settings, None, 0, torch.device("cpu"))


def test_a_branch_learns_the_picture(bench: Bench) -> None:
    settings = tiny_settings()
    trainer, frames = trainer_of(bench, settings), Frames(bench.subject, torch.device("cpu"))
    losses = [trainer.step(face_example(frames, 20, it, settings.face)) for it in range(30)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])


def test_nothing_moves_in_warm_up_and_only_colours_when_frozen(bench: Bench) -> None:
    settings = tiny_settings()
    settings = tiny_settings(face=settings.face.model_copy(update={"freeze_from": 12, "densify": frozen_cloud()}))
    trainer, frames = trainer_of(bench, settings), Frames(bench.subject, torch.device("cpu"))

    def run(until: int) -> dict[str, torch.Tensor]:
        while trainer.iteration < until:
            trainer.step(face_example(frames, 20, trainer.iteration, settings.face))
        tensors = {**trainer.cloud.tensors(), **trainer.net.state_dict()}
        return {key: value.detach().clone() for key, value in tensors.items()}

    start, warm, moving, frozen = run(0), run(10), run(12), run(16)
    net = trainer.net.state_dict().keys()
    assert all(torch.equal(start[key], warm[key]) for key in net)
    assert any(not torch.equal(warm[key], moving[key]) for key in net)
    changed = {key for key in moving if not torch.equal(moving[key], frozen[key])}
    assert changed == {"sh"}


def frozen_cloud() -> object:
    return tiny_settings().face.densify.model_copy(update={"stop": 0})


def test_a_loss_that_is_no_number_is_one_line(bench: Bench) -> None:
    settings = tiny_settings()
    trainer, frames = trainer_of(bench, settings), Frames(bench.subject, torch.device("cpu"))
    good = face_example(frames, 20, 0, settings.face)
    broken = Example(20, good.camera, good.target * float("nan"), good.background, good.ignore, good.penalties)
    with pytest.raises(DataError, match=r"training broke at iteration 0 .*loss is nan") as caught:
        trainer.step(broken)
    assert "\n" not in str(caught.value)


def test_extent_is_the_cameras_and_never_nothing(bench: Bench, tiny_subject: Subject) -> None:
    still = Subject(tiny_subject.root)
    still.tracking.world_to_camera[:] = still.tracking.world_to_camera[0]
    assert stages.scene_extent(still) == pytest.approx(0.1)
    far = Subject(tiny_subject.root)
    far.tracking.world_to_camera[:] = np.eye(4)
    train = far.train_frames
    far.tracking.world_to_camera[train, 0, 3] = np.linspace(-2, 2, len(train))
    assert stages.scene_extent(far) == pytest.approx(2.2)
