"""The 68 points of 300-W, in the order of the literature, picked from the 478 points of the mesh."""

from __future__ import annotations

import numpy as np

JAW = (127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
POINTS_68 = (*JAW, *BROWS, *NOSE, *EYES, *OUTER_LIPS, *INNER_LIPS)


def to_68(points: np.ndarray) -> np.ndarray:
    """[..., 68, k] of points [..., 478, k]; the jaw's points follow the mesh's outline, not a detector's habit."""
    return points[..., list(POINTS_68), :]


def five_points(points: np.ndarray) -> np.ndarray:
    """Middles of the eyes' corners (image's left first), tip of the nose, corners of the mouth.

    Args:
        points: [..., 68, k].
    Returns:
        [..., 5, k].
    """
    eyes = [(points[..., a, :] + points[..., b, :]) / 2 for a, b in ((36, 39), (42, 45))]
    return np.stack([*eyes, *(points[..., k, :] for k in (30, 48, 54))], axis=-2)
