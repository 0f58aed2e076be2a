"""The stages on a drawn head: they learn, and a killed run ends as if nothing had happened."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_training import tiny_settings
from training_bench import STATE, Bench, content, killed_at

from ua3dtalk.errors import DataError
from ua3dtalk.rendering.head import load_branch, load_head
from ua3dtalk.subject import Subject
from ua3dtalk.training import stages
from ua3dtalk.training.branch import BranchTrainer, Example
from ua3dtalk.training.examples import face_example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.fuse import FuseTrainer
from ua3dtalk.training.listening import fit_listening
from ua3dtalk.training.settings import AudioSettings, BranchTraining, FuseTraining, TrainingSettings

FREE = AudioSettings(mouth_coefficients=3, radius=1, free_code=2)


def test_every_stage_draws_a_picture(bench: Bench) -> None:
    branch = {"iterations": 25, "warmup": 2, "initial_gaussians": 50}
    short = tiny_settings(
        face=BranchTraining(**branch), mouth=BranchTraining(**branch), fuse=FuseTraining(iterations=1)
    )
    bench.fuse(bench.branch("face", "a", short), bench.branch("mouth", "a", short), "a", short)
    for picture in ("audio.png", "a/face.png", "a/mouth.png", "a/head.png"):
        assert Image.open(bench.folder / picture).width > 512
    curve = json.loads((bench.folder / "a/face.json").read_text())
    assert curve["state"] == STATE and curve["every"] == 20
    assert len(curve["loss"]) == len(curve["gaussians"]) == 25 // 20
    assert curve["loss"][0] > 0 and curve["gaussians"] == [50]


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
    assert resumed.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()
    left = {path.suffix for path in (bench.folder / "killed").iterdir()}
    assert left - {".ckpt", ".before"} == {".json", ".png", ".safetensors"}
    resumed.unlink()
    assert content(bench.branch(name, "killed", settings)) == content(whole), "killed on its way out"
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
    example = face_example(frames, 20, 0, settings.face)  # one ground for all: losses before others do not compare
    losses = [trainer.step(example) for _ in range(60)]
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
