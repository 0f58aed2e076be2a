"""The tri-plane against a bilinear look-up by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.field.triplane import Combine, TriPlane

BOUND = 0.15
AXES = ((0, 1), (1, 2), (0, 2))


def look_up(plane: np.ndarray, u: float, v: float) -> np.ndarray:
    """Bilinear value [C] of a plane [C, rows, columns] at u, v in -1..1: u runs along columns, cells end at +-1."""
    side = plane.shape[1]
    x, y = ((np.clip(value, -1, 1) + 1) / 2 * (side - 1) for value in (u, v))
    x0, y0 = min(int(x), side - 2), min(int(y), side - 2)
    a, b = x - x0, y - y0
    upper = (1 - a) * plane[:, y0, x0] + a * plane[:, y0, x0 + 1]
    lower = (1 - a) * plane[:, y0 + 1, x0] + a * plane[:, y0 + 1, x0 + 1]
    return (1 - b) * upper + b * lower


def expected(planes: TriPlane, position: np.ndarray) -> np.ndarray:
    features = []
    for parameter in planes.planes:
        plane = parameter.detach().double().numpy()
        three = [look_up(plane[k], *(position[list(pair)] / BOUND)) for k, pair in enumerate(AXES)]
        features.append(np.prod(three, 0) if planes.combine == "product" else np.concatenate(three))
    return np.concatenate(features)


@pytest.mark.parametrize("combine", ["concat", "product"])
def test_is_the_look_up_by_hand(combine: Combine) -> None:
    torch.manual_seed(0)
    planes = TriPlane((5, 8), 3, BOUND, combine)
    inside = np.random.default_rng(0).uniform(-BOUND, BOUND, (40, 3))
    corners = np.array([[BOUND, BOUND, BOUND], [-BOUND, BOUND, -BOUND], [0, 0, 0]])
    positions = np.concatenate([inside, corners])
    features = planes(torch.from_numpy(positions).float()).detach().numpy()
    assert features.shape == (len(positions), planes.width)
    np.testing.assert_allclose(features, [expected(planes, p) for p in positions], atol=1e-5)


@pytest.mark.parametrize("combine", ["concat", "product"])
def test_outside_of_the_cube_the_border_goes_on(combine: Combine) -> None:
    planes = TriPlane((6,), 2, BOUND, combine)
    far = torch.tensor([[0.4, -1.0, 0.05], [0.16, 0.0, 3.0]])
    torch.testing.assert_close(planes(far), planes(far.clamp(-BOUND, BOUND)))


def test_widths_of_both_combinations() -> None:
    assert TriPlane((4, 6, 9), 5, BOUND, "concat").width == 3 * 5 * 3
    assert TriPlane((4, 6, 9), 5, BOUND, "product").width == 3 * 5


def test_released_planes_have_the_released_size() -> None:
    """Method 3.1: 16 channels, sides 64 to 512 make 64 features and 16 711 680 parameters of planes."""
    planes = TriPlane((64, 128, 256, 512), 16, BOUND, "product")
    assert planes.width == 64
    assert sum(p.numel() for p in planes.parameters()) == 3 * 16 * (64**2 + 128**2 + 256**2 + 512**2) == 16_711_680
