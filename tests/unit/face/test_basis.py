"""The open expression basis: right size, right axes, shapes that do what they are called."""

from __future__ import annotations

import numpy as np

from ua3dtalk.face.basis import BASIS_FILE, ERRORS_FILE, IRISES, NAMES, RIGID, expression_basis, landmark_errors


def test_sizes_and_names() -> None:
    basis = expression_basis()
    assert basis.shapes.shape == (52, 478, 3) and basis.canonical.shape == (478, 3)
    assert basis.triangles.shape == (898, 3) and basis.triangles.max() == 467
    assert basis.names == tuple(NAMES) and len(set(NAMES)) == 52
    assert np.isfinite(basis.shapes).all()
    assert not basis.shapes[0].any()  # _neutral moves nothing
    assert BASIS_FILE.stat().st_size + ERRORS_FILE.stat().st_size < 400_000


def test_axes_and_metres() -> None:
    face = expression_basis().canonical
    nose, chin, forehead = face[1], face[152], face[10]
    assert nose[2] < min(chin[2], forehead[2])  # the nose points to -z
    assert forehead[1] < nose[1] < chin[1]  # y down
    assert face[33][0] < 0 < face[263][0]  # the image's left eye first
    assert 0.12 < np.linalg.norm(face[234] - face[454]) < 0.17
    for iris, corners in zip(IRISES, ((33, 133), (362, 263)), strict=True):
        assert np.abs(face[iris[0]] - face[list(corners)].mean(0)).max() < 0.012


def test_shapes_move_what_their_names_say() -> None:
    basis = expression_basis()

    def move(name: str, point: int) -> np.ndarray:
        return 1e3 * basis.shapes[basis.index(name)[0], point]  # mm

    assert move("jawOpen", 14)[1] > 15 and move("jawOpen", 152)[1] > 15  # lower lip and chin go down
    assert abs(move("jawOpen", 13)[1]) < 5  # the upper lip stays
    assert move("mouthSmileLeft", 291)[0] > 3 and move("mouthSmileLeft", 291)[1] < -3  # the person's left: image right
    assert np.abs(move("mouthSmileLeft", 61)).max() < 3
    assert move("eyeBlinkLeft", 386)[1] > 4 and move("eyeBlinkRight", 159)[1] > 4  # upper lids
    assert np.abs(move("eyeBlinkLeft", 159)).max() < 1
    assert move("browInnerUp", 107)[1] < -2
    assert move("mouthPucker", 61)[0] > 2 and move("mouthPucker", 291)[0] < -2
    assert move("eyeLookOutLeft", 473)[0] > 1 and move("eyeLookUpRight", 468)[1] < -0.5


def test_rigid_points_move_less_than_others() -> None:
    basis = expression_basis()
    size = np.linalg.norm(basis.shapes, axis=-1).max(0)
    assert np.median(size[list(RIGID)]) < 0.5 * np.median(size[:468])


def test_errors_of_the_landmarker() -> None:
    errors = landmark_errors()
    assert errors.fields.shape == (5, 478, 2) and errors.noise.shape == (478,)
    assert 1e-4 < np.median(errors.noise) < 3e-3  # metres
    outline, middle = errors.fields[1, [234, 454], 1], errors.fields[1, [1, 4, 5], 1]
    assert np.ptp([outline.mean(), middle.mean()]) > 0.005  # the outline slides when the head nods
