"""Shapes of the lips do not know where the head is."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ua3dtalk.face.basis import expression_basis
from ua3dtalk.face.geometry import rotation_matrix
from ua3dtalk.face.lips import CHIN, INNER_LIPS, LEFT_EYE_CORNER, OUTER_LIPS, RIGHT_EYE_CORNER, RIGID, lip_shapes

angle = st.floats(-0.6, 0.6)
POINTS = [*OUTER_LIPS, *INNER_LIPS, *CHIN]


def faces(seed: int, frames: int = 3) -> np.ndarray:
    """Canonical faces with jaws open by 0..1 and a little noise, [frames, 478, 3] m."""
    basis, rng = expression_basis(), np.random.default_rng(seed)
    jaw = basis.shapes[basis.index("jawOpen")[0]]
    opened: np.ndarray = basis.canonical + rng.uniform(0, 1, (frames, 1, 1)) * jaw
    return opened + 1e-3 * rng.standard_normal(opened.shape)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), turn=st.tuples(angle, angle, angle), scale=st.floats(0.1, 3000), shift=angle)
def test_rotation_shift_and_size_do_not_matter(
    seed: int, turn: tuple[float, float, float], scale: float, shift: float
) -> None:
    points, reference = faces(seed), expression_basis().canonical
    moved = scale * (points @ rotation_matrix(np.array(turn)).T + [shift, -shift, 2 * shift])
    np.testing.assert_allclose(lip_shapes(moved, reference), lip_shapes(points, reference), atol=1e-7)


def test_unit_is_the_distance_of_the_eyes_and_origin_the_rigid_points() -> None:
    reference = expression_basis().canonical
    shapes = lip_shapes(reference[None], reference).reshape(-1, 3)
    unit = np.linalg.norm(reference[LEFT_EYE_CORNER] - reference[RIGHT_EYE_CORNER])
    np.testing.assert_allclose(shapes, (reference[POINTS] - reference[list(RIGID)].mean(0)) / unit, atol=1e-9)


def test_the_references_unit_does_not_matter() -> None:
    points, reference = faces(0), expression_basis().canonical
    np.testing.assert_allclose(lip_shapes(points, 1000 * reference), lip_shapes(points, reference), atol=1e-9)


def test_an_opening_jaw_is_seen() -> None:
    basis = expression_basis()
    jaw = basis.shapes[basis.index("jawOpen")[0]]
    shapes = lip_shapes(np.stack([basis.canonical, basis.canonical + jaw]), basis.canonical).reshape(2, -1, 3)
    chin = POINTS.index(CHIN[0])
    assert shapes[1, chin, 1] - shapes[0, chin, 1] > 0.1  # y points down
