"""Crops and windows of the published evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.signal import medfilt

from ua3dtalk.sync.crops import face_boxes, face_crop
from ua3dtalk.sync.mfcc import mfcc
from ua3dtalk.sync.official import hear_sound, published_figures, see_faces
from ua3dtalk.sync.syncnet import SyncNet


def faces(count: int, size: float = 60.0) -> np.ndarray:
    """Landmarks [n, 478, 3] that fill a rectangle which wanders."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (count, 478, 3)) * [size, 1.3 * size, 10]
    points[:, 0, :2], points[:, 1, :2] = (-0.5 * size, -0.65 * size), (0.5 * size, 0.65 * size)
    return points + np.array([100.0, 80.0, 0]) + rng.normal(0, 2, (count, 1, 3))


def test_boxes_are_smoothed_by_a_median_over_13_frames() -> None:
    points = faces(40)
    boxes = face_boxes(points)
    centre = (points[:, 0, 0] + points[:, 1, 0]) / 2
    np.testing.assert_allclose(boxes[:, 0], medfilt(centre, 13))
    assert boxes[20, 2] == pytest.approx(39)


@pytest.mark.parametrize("box", [(100.3, 80.8, 30.0), (20.0, 15.0, 31.7), (190.0, 150.2, 40.0)])
def test_crop_as_published(box: tuple[float, float, float]) -> None:
    """Every side padded by 110, the square cut by the published numbers, channels as OpenCV reads them."""
    frame = np.random.default_rng(1).integers(0, 256, (160, 200, 3), np.uint8)
    x, y, half = box
    border = int(half * 1.8)
    padded = np.pad(frame[..., ::-1], ((border, border), (border, border), (0, 0)), constant_values=110)
    y, x = y + border, x + border
    cut = padded[int(y - half) : int(y + half * 1.8), int(x - half * 1.4) : int(x + half * 1.4)]
    expected = cv2.resize(np.ascontiguousarray(cut), (224, 224))
    assert np.array_equal(face_crop(frame, np.array(box)), expected)


@pytest.fixture(scope="module")
def net() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet().eval()


@torch.inference_mode()
def test_windows_are_those_of_the_definition(net: SyncNet) -> None:
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (8, 160, 200, 3), np.uint8)
    points, samples = faces(8), rng.normal(0, 0.1, 8 * 640)
    seen = see_faces(net, lambda i: frames[i], points, 3)
    crops = np.stack([face_crop(frame, box) for frame, box in zip(frames, face_boxes(points), strict=True)])
    video = torch.from_numpy(crops.astype(np.float32)).permute(3, 0, 1, 2)[None]  # [1, 3, T, H, W]
    expected = torch.cat([net.see(video[:, :, i : i + 5]) for i in range(3)])
    np.testing.assert_allclose(seen, expected, rtol=1e-3, atol=1e-4)
    coefficients = torch.from_numpy(mfcc(np.rint(samples * 32768)).T.astype(np.float32))[None, None]
    expected = torch.cat([net.hear(coefficients[..., 4 * i : 4 * i + 20]) for i in range(3)])
    np.testing.assert_allclose(hear_sound(net, samples, 3), expected, rtol=1e-3, atol=1e-4)


def test_too_short_a_stretch_has_no_figures(net: SyncNet) -> None:
    assert published_figures(net, lambda i: np.zeros((9, 9, 3), np.uint8), faces(5), np.zeros(5 * 640)) is None
