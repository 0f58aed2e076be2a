"""What of the lips a sync net may see: a few lengths, free of head pose, of the face's size and of who it is."""

from __future__ import annotations

import numpy as np

from ua3dtalk.face.basis import expression_basis
from ua3dtalk.face.lips import CHIN, INNER_LIPS, OUTER_LIPS, lip_shapes

POINTS = (*OUTER_LIPS, *INNER_LIPS, *CHIN)  # in the order of `lip_shapes`
INNER_PAIRS = ((82, 87), (13, 14), (312, 317))  # upper and lower edge beside, at and beside the middle
LENGTHS = ((0, 17), (61, 291), (78, 308), (0, 13), (14, 17))  # outer opening, both widths, the lips' thickness
HEIGHTS = ((17,), (0,), (152,), (61, 291))  # lower lip, upper lip, chin, corners: below the rigid points' middle
FRONT = (0, 17)  # how far the lips stand forward
MEASURES = 1 + len(LENGTHS) + len(HEIGHTS) + 1


def lip_measures(points: np.ndarray) -> np.ndarray:
    """Lengths and heights of lips and chin after the rigid points were laid on those of the canonical face.

    Args:
        points: landmarks [n, 478, 3] px; nan in frames without a face.
    Returns:
        [n, 11] in distances of the outer eye corners; nan where there is no face.
    """
    measures = np.full((len(points), MEASURES), np.nan)
    found = np.isfinite(points).all(axis=(1, 2))
    if found.any():
        measures[found] = _measure(lip_shapes(points[found], expression_basis().canonical))
    return measures


def visible(measures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures of one clip as the net sees them, and in which frames there was something to see.

    Args:
        measures: [n, 11] of `lip_measures`.
    Returns:
        float32 [n, 11]: the clip's median, which is the person at rest, is taken off, and frames without a face repeat
        the nearest one with; bool [n].
    """
    found = np.isfinite(measures).all(axis=1)
    if not found.any():
        return np.zeros(measures.shape, np.float32), found
    frames = np.flatnonzero(found)
    right = np.searchsorted(frames, np.arange(len(measures))).clip(max=len(frames) - 1)
    left = (right - 1).clip(min=0)
    index = np.arange(len(measures))
    nearest = np.where(np.abs(frames[left] - index) <= np.abs(frames[right] - index), frames[left], frames[right])
    return (measures[nearest] - np.median(measures[found], axis=0)).astype(np.float32), found


def _measure(shapes: np.ndarray) -> np.ndarray:
    points = shapes.reshape(len(shapes), -1, 3)
    at = {point: points[:, place] for place, point in enumerate(POINTS)}

    def length(pair: tuple[int, int]) -> np.ndarray:
        return np.linalg.norm(at[pair[0]] - at[pair[1]], axis=1)

    columns = [np.mean([length(pair) for pair in INNER_PAIRS], axis=0), *(length(pair) for pair in LENGTHS)]
    columns += [np.mean([at[point][:, 1] for point in group], axis=0) for group in HEIGHTS]
    columns.append(np.mean([at[point][:, 2] for point in FRONT], axis=0))
    return np.stack(columns, axis=1)
