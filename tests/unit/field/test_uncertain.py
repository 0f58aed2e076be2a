"""The branch with beliefs: rest at the start, views that are left out, what depends on positions alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ua3dtalk.field.branch import Edits
from ua3dtalk.field.uncertain import Codes, UncertainBranch, UncertainShape

FACE = UncertainShape(
    plane_sides=(6, 9), plane_channels=2, audio_code=5, hidden=16, members=4, state=12, anchors=25,
    emotion_sides=(4, 6), emotion_channels=3,
)  # fmt: skip
MOUTH = replace(FACE, views=("audio", "lip_expression", "voice_style"), action_units=False, edits=("position",))
POSITIONS = (torch.rand(80, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.2


def awake(shape: UncertainShape, seed: int = 0) -> UncertainBranch:
    """A branch whose decoder has learned something, tied to POSITIONS."""
    torch.manual_seed(seed)
    branch = UncertainBranch(shape)
    branch.place(POSITIONS)
    branch.attach(POSITIONS)
    torch.nn.init.normal_(branch.decoder.out.weight, std=0.3)
    return branch


def codes(seed: int = 2) -> Codes:
    g = torch.Generator().manual_seed(seed)
    widths = {"audio": 5, "action_units": 6, "lip_expression": 64, "voice_style": 64, "emotion": 128}
    return Codes(**{name: torch.randn(1, width, generator=g) for name, width in widths.items()})


def edits_of(branch: UncertainBranch, given: Codes, **more: object) -> Edits:
    edits: Edits = branch(branch.position_parts(POSITIONS), given, **more)
    return edits


@pytest.mark.parametrize("shape", [FACE, MOUTH, replace(FACE, anchors=None)])
def test_nothing_moves_at_the_start_but_everything_can_learn_to(shape: UncertainShape) -> None:
    branch = awake(shape)
    torch.nn.init.zeros_(branch.decoder.out.weight)
    edits = edits_of(branch, codes())
    assert edits.position is not None and edits.position.shape == (80, 3) and not edits.position.any()
    (edits.position - 1).square().sum().backward()
    assert branch.decoder.out.weight.grad is not None and branch.decoder.out.weight.grad.abs().sum() > 0


def test_every_view_and_every_member_is_heard() -> None:
    branch = awake(FACE)
    parts, given = branch.position_parts(POSITIONS), codes()
    whole = branch(parts, given).position
    for view in FACE.views:
        other = replace(given, **{view: getattr(codes(3), view)})
        assert not torch.allclose(branch(parts, other).position, whole), view
    for member in range(FACE.members):
        asked = branch(parts, given, dict.fromkeys(FACE.views, member)).position
        assert not torch.allclose(asked, whole)


@pytest.mark.parametrize("view", FACE.views)
def test_a_view_without_a_code_is_as_good_as_infinitely_unsure(view: str) -> None:
    branch = awake(FACE)
    without = edits_of(branch, replace(codes(), **{view: None}))
    assert without.variance is not None and torch.isfinite(without.variance).all()
    whole = edits_of(branch, codes())
    assert whole.variance is not None
    assert (whole.variance <= without.variance * (1 + 1e-4)).all(), "more evidence never makes less sure"


def test_novel_speech_is_doubted_more_and_said_the_same_way() -> None:
    branch = awake(FACE)
    parts = branch.position_parts(POSITIONS)
    known, novel = (branch(parts, replace(codes(), novelty=n)) for n in (1.0, 8.0))
    assert torch.equal(known.position, novel.position)
    doubts = [branch.doubt(parts, branch(parts, replace(codes(), novelty=n)).variance).mean() for n in (1.0, 2.0, 8.0)]
    assert doubts[0] < doubts[1] < doubts[2]


def test_no_view_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one of audio"):
        edits_of(awake(FACE), Codes())
    with pytest.raises(ValueError, match="action units"):
        edits_of(awake(FACE), replace(codes(), action_units=None))


def test_without_learned_variance_views_weigh_the_same() -> None:
    shape = replace(MOUTH, members=1, learned_variance=False)
    branch = awake(shape)
    parts, given = branch.position_parts(POSITIONS), codes()
    states = []
    for view in shape.views:
        seen = branch.seen(parts, Codes(**{view: getattr(given, view)}))
        states.append(branch.beliefs(parts, seen)[view].mean)
    mean = torch.stack(states).mean(0)
    expected = branch.decoder(branch.carry(branch.decoder.state(mean)), parts.features)
    assert torch.allclose(branch(parts, given).position, expected[:, :3] * 1e-2, atol=1e-6)


def test_anchors_at_every_gaussian_are_the_paper_s_one_belief_each() -> None:
    """As many anchors as Gaussians, one neighbour: carrying is a permutation and nothing is lost."""
    torch.manual_seed(0)
    each = UncertainBranch(replace(FACE, anchors=None))
    torch.manual_seed(0)
    held = UncertainBranch(replace(FACE, anchors=len(POSITIONS), neighbours=1))
    held.place(POSITIONS)
    held.attach(POSITIONS)
    for branch in (each, held):
        torch.manual_seed(5)
        torch.nn.init.normal_(branch.decoder.out.weight, std=0.3)
    a, b = edits_of(each, codes()), edits_of(held, codes())
    assert a.position is not None and b.position is not None
    assert torch.allclose(a.position, b.position, atol=1e-5)


def test_gradients_reach_every_parameter_that_is_asked() -> None:
    branch = awake(FACE)
    parts = branch.position_parts(POSITIONS)
    edits = branch(parts, codes())
    loss = edits.position.square().sum() + edits.scale.square().sum() + branch.doubt(parts, edits.variance).sum()
    loss.backward()
    for name, parameter in branch.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
