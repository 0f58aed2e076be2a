"""Terms of the loss by hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.field.branch import Edits
from ua3dtalk.subject import Region
from ua3dtalk.training.objectives import misplaced_attention, motion_size, perceptual_patch, photometric, silhouette
from ua3dtalk.training.ssim import ssim

HAIR, LIPS, SKIN = int(Region.HAIR), int(Region.LIPS), int(Region.SKIN)


def edits(gates: dict[str, torch.Tensor], **parts: torch.Tensor) -> Edits:
    return Edits(**{"position": None, "rotation": None, "scale": None, **parts}, gates=gates)


def test_photometric_is_l1_and_a_share_of_dissimilarity() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(20, 24, 3, generator=g), torch.rand(20, 24, 3, generator=g)
    wanted = (x - y).abs().mean() + 0.2 * (1 - ssim(x, y).mean())
    assert float(photometric(x, y, 0.2)) == pytest.approx(float(wanted), abs=1e-5)
    assert float(photometric(x, x, 0.2)) == pytest.approx(0, abs=1e-6)


def test_silhouette() -> None:
    mask = torch.tensor([[True, True], [False, False]])
    full = mask[..., None].float()
    assert float(silhouette(full, mask)) == 0
    assert float(silhouette(1 - full, mask)) == 1
    leak = torch.tensor([[[1.0], [0.6]], [[0.0], [0.3]]])
    assert float(silhouette(leak, mask)) == pytest.approx((0.4 + 0.3) / 4)


def test_motion_size_adds_the_means_of_what_moves() -> None:
    both = edits({}, position=torch.tensor([[1.0, -2, 0]]), scale=torch.tensor([[-3.0, 0, 0]]))
    assert float(motion_size(both)) == pytest.approx(1 + 1)


def test_attention_counts_where_it_is_misplaced() -> None:
    regions = torch.tensor([[HAIR, SKIN], [LIPS, SKIN]])
    centres = torch.tensor([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [-4.0, 9.0]])  # hair, skin, lips, beside: lips' corner
    gates = {"audio": torch.tensor([1.0, 2, 4, 8]), "action_units": torch.tensor([16.0, 32, 64, 128])}
    forbidden = {"audio": [HAIR], "action_units": [HAIR, LIPS]}
    wanted = (1 + 16 + 64 + 128) / 4
    assert float(misplaced_attention(edits(gates), centres, regions, forbidden)) == pytest.approx(wanted)


def test_attention_of_a_branch_without_the_view() -> None:
    regions = torch.full((2, 2), HAIR)
    found = misplaced_attention(edits({"audio": torch.ones(1)}), torch.zeros(1, 2), regions, {"action_units": [HAIR]})
    assert float(found) == 0


def test_attention_teaches_the_gate_and_moves_no_gaussian() -> None:
    gate, centres = torch.ones(2, requires_grad=True), torch.full((2, 2), 0.5, requires_grad=True)
    misplaced_attention(edits({"audio": gate}), centres, torch.tensor([[HAIR]]), {"audio": [HAIR]}).backward()
    assert gate.grad is not None and gate.grad.tolist() == [0.5, 0.5]
    assert centres.grad is None


class Recorder:
    """In place of the network: keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def loss(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        self.seen.append((a, b))
        return (a - b).abs().mean()


@pytest.mark.parametrize(("height", "width"), [(50, 70), (20, 70), (32, 32)])
def test_perceptual_patches_show_the_same_place_of_both(height: int, width: int) -> None:
    places = torch.arange(height * width).reshape(height, width, 1).expand(-1, -1, 3).float()
    recorder, rng = Recorder(), np.random.default_rng(0)
    for _ in range(20):
        perceptual_patch(recorder, places, places, 32, rng)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) and a.shape == (min(32, height), min(32, width), 3) for a, b in recorder.seen)
    corners = {float(a[0, 0, 0]) for a, _ in recorder.seen}
    assert len(corners) > 1 or (height <= 32 and width <= 32)
