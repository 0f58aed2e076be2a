"""The shape of lips and chin, free of head pose and size: what speech moves."""

from __future__ import annotations

import numpy as np

from ua3dtalk.face.geometry import similarity
from ua3dtalk.subject import Subject

# Points of the 478-point mesh that speech hardly moves: forehead, temples, bridge of the nose, corners of the eyes.
RIGID = (168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 10, 338, 297, 109, 67, 151, 9, 8, 127, 356, 234, 454)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415)
CHIN = (152, 148, 377, 176, 400)
LEFT_EYE_CORNER, RIGHT_EYE_CORNER = 33, 263


def lip_shapes(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Lips and chin after the rigid points of each frame were laid on those of a reference.

    Args:
        points: landmarks [T, 478, 3] px.
        reference: landmarks [478, 3] in any unit, e.g. the mean over the training frames.
    Returns:
        [T, 45 * 3] in distances of the outer corners of the eyes.
    """
    rigid, moving = list(RIGID), [*OUTER_LIPS, *INNER_LIPS, *CHIN]
    unit = np.linalg.norm(reference[LEFT_EYE_CORNER] - reference[RIGHT_EYE_CORNER])
    shapes = np.empty((len(points), len(moving), 3))
    for frame, p in enumerate(np.asarray(points, float)):
        scale, rotation, shift = similarity(p[rigid], reference[rigid])
        shapes[frame] = (scale * p[moving] @ rotation.T + shift - reference[rigid].mean(0)) / unit
    return shapes.reshape(len(points), -1)


def lip_opening(shapes: np.ndarray) -> np.ndarray:
    """Distance [T] between the middles of the inner lips of `lip_shapes` [T, 45 * 3], in its unit."""
    points = shapes.reshape(len(shapes), -1, 3)
    upper, lower = (len(OUTER_LIPS) + INNER_LIPS.index(point) for point in (13, 14))
    return np.linalg.norm(points[:, upper] - points[:, lower], axis=1)


def lip_coefficients(subject: Subject, train: np.ndarray, count: int) -> np.ndarray:
    """Coefficients [T, count] of the lip shapes, zero mean and unit deviation over training frames.

    The first is the opening, which eyes look at first and speech tells best; the others are the principal components of
    what the opening leaves unexplained. Read by itself, it is read better than out of principal components.
    """
    shapes = lip_shapes(subject.landmarks.points, subject.tracking.neutral)
    centred = shapes - shapes[train].mean(0)
    opening = _standard(lip_opening(shapes)[:, None], train)
    explained, *_ = np.linalg.lstsq(opening[train], centred[train], rcond=None)
    rest = centred - opening @ explained
    _, _, axes = np.linalg.svd(rest[train], full_matrices=False)
    axes = axes[: max(count - 1, 0)]
    # A component's sign is arbitrary; fixed, so that two machines agree.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    return np.hstack([opening, _standard(rest @ axes.T, train)])[:, :count]


def _standard(series: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Series [T, K] without the training frames' mean, in their deviations."""
    return (series - series[train].mean(0)) / (series[train].std(0) + 1e-9)
