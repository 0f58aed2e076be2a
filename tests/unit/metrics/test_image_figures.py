"""PSNR and SSIM against scikit-image, and the crops around the face."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ua3dtalk.metrics.image import crop, face_squares, ms_ssim, psnr, ssim


def pair(seed: int, height: int = 40, width: int = 33, noise: float = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, height * width).reshape(height, width, 1)
    truth = np.clip(ramp + rng.normal(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)
    return np.clip(truth + rng.normal(0, noise, truth.shape), 0, 255).astype(np.uint8), truth


@settings(deadline=None)  # the first call loads OpenCV
@given(seed=st.integers(0, 1000), noise=st.floats(0.6, 80), width=st.integers(12, 50))
def test_equal_to_scikit_image(seed: int, noise: float, width: int) -> None:
    image, truth = pair(seed, width=width, noise=noise)
    assert psnr(image, truth) == pytest.approx(peak_signal_noise_ratio(truth, image), abs=1e-4)
    expected = structural_similarity(
        image / 255,
        truth / 255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
    )
    assert ssim(image, truth) == pytest.approx(expected, abs=2e-5)


def test_equal_images_and_float_range() -> None:
    image, truth = pair(0)
    assert psnr(truth, truth) == math.inf
    assert ssim(truth, truth) == pytest.approx(1, abs=1e-6)
    assert psnr(image / 255, truth / 255) == pytest.approx(psnr(image, truth), abs=1e-4)
    assert psnr(np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1)) == pytest.approx(20, abs=1e-5)


def points_around(centres: np.ndarray, extent: float) -> np.ndarray:
    corners = np.array([[-1, -1, 0], [1, 1, 0], [0, 0.5, 0]]) * extent / 2
    return np.concatenate([centres, np.zeros((len(centres), 1))], axis=1)[:, None] + corners


def test_squares_have_one_side_and_follow_the_face() -> None:
    centres = np.array([[50.0, 40], [54, 40], [58, 44]])
    squares = face_squares(points_around(centres, 40), (100, 120))
    assert (squares[:, 2] == 44).all()
    np.testing.assert_allclose(squares[:, :2] + 22, centres, atol=0.5)


@given(
    x=st.floats(-20, 140),
    y=st.floats(-20, 120),
    extent=st.floats(1, 300),
    size=st.tuples(st.integers(20, 100), st.integers(20, 120)),
)
def test_squares_stay_inside_the_frame(x: float, y: float, extent: float, size: tuple[int, int]) -> None:
    left, top, side = face_squares(points_around(np.array([[x, y]]), extent), size)[0]
    assert left >= 0 and top >= 0 and left + side <= size[1] and top + side <= size[0]
    assert crop(np.zeros((*size, 3)), np.array([left, top, side])).shape == (side, side, 3)


def test_frames_without_a_face_take_their_neighbours_square() -> None:
    points = points_around(np.array([[40.0, 40], [np.nan, np.nan], [44, 48]]), 20)
    squares = face_squares(points, (100, 100))
    np.testing.assert_array_equal(squares[1, :2] * 2, squares[0, :2] + squares[2, :2])
    with pytest.raises(ValueError, match="no frame has a face"):
        face_squares(np.full((3, 4, 3), np.nan), (100, 100))


def smooth_pair(height: int, width: int, strength: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures with structure at every scale."""
    import cv2

    rng = np.random.default_rng(seed)
    sigmas = (1, 3, 9, 20)
    layers = [cv2.GaussianBlur(rng.normal(0, 30 * s, (height, width, 3)), (0, 0), s) for s in sigmas]
    other = [cv2.GaussianBlur(rng.normal(0, 30 * s, (height, width, 3)), (0, 0), s) for s in sigmas]
    truth = 128 + np.sum(layers, axis=0)
    shown = truth + strength * np.sum(other, axis=0)
    return shown.clip(0, 255).astype(np.uint8), truth.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("size", "strength"), [((176, 192), 0.1), ((256, 256), 0.5), ((320, 176), 1.5)])
def test_ms_ssim_equals_pytorch_msssim(size: tuple[int, int], strength: float) -> None:
    package = pytest.importorskip("pytorch_msssim", reason="the reference is not installed")
    import torch

    shown, truth = smooth_pair(*size, strength)
    x, y = (torch.from_numpy(z.astype(np.float64)).permute(2, 0, 1)[None] for z in (shown, truth))
    assert ms_ssim(shown, truth) == pytest.approx(float(package.ms_ssim(x, y, data_range=255)), rel=1e-4)


def test_ms_ssim_by_its_equation() -> None:
    """Scale by scale with scikit-image's maps of luminance times structure and a flat picture's luminance."""
    shown, truth = smooth_pair(180, 170, 0.7)
    x, y = shown / 255.0, truth / 255.0
    total = np.ones(3)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        for c in range(3):
            a, b = x[..., c], y[..., c]
            _, full = structural_similarity(
                a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
            )
            blur = [gaussian_filter(z, 1.5, truncate=3.5) for z in (a, b)]
            luminance = (2 * blur[0] * blur[1] + 1e-4) / (blur[0] ** 2 + blur[1] ** 2 + 1e-4)
            inner = (slice(5, -5), slice(5, -5))
            total[c] *= max((full if scale == 4 else full / luminance)[inner].mean(), 0) ** weight
        if scale < 4:
            x, y = (np.pad(z, ((0, len(z) % 2), (0, z.shape[1] % 2), (0, 0)), mode="edge") for z in (x, y))
            x, y = (block_reduce(z, (2, 2, 1), np.mean) for z in (x, y))
    assert ms_ssim(shown, truth) == pytest.approx(total.mean(), rel=1e-4)


def test_ms_ssim_of_small_pictures_is_not_defined() -> None:
    small, least = np.zeros((160, 300, 3), np.uint8), np.zeros((161, 161, 3), np.uint8)
    assert np.isnan(ms_ssim(small, small))
    assert ms_ssim(least, least) == 1
