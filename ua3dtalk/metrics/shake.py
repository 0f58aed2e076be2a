"""How much the rigid part of the head trembles: second differences of its place in the picture, in time.

The rigid part is what no speech and no emotion moves: bridge of the nose, corners of the eyes, temples, forehead. Its
place in each frame is the similarity (shift, turn, size) that fits those points best, so that the noise of single
points averages out.
Source: the second difference as a measure of trembling is the acceleration error of Kanazawa et al., "Learning 3D human
dynamics from video", CVPR 2019; dividing by the root of 6 makes it the deviation of a shake that is new in every frame.
"""

from __future__ import annotations

import numpy as np

from ua3dtalk.metrics.lips import eye_distance

# Forehead, bridge of the nose, corners of the eyes and temples in mediapipe's mesh, on both sides alike.
RIGID_POINTS = (
    *(10, 109, 338, 67, 297, 103, 332, 151, 9, 8, 168, 6, 197, 195),
    *(33, 263, 133, 362, 127, 356, 162, 389, 21, 251, 54, 284),
)
WHITE = 6.0**0.5  # deviation of x[t-1] - 2 x[t] + x[t+1] for independent x of deviation 1


def rigid_places(points: np.ndarray) -> np.ndarray:
    """The rigid points' places [n, R, 2] px as similarities of their mean shape; nan rows stay nan.

    Args:
        points: landmarks [n, 478, >= 2] px.
    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, in the
    plane, where it is one complex number.
    """
    shapes = points[:, RIGID_POINTS, :2].astype(np.float64)
    z = shapes[..., 0] + 1j * shapes[..., 1]
    centre = z.mean(axis=1, keepdims=True)
    z = z - centre
    known = np.isfinite(z[:, 0])
    if not known.any():
        return np.full(shapes.shape, np.nan)
    mean = _mean_shape(z[known])
    factor = (z * mean.conj()).sum(axis=1, keepdims=True) / (np.abs(mean) ** 2).sum()
    fitted = centre + factor * mean
    return np.stack([fitted.real, fitted.imag], axis=-1)


def _mean_shape(z: np.ndarray) -> np.ndarray:
    """Mean of centred shapes [n, R] (complex) after each was turned and scaled onto the first."""
    turn = (z.conj() * z[0]).sum(axis=1, keepdims=True) / (np.abs(z) ** 2).sum(axis=1, keepdims=True)
    return np.asarray((z * turn).mean(axis=0))


def tremble(series: np.ndarray) -> np.ndarray:
    """Second difference of a series [n, ...] over the root of 6: [n, ...], nan at the ends and beside nan."""
    result = np.full(series.shape, np.nan)
    result[1:-1] = (series[:-2] - 2 * series[1:-1] + series[2:]) / WHITE
    return result


def jitter(points: np.ndarray) -> np.ndarray:
    """Trembling of each frame over the eyes' distance: [n], per axis, root mean square over the rigid points.

    A shake of deviation s px per axis that is new in every frame reads s over the eyes' distance. Quick, wanted
    movement counts too: compare with the truth's.
    """
    return _size(tremble(rigid_places(points))) / eye_distance(points)


def jitter_error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Trembling of the difference of places to the truth's, over the truth's eye distance: [n].

    Movement that both make falls out; slow drift does too.
    """
    return _size(tremble(rigid_places(points) - rigid_places(truth))) / eye_distance(truth)


def _size(values: np.ndarray) -> np.ndarray:
    """Root mean square over points and axes of [n, R, 2]: [n]."""
    return np.asarray(np.sqrt((values**2).mean(axis=(1, 2))))


def root_mean_square(values: np.ndarray) -> float | None:
    """Over the frames that have a value; None where none has."""
    known = values[np.isfinite(values)]
    return float(np.sqrt((known**2).mean())) if len(known) else None
