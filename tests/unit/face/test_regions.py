"""Regions: the parser's network, reading its logits, cleaning, and the mouth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.path import Path as Polygon

from ua3dtalk.errors import AssetError
from ua3dtalk.face import regions
from ua3dtalk.face.bisenet import SIDE, BiSeNet, load_parser
from ua3dtalk.face.landmarker import EYE_CORNERS, INNER_LIPS
from ua3dtalk.face.pixels import inside_polygon
from ua3dtalk.face.regions import (
    CLASS_REGIONS,
    COLOURS,
    export_parser,
    labels_of,
    parse_regions,
    with_mouth,
    without_specks,
)
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import Region, Subject


def portrait(side: int = 128) -> np.ndarray:
    """Labels of a schematic person: hair, face, mouth, neck, cloth."""
    y, x = np.mgrid[:side, :side] / side
    labels = np.zeros((side, side), np.uint8)
    labels[(y > 0.8) & (abs(x - 0.5) < 0.4)] = Region.CLOTH
    labels[(y > 0.6) & (y <= 0.8) & (abs(x - 0.5) < 0.1)] = Region.NECK
    labels[((x - 0.5) / 0.24) ** 2 + ((y - 0.38) / 0.3) ** 2 < 1] = Region.HAIR
    labels[((x - 0.5) / 0.2) ** 2 + ((y - 0.42) / 0.26) ** 2 < 1] = Region.SKIN
    labels[(abs(x - 0.5) < 0.08) & (abs(y - 0.55) < 0.04)] = Region.LIPS
    return labels


def points_with_mouth(width: float, opening: float, centre: tuple[float, float]) -> np.ndarray:
    """478 points whose inner lips are an ellipse and whose eyes are 40 px apart."""
    points = np.zeros((478, 2))
    angles = np.linspace(np.pi, -np.pi, len(INNER_LIPS), endpoint=False)
    ring = np.stack([centre[0] + width / 2 * np.cos(angles), centre[1] - opening / 2 * np.sin(angles)], axis=1)
    points[list(INNER_LIPS)] = ring
    points[13], points[14] = (centre[0], centre[1] - opening / 2), (centre[0], centre[1] + opening / 2)
    points[EYE_CORNERS[0]], points[EYE_CORNERS[1]] = (centre[0] - 20, 30), (centre[0] + 20, 30)
    return points


def test_every_class_has_a_region_and_every_region_a_colour() -> None:
    assert len(CLASS_REGIONS) == 19
    assert set(CLASS_REGIONS.tolist()) == {int(region) for region in Region}
    assert len(np.unique(COLOURS, axis=0)) == len(Region)


@pytest.mark.parametrize("size", [(64, 64), (200, 200), (97, 131)])
def test_logits_are_read_as_torch_enlarges_them(size: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).normal(size=(19, 16, 16)).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.tensor(logits)[None], size, mode="bilinear", align_corners=True)[0]
    expected = CLASS_REGIONS[large.argmax(dim=0).numpy()]
    assert (labels_of(logits, *size) != expected).mean() < 1e-3


def test_a_clean_person_stays_as_it_is() -> None:
    labels = portrait()
    np.testing.assert_array_equal(without_specks(labels), labels)


def test_islands_and_pinholes_go_and_nothing_else_changes() -> None:
    clean = portrait()
    dirty = clean.copy()
    dirty[5:9, 5:9] = Region.CLOTH  # cloth in the sky
    dirty[10:25, 100:112] = Region.SKIN  # a second, smaller head
    dirty[110:114, 60:64] = Region.BACKGROUND  # a hole in the cloth
    np.testing.assert_array_equal(without_specks(dirty), clean)


def test_hair_that_does_not_touch_the_face_is_not_head() -> None:
    labels = portrait()
    labels[60:90, 2:12] = Region.HAIR
    assert not (without_specks(labels)[60:90, 2:12] == Region.HAIR).any()


def test_a_patch_of_hat_on_the_hair_is_hair_and_a_real_hat_stays() -> None:
    labels = portrait()
    labels[13:17, 60:68] = Region.HAT
    np.testing.assert_array_equal(without_specks(labels), portrait())
    labels[8:22, 40:90] = Region.HAT
    assert (without_specks(labels) == Region.HAT).sum() == (labels == Region.HAT).sum()


def test_a_frame_without_a_person_stays_background() -> None:
    assert not without_specks(np.zeros((64, 64), np.uint8)).any()


def test_open_lips_fill_the_mouth_that_the_parser_missed() -> None:
    labels = portrait()
    points = points_with_mouth(16, 6, (64, 70))
    filled = with_mouth(labels, points)
    inside = inside_polygon(points[list(INNER_LIPS)], *labels.shape)
    assert inside.sum() > 50
    np.testing.assert_array_equal(filled == Region.MOUTH, inside)
    np.testing.assert_array_equal(filled[~inside], labels[~inside])


def test_mouth_far_from_the_inner_lips_becomes_lips() -> None:
    labels = portrait()
    labels[66:75, 55:74] = Region.MOUTH
    result = with_mouth(labels, points_with_mouth(10, 4, (64, 70)))
    assert result[66, 55] == Region.LIPS
    assert result[70, 64] == Region.MOUTH


def test_closed_lips_have_no_mouth_but_what_the_parser_sees_between_them() -> None:
    points = points_with_mouth(16, 0.5, (64, 70))
    assert not (with_mouth(portrait(), points) == Region.MOUTH).any()


def test_a_hand_before_the_mouth_stays() -> None:
    labels = portrait()
    labels[60:80, 50:80] = Region.HAIR
    np.testing.assert_array_equal(with_mouth(labels, points_with_mouth(16, 6, (64, 70))), labels)


def test_polygon_equals_matplotlib() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:40, :50] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    for _ in range(20):
        polygon = rng.uniform(-10, 60, size=(7, 2))
        # The even-odd rule equals matplotlib's winding rule on polygons that do not cross themselves.
        around = polygon - polygon.mean(axis=0)
        polygon = polygon[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
        expected = Polygon(polygon).contains_points(centres).reshape(40, 50)
        assert (inside_polygon(polygon, 40, 50) != expected).sum() == 0


def test_stage_keeps_the_order_of_frames_and_leaves_frames_without_a_face_to_the_parser(
    make_bundle: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scripted parser that answers late for even frames: the result must not depend on who is ready first."""
    side, total = 64, 12
    video = np.zeros((total, side, side, 3), np.uint8)
    video[:] = np.arange(total, dtype=np.uint8)[:, None, None, None]
    subject = make_bundle(video)
    valid = np.arange(total) != 3
    points = np.zeros((total, 478, 3), np.float32)
    np.savez(
        subject.root / "landmarks.npz",
        points=points,
        blendshapes=points[:, :52, 0],
        valid=valid,
        names=[f"shape{k}" for k in range(52)],
    )
    seen: list[bool] = []

    def run(_: object, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        k = int(feed["rgb"][0, 0, 0, 0])
        logits = np.zeros((1, 19, 8, 8), np.float32)
        logits[0, 1 if k % 2 else 17] = 1
        return [logits]

    session = SimpleNamespace(run=run, get_inputs=lambda: [SimpleNamespace(shape=[1, SIDE, SIDE, 3])])
    monkeypatch.setattr(regions, "_session", lambda model: session)
    monkeypatch.setattr(regions, "without_specks", lambda labels: labels)
    monkeypatch.setattr(regions, "with_mouth", lambda labels, points: seen.append(True) or labels)
    parse_regions(
        subject=subject,
        model=Path("unused"),
        out=subject.root / "regions.npy",
        picture=subject.root / "regions.png",
        settings=FaceSettings(),
        state="0",
        threads=3,
    )
    expected = [Region.SKIN if k % 2 else Region.HAIR for k in range(total)]
    assert [int(frame[0, 0]) for frame in subject.regions] == expected
    assert len(seen) == total - 1
    assert (subject.root / "regions.png").exists()


def test_export_keeps_the_network(tmp_path: Path) -> None:
    """Random weights through the file formats: ONNX Runtime answers what torch answers."""
    import onnxruntime

    torch.manual_seed(0)
    network = BiSeNet().eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    export_parser(weights=tmp_path / "weights.pth", out=tmp_path / "parser.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "parser.onnx"), providers=["CPUExecutionProvider"])
    frame = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(torch.tensor(frame)).numpy()
    answer = session.run(None, {"rgb": frame})[0]
    assert answer.shape == (1, 19, SIDE // 8, SIDE // 8)
    np.testing.assert_allclose(answer, expected, atol=1e-3)


def test_published_weights_fit_by_name_and_shape(parser_weights: Path) -> None:
    load_parser(parser_weights)


def test_wrong_or_missing_weights_are_one_line(tmp_path: Path) -> None:
    torch.save({"layer": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, cause in (("other.pth", "does not hold"), ("text.pth", "does not hold"), ("none.pth", "is missing")):
        with pytest.raises(AssetError, match=cause) as caught:
            load_parser(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "broken.onnx").write_text("no model")
    with pytest.raises(AssetError, match="no ONNX model"):
        regions._session(tmp_path / "broken.onnx")


def test_a_real_face_is_parsed(clips: Path, parser_weights: Path, tmp_path: Path) -> None:
    """Regions of a portrait lie where they must: brows above eyes above nose above lips above neck above cloth."""
    from ua3dtalk.media.frames import frames_at

    export_parser(weights=parser_weights, out=tmp_path / "parser.onnx")
    frame = next(iter(frames_at(clips / "video/obama.mp4")))
    labels = without_specks(labels_of(regions._logits(regions._session(tmp_path / "parser.onnx"), frame), 256, 256))
    order = (Region.HAIR, Region.BROWS, Region.EYES, Region.NOSE, Region.LIPS, Region.NECK, Region.CLOTH)
    rows = [np.argwhere(labels == region)[:, 0].mean() for region in order]
    assert rows == sorted(rows)
    assert 0.1 < (labels == Region.SKIN).mean() < 0.3
    assert (labels == Region.CLOTH).mean() > 0.1
