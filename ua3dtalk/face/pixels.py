"""Distances and fillings on masks, shared by regions and layers."""

from __future__ import annotations

import cv2
import numpy as np


def nearest(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel the nearest known one.

    Args:
        known: bool [H, W] with at least one True.
    Returns:
        distance float32 [H, W] px (0 where known) and the flat index of that pixel, int [H, W].
    """
    distance, ids = cv2.distanceTransformWithLabels(
        np.where(known, np.uint8(0), np.uint8(1)), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index_of = np.zeros(ids.max() + 1, np.int64)
    index_of[ids[known]] = np.flatnonzero(known)
    return distance, index_of[ids]


def take(image: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The values of image [H, W, ...] at flat pixel indices [H, W]."""
    return image.reshape(-1, *image.shape[2:])[index]


def inpaint(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill what is unknown smoothly from what is known; known pixels stay as they are.

    Pull-push: averages of the known pixels over ever larger blocks, then back from coarse to fine. Near the known
    pixels it has their detail, far away their mean, and it never invents an edge.

    Args:
        image: float32 [H, W, C]; known: bool [H, W].
    Source: Gortler et al., The Lumigraph (1996), section 3.6.2.
    """
    if known.all():
        return image
    height, width = known.shape
    if height <= 1 and width <= 1:
        return np.full_like(image, 127.0)
    weight = known.astype(np.float32)
    padding = ((0, height % 2), (0, width % 2))
    padded = np.pad(weight, padding)
    sums = np.pad(image * weight[..., None], (*padding, (0, 0)))
    below = padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
    colour = sums[0::2, 0::2] + sums[1::2, 0::2] + sums[0::2, 1::2] + sums[1::2, 1::2]
    coarse = inpaint(colour / np.maximum(below, 1)[..., None], below > 0)
    fine = cv2.resize(coarse, (padded.shape[1], padded.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], image, fine.reshape(*padded.shape, -1)[:height, :width])


def inside_polygon(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which pixels have their centre, (0.5, 0.5) for the first, inside a polygon.

    Args:
        polygon: [n, 2] px, closed by itself.
    Returns:
        bool [height, width], by the even-odd rule.
    """
    mask = np.zeros((height, width), bool)
    limits = np.array([width, height])
    low = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, limits)
    high = np.clip(np.ceil(polygon.max(axis=0)).astype(int), 0, limits)
    x = np.arange(low[0], high[0])[None, :] + 0.5
    y = np.arange(low[1], high[1])[:, None] + 0.5
    part = mask[low[1] : high[1], low[0] : high[0]]
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            part ^= ((y0 > y) != (y1 > y)) & (x < crossing)
    return mask
