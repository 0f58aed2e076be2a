"""An ensemble folded into one net: exactly where that can be, and nearly where it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ua3dtalk.field.beliefs import ViewEnsemble
from ua3dtalk.field.fold import ViewRows, fold, folded_net, leading_columns, ridge, whole_variance, wide_net
from ua3dtalk.field.uncertain import Codes, UncertainBranch, UncertainShape

SHAPE = UncertainShape(
    plane_sides=(6, 9), plane_channels=2, audio_code=5, hidden=16, members=4, state=12, anchors=25,
    emotion_sides=(4, 6), emotion_channels=3,
)  # fmt: skip
POSITIONS = (torch.rand(80, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.2
WIDTHS = {"audio": 5, "action_units": 6, "lip_expression": 64, "voice_style": 64, "emotion": 128}


def frames(count: int, seed: int = 2) -> list[Codes]:
    """Frames that differ in a few directions, as those of one voice do."""
    g = torch.Generator().manual_seed(seed)
    ways = {name: torch.randn(3, width, generator=torch.Generator().manual_seed(9)) for name, width in WIDTHS.items()}
    return [Codes(**{name: torch.randn(1, 3, generator=g) @ way for name, way in ways.items()}) for _ in range(count)]


@torch.no_grad()
def rows_of(net: ViewEnsemble, part: torch.Tensor, code: torch.Tensor) -> ViewRows:
    belief = net(part, code)
    hidden = net.hidden_units(part, code).flatten(0, 1).t()
    return ViewRows(hidden.double(), belief.mean.double(), whole_variance(belief).log().double())


@torch.no_grad()
def test_the_wide_net_is_the_mean_of_the_members() -> None:
    torch.manual_seed(0)
    net = ViewEnsemble(8, 5, members=4, hidden=16, state=12)
    part, code = net.position_part(torch.randn(30, 8)), torch.randn(1, 5)
    weight, bias = wide_net(net)
    wide = net.hidden_units(part, code).flatten(0, 1).t() @ weight.t() + bias
    mean = torch.stack([net(part, code, member).mean for member in range(4)]).mean(0)
    torch.testing.assert_close(wide, mean, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_members_that_are_alike_fold_without_loss() -> None:
    torch.manual_seed(0)
    net = ViewEnsemble(8, 5, members=4, hidden=16, state=12)
    for parameter in net.parameters():
        parameter.copy_(parameter[:1].expand_as(parameter).clone())
    features, code = torch.randn(400, 8), torch.randn(1, 5)
    one, units = folded_net(net, rows_of(net, net.position_part(features), code))
    assert one.members == 1 and len(set((units % 16).tolist())) == 16, "each unit of a member once"
    elsewhere, other = torch.randn(50, 8), torch.randn(1, 5)
    found, wanted = one(one.position_part(elsewhere), other), net(net.position_part(elsewhere), other, 0)
    torch.testing.assert_close(found.mean, wanted.mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.variance.log(), wanted.variance.log(), atol=1e-3, rtol=0)


def test_leading_columns_span_what_all_do() -> None:
    g = torch.Generator().manual_seed(0)
    basis = torch.randn(50, 4, generator=g, dtype=torch.float64)
    columns = basis @ torch.randn(4, 30, generator=g, dtype=torch.float64)
    chosen = columns[:, leading_columns(columns, 4)]
    torch.testing.assert_close(chosen @ ridge(chosen, columns, 1e-14), columns, atol=1e-6, rtol=0)


def folded_branch(branch: UncertainBranch, samples: list[Codes]) -> UncertainBranch:
    one = UncertainBranch(replace(branch.shape, members=1))
    others = {name: value for name, value in branch.state_dict().items() if not name.startswith("ensembles.")}
    one.load_state_dict(others, strict=False)
    one.attach(POSITIONS)
    for view, net in fold(branch, branch.position_parts(POSITIONS), samples).items():
        one.ensembles[view] = net
    return one


@pytest.fixture(scope="module")
def branch() -> UncertainBranch:
    """A branch whose decoder has learned something and whose members disagree, tied to POSITIONS."""
    torch.manual_seed(0)
    made = UncertainBranch(SHAPE)
    made.place(POSITIONS)
    made.attach(POSITIONS)
    torch.nn.init.normal_(made.decoder.out.weight, std=0.3)
    return made


@pytest.mark.parametrize("members", [4, 1])
@torch.no_grad()
def test_a_folded_branch_moves_as_the_ensemble_does_on_other_frames(branch: UncertainBranch, members: int) -> None:
    if members == 1:  # nothing to fold: the fit alone must not lose anything
        branch = folded_branch(branch, frames(64))
    one = folded_branch(branch, frames(64))
    parts, quick = branch.kept(branch.position_parts(POSITIONS)), one.kept(one.position_parts(POSITIONS))
    pairs = [(branch(parts, codes), one(quick, codes)) for codes in frames(16, seed=5)]
    moved, found = (torch.stack([pair[k].position for pair in pairs]) for k in (0, 1))
    lost = (found - moved).norm() / (moved - moved.mean(0)).norm()
    sure, told = (torch.stack([pair[k].variance for pair in pairs]).log() for k in (0, 1))
    assert lost < (0.35 if members > 1 else 0.01), float(lost)
    alone = torch.stack([branch(parts, codes, dict.fromkeys(SHAPE.views, 0)).position for codes in frames(16, seed=5)])
    if members > 1:  # random members hold unlike opinions, and their mean moves less than each
        assert lost < 0.2 * (alone - moved).norm() / (moved - moved.mean(0)).norm()
    assert (told - sure).square().mean().sqrt() < (0.5 if members > 1 else 0.05) * sure.std()


def test_frames_without_a_view_cannot_be_folded_by(branch: UncertainBranch) -> None:
    parts = branch.position_parts(POSITIONS)
    with pytest.raises(ValueError, match="at least one frame"):
        fold(branch, parts, [])
    with pytest.raises(ValueError, match="frame 1 has no code for the view emotion"):
        fold(branch, parts, [frames(1)[0], replace(frames(1)[0], emotion=None)])
