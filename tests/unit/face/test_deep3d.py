"""Deep3DFaceRecon: official names, and alignment that puts faces where the network was trained to see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from official_names import random_state, read_names

from ua3dtalk.errors import AssetError, DataError
from ua3dtalk.face.deep3d import (
    PARTS,
    STANDARD,
    ReconNet,
    align,
    coefficients,
    expressions,
    load_deep3d,
    placement,
    split,
)
from ua3dtalk.face.points68 import POINTS_68, five_points, to_68

OFFICIAL = read_names(Path(__file__).parent / "data" / "deep3d_names.txt")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state(OFFICIAL)


@pytest.fixture(scope="module")
def net(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> ReconNet:
    path = tmp_path_factory.mktemp("deep3d") / "epoch_20.pth"
    torch.save({"net_recon": state, "opt_00": {"state": {}, "param_groups": []}, "sched_00": {"last_epoch": 20}}, path)
    return load_deep3d(path)


def test_names_and_shapes_are_the_official_ones() -> None:
    assert {name: tuple(value.shape) for name, value in ReconNet().state_dict().items()} == OFFICIAL


def test_sadtalkers_safetensors_hold_the_same_net_among_others(
    net: ReconNet, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "SadTalker.safetensors"
    save_file({f"face_3drecon.{name}": v for name, v in state.items()} | {"audio2exp.x": torch.zeros(2)}, path)
    loaded = load_deep3d(path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"Deep3DFaceRecon_pytorch.*licences\.md.*priors\.deep3d") as error:
        load_deep3d(tmp_path / "epoch_20.pth")
    assert "\n" not in str(error.value)


def seen(scale: float, centre: tuple[float, float], height: int) -> np.ndarray:
    """The standard points as a camera far away sees them: pixels [5, 2], y down."""
    x = centre[0] + scale * STANDARD[:, 0]
    y = height - (centre[1] + scale * STANDARD[:, 1])
    return np.stack([x, y], 1)


def test_placement_is_found_exactly() -> None:
    scale, centre = placement(seen(80.0, (140.0, 90.0), 300), 300)
    assert scale == pytest.approx(80, rel=1e-9)
    np.testing.assert_allclose(centre, [139.5, 89.5], atol=1e-9)


def test_placement_against_the_normal_equations() -> None:
    """Noisy points: the published least squares of eight unknowns, solved another way."""
    rng = np.random.default_rng(0)
    points = seen(80.0, (140.0, 90.0), 300) + rng.normal(0, 2, (5, 2))
    system, wanted = np.zeros((10, 8)), np.zeros(10)
    for k in range(5):
        system[2 * k, :3], system[2 * k, 3] = STANDARD[k], 1
        system[2 * k + 1, 4:7], system[2 * k + 1, 7] = STANDARD[k], 1
        wanted[2 * k], wanted[2 * k + 1] = points[k, 0] - 0.5, 300 - 1 - (points[k, 1] - 0.5)
    solved = np.linalg.solve(system.T @ system, system.T @ wanted)
    scale, centre = placement(points, 300)
    assert scale == pytest.approx((np.linalg.norm(solved[:3]) + np.linalg.norm(solved[4:7])) / 2, rel=1e-6)
    np.testing.assert_allclose(centre, solved[[3, 7]], rtol=1e-6)


@pytest.mark.parametrize(("scale", "centre"), [(51.0, (150.0, 160.0)), (204.0, (330.0, 250.0)), (60.0, (45.0, 130.0))])
def test_an_aligned_face_lies_in_the_middle_at_its_size(scale: float, centre: tuple[float, float]) -> None:
    height, width = 400, 500
    points = seen(scale, centre, height)
    picture = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    sigma = scale / 15
    for channel, (x, y) in enumerate(points[[0, 1, 3]]):
        picture[..., channel] = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    face = align(picture, points)
    assert face.shape == (224, 224, 3)
    rows, columns = np.mgrid[:224, :224] + 0.5
    for channel, standard in enumerate(STANDARD[[0, 1, 3]]):
        weight = face[..., channel].astype(float)
        found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        expected = [112 + 102 * standard[0], 112 - 102 * standard[1]]
        # whole pixels, as published, and the half pixel between its coordinates and ours
        np.testing.assert_allclose(found, expected, atol=2.5)


def test_points_on_a_line_are_refused() -> None:
    with pytest.raises(DataError, match="line"):
        placement(np.array([[k, 2.0 * k] for k in range(5)]), 100)


def test_coefficients_are_split_in_the_published_order(net: ReconNet) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, 120, 160, 3), dtype=np.uint8)
    points = np.stack([seen(40.0, (80.0, 60.0), 120)] * 2)
    found = coefficients(net, iter(pictures), points, batch=1)
    assert found.shape == (2, 257) and np.isfinite(found).all()
    parts = split(found)
    assert {name: part.shape[1] for name, part in parts.items()} == PARTS
    np.testing.assert_array_equal(parts["expression"], found[:, 80:144])
    np.testing.assert_array_equal(parts["translation"], found[:, 254:])
    planes = torch.from_numpy(align(pictures[1], points[1]).transpose(2, 0, 1).copy())[None] / 255
    with torch.inference_mode():
        np.testing.assert_allclose(net(planes)[0].numpy(), found[1], rtol=1e-4, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0
    assert expressions(net, iter(()), np.zeros((0, 5, 2))).shape == (0, 64)


def test_sixty_eight_points_of_a_face_that_looks_ahead() -> None:
    from ua3dtalk.face.basis import expression_basis

    assert len(set(POINTS_68)) == 68
    face = to_68(expression_basis().canonical)  # x right, y down in the image
    left, right, nose, left_corner, right_corner = five_points(face)
    assert left[0] < nose[0] < right[0] and left_corner[0] < nose[0] < right_corner[0]
    assert left[1] < nose[1] < left_corner[1]
    assert face[8, 1] == face[:, 1].max()  # the chin
    assert (np.diff(face[:17, 0]) > 0).all()
    assert face[30, 2] == face[27:36, 2].min()  # the nose's tip is nearest to the camera
    np.testing.assert_allclose(face[[48, 60], 0], -face[[54, 64], 0], atol=2e-3)
