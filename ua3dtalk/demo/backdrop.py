"""The still background: a room out of focus, made of soft shapes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ua3dtalk.demo.noise import fractal_noise


def backdrop(size: int) -> np.ndarray:
    """[size, size, 3] linear RGB, the same picture at every size."""
    work = 512
    y, x = (np.mgrid[0:work, 0:work] + 0.5) / work
    light = 0.62 + 0.38 * np.exp(-(((x - 0.30) / 0.55) ** 2) - ((y - 0.30) / 0.60) ** 2)
    image = light[..., None] * np.array([0.33, 0.36, 0.37]) * (1 - 0.25 * y[..., None])
    shapes = (  # left, top, right, bottom, colour: a shelf with things on it, a lamp, a window's edge
        (0.70, 0.42, 1.05, 0.445, (0.20, 0.13, 0.08)),
        (0.74, 0.27, 0.775, 0.42, (0.12, 0.20, 0.24)),
        (0.785, 0.24, 0.815, 0.42, (0.36, 0.16, 0.10)),
        (0.825, 0.29, 0.87, 0.42, (0.42, 0.36, 0.24)),
        (0.90, 0.32, 0.965, 0.42, (0.10, 0.22, 0.15)),
        (-0.05, -0.05, 0.13, 0.75, (0.62, 0.62, 0.58)),
        (0.13, -0.05, 0.155, 0.78, (0.26, 0.24, 0.22)),
    )
    for left, top, right, bottom, colour in shapes:
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        image[inside] = np.array(colour) * light[inside][:, None] * 1.1
    leaf = ((x - 0.93) / 0.055) ** 2 + ((y - 0.27) / 0.075) ** 2 < 1
    image[leaf] = [0.07, 0.16, 0.07]
    for channel in range(3):
        image[..., channel] = gaussian_filter(image[..., channel], 9.0, mode="nearest")
    grain = fractal_noise(np.stack([x.ravel(), y.ravel()], axis=1), 0.25, 3, 31).reshape(work, work)
    image = image * (1 + 0.04 * grain[..., None])
    if size != work:
        import cv2

        interpolation = cv2.INTER_AREA if size < work else cv2.INTER_CUBIC
        image = cv2.resize(image, (size, size), interpolation=interpolation)
    return np.clip(image, 0, 1).astype(np.float32)
