"""Clouds: what the raw tensors mean, and where a cloud starts."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from splat_scenes import few_examples

from ua3dtalk.splat.cloud import LEAST_SPACING, Cloud, inverse_softplus
from ua3dtalk.splat.sh import colours


def points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (n, 3)).astype(np.float32)


@few_examples
@given(st.floats(-15, 3))
def test_softplus_is_undone(exponent: float) -> None:
    value = torch.tensor(10.0**exponent)
    torch.testing.assert_close(torch.nn.functional.softplus(inverse_softplus(value)), value, rtol=1e-5, atol=0)


def test_starts_round_and_as_wide_as_the_neighbours_are_far() -> None:
    where, shades = points(50), np.random.default_rng(1).uniform(0, 1, (50, 3))
    cloud = Cloud.from_points(where, shades, sh_degree=2, opacity=0.1)
    distances = np.sort(np.linalg.norm(where[:, None] - where[None], axis=-1), axis=1)[:, 1:4]
    expected = np.sqrt((distances**2).mean(1))
    np.testing.assert_allclose(cloud.scales.numpy(), np.repeat(expected[:, None], 3, 1), rtol=1e-4)
    torch.testing.assert_close(cloud.opacities, torch.full((50,), 0.1))
    assert cloud.sh.shape == (50, 9, 3)
    seen = colours(2, torch.randn(50, 3), cloud.sh)
    torch.testing.assert_close(seen, torch.from_numpy(shades).float(), rtol=1e-4, atol=1e-5)


def test_coinciding_points_still_get_a_size() -> None:
    cloud = Cloud.from_points(np.zeros((5, 3)), np.zeros((5, 3)), sh_degree=0)
    assert bool((cloud.scales >= 0.99 * LEAST_SPACING).all())
    assert len(Cloud.from_points(np.zeros((1, 3)), np.zeros((1, 3)), sh_degree=0)) == 1


def test_tensors_round_trip() -> None:
    cloud = Cloud.from_points(points(7), np.full((7, 3), 0.5), sh_degree=1).requires_grad_()
    again = Cloud.from_tensors(cloud.tensors())
    for name, tensor in cloud.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]) and not again.tensors()[name].requires_grad
    assert all(tensor.requires_grad for tensor in cloud.tensors().values())
