"""Training with beliefs: the stages, what a killed run ends with, which members are asked, what the variance learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_training import tiny_settings
from training_bench import Bench, content, killed_at

from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.test import render_test
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.subject import Subject
from ua3dtalk.training.branch import BranchTrainer
from ua3dtalk.training.objectives import residual_likelihood
from ua3dtalk.training.settings import BeliefSettings, FuseTraining, TrainingSettings
from ua3dtalk.training.stages import _start, fit_listening

VIEWS = ("audio", "action_units", "lip_expression", "voice_style", "emotion")


def settings(**changed: object) -> TrainingSettings:
    """All views, small ensembles, all members from the middle on."""
    beliefs = BeliefSettings(
        members=3, state=8, anchors=40, mouth_anchors=20, emotion_sides=(4, 6), emotion_channels=4, doubt_interval=2
    )
    tiny = tiny_settings(
        views=VIEWS, beliefs=beliefs, fuse=FuseTraining(iterations=6, perceptual_from=None, doubt_iterations=8)
    )
    branches = {name: getattr(tiny, name).model_copy(update={"ensemble_from": 24}) for name in ("face", "mouth")}
    return tiny.model_copy(update={**branches, **changed})


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", ["face", "mouth"])
def test_a_killed_branch_ends_as_if_nothing_had_happened(
    bench: Bench, name: str, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    whole = bench.branch(name, "whole", settings())  # type: ignore[arg-type]
    for iteration in (18, 33):
        killed_at(BranchTrainer, iteration, lambda: bench.branch(name, "killed", settings()), monkeypatch)  # type: ignore[arg-type]
    assert content(bench.branch(name, "killed", settings())) == content(whole)  # type: ignore[arg-type]


@pytest.mark.usefixtures("plain")
def test_a_head_with_beliefs_from_training_to_maps(bench: Bench) -> None:
    model = bench.fuse(
        bench.branch("face", "a", settings()), bench.branch("mouth", "a", settings()), "a", settings()
    )  # fmt: skip
    head = load_head(model)
    assert head.uncertain and head.views == ("audio", "lip_expression", "voice_style", "emotion")
    folder = bench.folder / "renders"
    folder.mkdir()
    render_test(
        subject=bench.subject, model=model, out=folder / "test.json", picture=folder / "test.png",
        settings=RenderingSettings(), seed=1, state="abc",
    )  # fmt: skip
    maps = np.load(folder / "test" / "deviation.npy")
    assert maps.shape == (20, 64, 64) and maps.dtype == np.float16
    assert np.isfinite(maps).all() and (maps > 0).all()
    corner, middle = maps[:, :4, :4].astype(float).mean(), maps[:, 24:40, 24:40].astype(float).mean()
    assert middle > corner, "nothing is known better than the still background"
    assert (folder / "test" / "deviation.mp4").exists()
    assert np.load(folder / "test" / "training_residual.npy").shape == (64, 64)


def trainer(subject: Subject, own: TrainingSettings) -> BranchTrainer:
    listening = fit_listening(subject, own.audio)
    return _start(subject, "face", listening, own, None, 3, torch.device("cpu"))


def test_members_take_turns_before_all_are_asked(tiny_subject: Subject) -> None:
    own = settings()
    start = trainer(tiny_subject, own)
    asked = []
    for start.iteration in range(24):
        member = start._member(5)
        assert member is not None and set(member) == {"audio", "lip_expression", "voice_style", "emotion"}
        asked.append(member["audio"])
    start.iteration = 24
    assert start._member(5) is None
    # Which members a second keeps away from depends on the second, not on the step.
    assert own.beliefs is not None
    wide = own.model_copy(update={"beliefs": own.beliefs.model_copy(update={"bagging": 0.6, "members": 10})})
    start = trainer(tiny_subject, wide)
    seen: dict[int, set[int]] = {5: set(), 40: set()}
    for start.iteration in range(200):
        start.own = start.own.model_copy(update={"ensemble_from": 1000})
        for frame, members in seen.items():
            found = start._member(frame)
            assert found is not None
            members.add(found["audio"])
    assert seen[5] != seen[40] and all(0 < len(members) < 10 for members in seen.values())


def test_the_likelihood_teaches_the_beliefs_and_nothing_else(tiny_subject: Subject) -> None:
    from ua3dtalk.training.examples import face_example
    from ua3dtalk.training.frames import Frames

    start = trainer(tiny_subject, settings())
    start.iteration = 30
    example = face_example(Frames(tiny_subject, torch.device("cpu")), 5, 30, start.own)
    parts = start.net.field.position_parts(start.cloud.means)
    edits = start.net(parts, start.controls(5))
    picture = torch.rand(example.target.shape, requires_grad=True)
    loss = start._doubted(parts, edits, example.camera, picture, example)
    loss.backward()
    assert picture.grad is None
    assert all(tensor.grad is None for tensor in start.cloud.tensors().values())
    assert start.net.uncertain is not None
    confidence = start.net.uncertain.confidence
    assert confidence.weight.grad is not None and confidence.weight.grad.abs().sum() > 0
    views = start.net.uncertain.ensembles
    assert all(any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters()) for net in views.values())
    start.iteration = 31
    assert start._doubted(parts, edits, example.camera, picture, example) == 0, "only every other step"


def test_the_likelihood_is_least_at_the_true_variance() -> None:
    residual = torch.tensor([0.01, 0.04, 0.09]).view(3, 1, 1)
    best = residual_likelihood(residual, residual)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert residual_likelihood(residual, factor * residual) > best


def test_a_method_without_beliefs_draws_no_maps(bench: Bench) -> None:
    plain_settings = replace_views(settings())
    model = bench.fuse(
        bench.branch("face", "a", plain_settings), bench.branch("mouth", "a", plain_settings), "a", plain_settings
    )
    assert not load_head(model).uncertain


def replace_views(own: TrainingSettings) -> TrainingSettings:
    """+prior: views, but one net each that all weigh the same."""
    beliefs = BeliefSettings(members=1, learned_variance=False, state=8, anchors=40, mouth_anchors=20)
    return own.model_copy(update={"views": VIEWS[:4], "beliefs": beliefs})
