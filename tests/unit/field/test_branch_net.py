"""Branches: rest at the start, gates, what depends on positions alone."""

from __future__ import annotations

import pytest
import torch

from ua3dtalk.field.branch import POSITION_STEP, Branch, BranchShape, Edits

FACE = BranchShape(plane_sides=(6, 9), audio_code=5, hidden=16)
MOUTH = BranchShape(views=("audio",), edits=("position",), plane_sides=(6, 9), audio_code=5, hidden=16)


def awake(shape: BranchShape, seed: int = 0) -> Branch:
    """A branch whose decoder has learned something."""
    torch.manual_seed(seed)
    branch = Branch(shape)
    for parameter in branch.decoder[-1].parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return branch


def edits_of(branch: Branch, positions: torch.Tensor, audio: torch.Tensor, units: torch.Tensor) -> Edits:
    edits: Edits = branch(branch.position_parts(positions), audio, units)
    return edits


def inputs(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    draw = (torch.rand(20, 3, generator=g) - 0.5) * 0.2
    return draw, torch.randn(1, 5, generator=g), torch.rand(1, 6, generator=g)


@pytest.mark.parametrize("shape", [FACE, MOUTH])
def test_nothing_moves_at_the_start_but_everything_can_learn_to(shape: BranchShape) -> None:
    branch = Branch(shape)
    edits = edits_of(branch, *inputs())
    assert edits.position is not None and not edits.position.any()
    for edit in (edits.rotation, edits.scale):
        assert edit is None or not edit.any()
    (edits.position - 1).square().sum().backward()
    assert branch.decoder[-1].weight.grad.abs().sum() > 0


def test_the_mouth_moves_positions_alone_and_hears_alone() -> None:
    edits = edits_of(awake(MOUTH), *inputs())
    assert edits.position is not None and edits.position.shape == (20, 3)
    assert edits.rotation is None and edits.scale is None
    assert set(edits.gates) == {"audio"}
    positions, audio, units = inputs()
    other = edits_of(awake(MOUTH), positions, audio, units + 1)
    assert torch.equal(edits.position, other.position)


def test_edits_by_hand() -> None:
    branch = awake(FACE)
    positions, audio, units = inputs()
    features = branch.planes(positions)
    gated_audio = audio * (1 + branch.gates["audio"](features))
    gated_units = branch.units(units) * (1 + branch.gates["action_units"](features)).clamp_min(0)
    decoded = branch.decoder(torch.cat([features, gated_audio, gated_units], 1))
    edits = edits_of(branch, positions, audio, units)
    torch.testing.assert_close(edits.position, decoded[:, :3] * POSITION_STEP)
    torch.testing.assert_close(edits.rotation, decoded[:, 3:7])
    torch.testing.assert_close(edits.scale, decoded[:, 7:])
    torch.testing.assert_close(edits.gates["audio"], gated_audio.norm(dim=1))
    torch.testing.assert_close(edits.gates["action_units"], gated_units.norm(dim=1))


class Minus(torch.nn.Module):
    """The output of a gate's net that closes the gate: it is added to 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return -features.new_ones(len(features), self.width)


def test_a_closed_gate_lets_nothing_through() -> None:
    branch = awake(FACE)
    for view in ("audio", "action_units"):
        branch.gates[view] = Minus(branch.gates[view][-1].out_features)
    positions, audio, units = inputs()
    edits, other = edits_of(branch, positions, audio, units), edits_of(branch, positions, audio + 3, units + 2)
    assert torch.equal(edits.position, other.position) and torch.equal(edits.scale, other.scale)
    assert not edits.gates["audio"].any() and not edits.gates["action_units"].any()


def test_kept_position_parts_give_the_same_edits() -> None:
    branch = awake(FACE)
    positions, audio, _ = inputs()
    parts = branch.position_parts(positions)
    for seed in range(3):
        units = torch.rand(1, 6, generator=torch.Generator().manual_seed(seed))
        kept, fresh = branch(parts, audio, units), edits_of(branch, positions, audio, units)
        assert torch.equal(kept.position, fresh.position) and torch.equal(kept.rotation, fresh.rotation)


def test_positions_take_no_gradient_from_the_net() -> None:
    """They are trained by the picture through the means; a path through the planes would pull them to features."""
    positions, audio, units = inputs()
    positions.requires_grad_()
    edits_of(awake(FACE), positions, audio, units).position.sum().backward()
    assert positions.grad is None
