"""The figure's anatomy: shapes move what they name, and the drawing shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.demo.draw import Scene, draw, load_scene, majority, save_scene
from ua3dtalk.demo.figure import Figure
from ua3dtalk.demo.pose import ROW, gaze_rotation
from ua3dtalk.errors import AssetError
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES, load_head_mesh
from ua3dtalk.subject import Region

STILL = np.zeros(6)
SIZE = 160


def shapes(**values: float) -> np.ndarray:
    row = np.zeros(len(BLENDSHAPE_NAMES))
    for name, value in values.items():
        for full in (name,) if name in ROW else (f"{name}Left", f"{name}Right"):
            row[ROW[full]] = value
    return row


def count(scene: Scene, region: Region, **values: float) -> int:
    return int((draw(scene, shapes(**values), STILL, STILL, SIZE).regions == region).sum())


def test_the_mesh_has_head_axes_and_52_shapes(head_mesh_file: Path) -> None:
    mesh = load_head_mesh(head_mesh_file)
    assert set(BLENDSHAPE_NAMES[1:]) <= set(mesh.shapes)
    left, right = mesh.joints["l-eye"], mesh.joints["r-eye"]
    assert left[0] > 0.02 > -0.02 > right[0]
    assert mesh.vertices[:, 1].min() == pytest.approx(mesh.joints["head-2"][1], abs=0.02)  # y points down
    nose = mesh.vertices[mesh.regions["nose"] > 0.9]
    assert nose[:, 2].max() < left[2] + 0.02  # the nose points to -z
    assert mesh.shapes["jawOpen"][:, 1].max() > 0.02
    assert mesh.quads.max() < len(mesh.vertices)
    assert mesh.faces.shape == (2 * len(mesh.quads), 3)


@pytest.mark.parametrize("name", ["eyeBlink", "mouthSmile", "browDown", "cheekSquint", "mouthFrown"])
def test_left_is_the_persons_left(figure: Figure, name: str) -> None:
    for side, sign in (("Left", 1), ("Right", -1)):
        moved = np.linalg.norm(figure.deltas[ROW[name + side]], axis=1)
        assert sign * (moved * figure.rest[: figure.soft, 0]).sum() > 0


def test_a_missing_mesh_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.whl").write_bytes(b"no zip")
    with pytest.raises(AssetError, match="fetch again"):
        load_head_mesh(tmp_path / "broken.whl")
    with pytest.raises(AssetError, match="lacks"):
        load_head_mesh(tmp_path)


def test_all_regions_are_there(scene: Scene) -> None:
    seen = set(np.unique(draw(scene, shapes(jawOpen=0.4), STILL, STILL, SIZE).regions))
    assert seen == set(Region) - {Region.HAT, Region.GLASSES}


def test_a_blink_covers_the_eyes(scene: Scene) -> None:
    assert count(scene, Region.EYES, eyeBlink=1.0) < 0.25 * count(scene, Region.EYES)


def test_the_mouth_opens_and_closes(scene: Scene) -> None:
    closed, half, wide = (count(scene, Region.MOUTH, jawOpen=value) for value in (0.0, 0.25, 0.6))
    assert closed <= 3
    assert 10 < half < wide


def test_the_head_turns_under_the_same_camera(scene: Scene) -> None:
    ahead = draw(scene, shapes(), STILL, STILL, SIZE)
    turned = draw(scene, shapes(), np.array([0, np.deg2rad(20), 0, 0, 0, 0]), STILL, SIZE)
    turn = turned.world_to_camera[:3, :3] @ ahead.world_to_camera[:3, :3].T
    assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(20, abs=1e-6)
    nose = [np.argwhere(frame.regions == Region.NOSE)[:, 1].mean() for frame in (ahead, turned)]
    assert nose[1] < nose[0] - 3  # the nose goes to the image's left
    shoulders = slice(int(0.85 * SIZE), None)
    assert (ahead.regions[shoulders] == turned.regions[shoulders]).mean() > 0.99


def test_eyes_look_where_they_are_told() -> None:
    ahead = np.array([0, 0, -1.0])
    assert (gaze_rotation(shapes(eyeLookOut=1.0), "Left") @ ahead)[0] > 0.4
    assert (gaze_rotation(shapes(eyeLookOut=1.0), "Right") @ ahead)[0] < -0.4
    assert (gaze_rotation(shapes(eyeLookIn=1.0), "Left") @ ahead)[0] < -0.4
    assert (gaze_rotation(shapes(eyeLookUp=1.0), "Left") @ ahead)[1] < -0.3


def test_the_same_bytes_from_a_scene_that_was_saved(scene: Scene, tmp_path: Path) -> None:
    save_scene(tmp_path / "scene.npz", scene)
    again = load_scene(tmp_path / "scene.npz")
    pose = np.array([0.05, 0.2, 0, 0, 0, 0.002])
    one = draw(scene, shapes(jawOpen=0.3), pose, STILL, SIZE)
    two = draw(again, shapes(jawOpen=0.3), pose, STILL, SIZE)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.regions, two.regions)


def test_majority_of_four_samples() -> None:
    labels = np.array([[1, 1, 2, 3], [1, 2, 3, 4], [5, 5, 0, 0], [5, 5, 7, 7]], np.uint8)
    np.testing.assert_array_equal(majority(labels), [[1, 3], [5, 7]])
