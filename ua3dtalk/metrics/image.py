"""PSNR, SSIM and MS-SSIM of frames, and crops around the face. Frames are uint8 or float 0..1, [H, W, 3]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SSIM_TAPS, SSIM_SIGMA = 11, 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_LEAST = (SSIM_TAPS - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1  # px: the last scale holds a window
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def unit(image: np.ndarray) -> np.ndarray:
    """float32 0..1 of an image in either range."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    return image.astype(np.float32)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise ratio in dB over all pixels and channels; infinite for equal images."""
    import cv2

    if image.dtype == truth.dtype == np.uint8:
        error = cv2.norm(image, truth, cv2.NORM_L2SQR) / (image.size * 255.0**2)
    else:
        error = float(np.mean((unit(image).astype(np.float64) - unit(truth)) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity, mean over pixels and channels.

    Gaussian window of 11 taps and sigma 1.5, population covariance, data range 1, the border of 5 px left out: equal
    to scikit-image's ``structural_similarity(gaussian_weights=True, use_sample_covariance=False)``.
    Source: Wang et al. 2004, equation 13.
    """
    return similarities(image, truth, scales=1)[0]


def ms_ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity over five scales, mean over channels; nan for pictures below 161 px.

    Window and constants of `ssim`; each scale is the mean of 2 x 2 px of the one before (an odd last row or column is
    repeated); contrast and structure of scales 1 to 5, luminance of the last, each mean over pixels to the power of its
    weight; a negative mean counts as 0.
    Source: Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003, eq. 7
    and the weights of section 3.2.
    """
    return similarities(image, truth)[1]


def similarities(image: np.ndarray, truth: np.ndarray, scales: int = len(MS_SSIM_WEIGHTS)) -> tuple[float, float]:
    """`ssim` and `ms_ssim` together, since the first scale is the dearest; `scales` 1 leaves the second nan."""
    x, y = unit(image), unit(truth)
    every = scales > 1 and min(x.shape[:2]) >= MS_SSIM_LEAST
    total = np.ones(x.shape[2])
    single = math.nan
    for number, weight in enumerate(MS_SSIM_WEIGHTS if every else MS_SSIM_WEIGHTS[:1]):
        luminance, structure = _similarity(x, y)
        if number == 0:
            single = float(np.mean(luminance * structure, dtype=np.float64))
        last = number == len(MS_SSIM_WEIGHTS) - 1
        values = luminance * structure if last else structure
        total *= np.maximum(values.mean(axis=(0, 1), dtype=np.float64), 0) ** weight
        if every and not last:
            x, y = _halved(x), _halved(y)
    return single, float(total.mean()) if every else math.nan


def _similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, of each pixel and channel that has a whole window around it."""
    import cv2

    kernel = cv2.getGaussianKernel(SSIM_TAPS, SSIM_SIGMA, cv2.CV_32F)
    inner = slice(SSIM_TAPS // 2, -(SSIM_TAPS // 2))

    def blur(values: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(values, -1, kernel, kernel)[inner, inner]

    mean_x, mean_y = blur(x), blur(y)
    variance_x = blur(x * x) - mean_x**2
    variance_y = blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return luminance, structure


def _halved(values: np.ndarray) -> np.ndarray:
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def face_squares(points: np.ndarray, size: tuple[int, int], margin: float = 0.1) -> np.ndarray:
    """Squares of one common side around the face of each frame.

    Args:
        points: landmarks [n, P, >= 2] px; rows of frames without a face are nan and take their neighbours' square.
        size: height, width of the frames.
        margin: added to the face's own extent, in all.
    Returns:
        int [n, 3]: left, top, side, inside the frame. One side for all frames (the 95th percentile of the faces'),
        so that crops are the frames' own pixels, never resampled.
    """
    low, high = points[..., :2].min(axis=1), points[..., :2].max(axis=1)
    found = np.isfinite(low[:, 0])
    if not found.any():
        raise ValueError("no frame has a face")
    extent = float(np.percentile((high - low)[found].max(axis=1), 95)) * (1 + margin)
    side = int(min(max(extent, SSIM_TAPS + 1), *size))
    numbers = np.arange(len(points))
    centre = np.stack([np.interp(numbers, numbers[found], ((low + high) / 2)[found, axis]) for axis in (0, 1)], axis=1)
    corner = np.clip(np.rint(centre - side / 2), 0, np.array([size[1] - side, size[0] - side])).astype(int)
    return np.concatenate([corner, np.full((len(points), 1), side)], axis=1)


def crop(frame: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The part of [H, W, 3] inside (left, top, side) or (left, top, width, height)."""
    left, top, width = place[:3]
    height = place[-1]
    return frame[top : top + height, left : left + width]


def whole(count: int, size: Sequence[int]) -> np.ndarray:
    """Rectangles (left, top, width, height) that take all of frames of a size (height, width): [count, 4]."""
    return np.tile([0, 0, size[1], size[0]], (count, 1))
