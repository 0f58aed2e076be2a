"""Anchors: even cover, smooth weights, and a sparse product that is the weighted mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.field.anchors import Anchors, farthest_points


def shell(n: int, seed: int = 0) -> torch.Tensor:
    """Points on a head-like ellipsoid, crowded at the front."""
    g = torch.Generator().manual_seed(seed)
    normals = torch.randn(n, 3, generator=g) + torch.tensor([0.0, 0.0, 0.8])
    return torch.nn.functional.normalize(normals, dim=1) * torch.tensor([0.085, 0.12, 0.10])


def test_farthest_points_are_a_greedy_cover() -> None:
    points = shell(200).numpy().astype(np.float64)
    chosen = farthest_points(points, 12)
    assert len(set(chosen.tolist())) == 12
    for i in range(1, 12):
        distances = np.linalg.norm(points[:, None] - points[chosen[:i]][None], axis=2).min(1)
        assert distances[chosen[i]] == pytest.approx(distances.max(), rel=1e-5)


def test_all_points_when_all_are_wanted() -> None:
    points = shell(30).numpy()
    assert sorted(farthest_points(points, 30)) == list(range(30))
    for count in (0, 31):
        with pytest.raises(ValueError, match="30 Gaussians"):
            farthest_points(points, count)


def test_the_same_cloud_gives_the_same_anchors() -> None:
    a, b = Anchors.place(shell(300), 40), Anchors.place(shell(300), 40)
    assert torch.equal(a.positions, b.positions) and torch.equal(a.weights, b.weights)


def test_weights_belong_to_the_nearest_and_sum_to_one() -> None:
    means = shell(500)
    anchors = Anchors.place(means, 60)
    distances = torch.cdist(means.double(), anchors.positions.double())
    nearest = distances.sort(1).values
    torch.testing.assert_close(distances.gather(1, anchors.indices), nearest[:, :4])
    torch.testing.assert_close(anchors.weights.sum(1), torch.ones(500))
    raw = (1 - (nearest[:, :4] / nearest[:, 4:5]) ** 2) ** 2
    wanted = raw / raw.sum(1, keepdim=True)
    torch.testing.assert_close(anchors.weights.double(), wanted, atol=1e-4, rtol=1e-3)
    assert (anchors.weights >= 0).all() and (anchors.weights[:, :-1] >= anchors.weights[:, 1:]).all()


def test_carrying_is_the_weighted_mean_and_its_gradient() -> None:
    means = shell(100)
    anchors = Anchors.place(means, 20)
    values = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = (values[anchors.indices] * anchors.weights[..., None]).sum(1)
    for layout in (values, values.t().contiguous().t()):
        carried = anchors.carry(layout)
        torch.testing.assert_close(carried, plain)
        upstream = torch.randn(100, 5, generator=torch.Generator().manual_seed(1))
        (found,) = torch.autograd.grad(carried, values, upstream)
        (wanted,) = torch.autograd.grad(plain, values, upstream, retain_graph=True)
        torch.testing.assert_close(found, wanted)


def test_a_constant_stays_constant_and_a_smooth_field_nearly_so() -> None:
    means = shell(2000)
    anchors = Anchors.place(means, 300)
    torch.testing.assert_close(anchors.carry(torch.ones(300, 1)), torch.ones(2000, 1))
    error = (anchors.carry(anchors.positions) - means).norm(dim=1)
    spacing = torch.cdist(anchors.positions, anchors.positions).fill_diagonal_(9).min(1).values.mean()
    assert error.mean() < 0.5 * spacing


def test_weights_change_without_jumps_as_a_gaussian_moves() -> None:
    """Walking between neighbouring anchors in ten times smaller steps, what is carried changes in smaller steps too."""
    anchors = Anchors.place(shell(400), 50)
    values = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    nearest = torch.cdist(anchors.positions, anchors.positions).argsort(1)[:, 3]
    for start in range(10):
        ends = anchors.positions[start], anchors.positions[nearest[start]]
        jumps = []
        for steps in (300, 3000):
            path = torch.lerp(*ends, torch.linspace(0, 1, steps)[:, None])
            jumps.append(float(anchors.attach(path).carry(values).diff(dim=0).abs().max()))
        assert jumps[1] < 0.2 * jumps[0]


def test_attach_keeps_the_anchors_for_a_denser_cloud() -> None:
    anchors = Anchors.place(shell(300), 30)
    denser = shell(700, seed=1)
    attached = anchors.attach(denser)
    assert torch.equal(attached.positions, anchors.positions)
    assert attached.carry(torch.randn(30, 2)).shape == (700, 2)


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_few_gaussians_have_few_anchors(n: int) -> None:
    anchors = Anchors.place(shell(n), 100)
    assert anchors.indices.shape == (n, min(n, 4))
    torch.testing.assert_close(anchors.weights.sum(1), torch.ones(n))
    assert anchors.weights.argmax(1).tolist() == [0] * n


def test_gaussians_in_one_place_share_alike() -> None:
    anchors = Anchors.at(torch.zeros(6, 3), torch.zeros(3, 3))
    torch.testing.assert_close(anchors.weights, torch.full((3, 4), 0.25))


def test_positions_get_no_gradient() -> None:
    means = shell(50).requires_grad_()
    anchors = Anchors.place(means, 10)
    assert not anchors.positions.requires_grad and not anchors.weights.requires_grad
