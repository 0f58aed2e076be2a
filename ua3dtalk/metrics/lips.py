"""How lips move, measured on landmarks that one extractor found on renders and on the truth alike.

Points are mediapipe's 478, in px, [n, 478, >= 2].
"""

from __future__ import annotations

import numpy as np

# The 20 lip points 48..67 of the 68-point scheme (iBUG, FAN) in mediapipe's mesh: the outer lip from the person's right
# corner over the upper lip and back along the lower one, then the inner lip likewise.
FAN_LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178)
LIPS_68 = slice(48, 68)
INNER_LIP_PAIRS = ((82, 87), (13, 14), (312, 317))  # upper and lower edge beside, at and beside the middle
OUTER_EYE_CORNERS = (33, 263)


def lip_distance(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """LMD of each frame in px: [n].

    The 20 lip points of each frame are centred by their own mean; the distance is the mean over points. Neither scale
    nor rotation is taken out, so it grows with the size of the picture.
    Source: the field's metrics script (TalkingGaussian), there with FAN's points 48..67.
    """
    return centred_distance(points[:, FAN_LIPS], truth[:, FAN_LIPS])


def lip_distance_68(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """LMD as published, [n] px: the same on points 48..67 of FAN's 68, [n, 68, >= 2]."""
    return centred_distance(points[:, LIPS_68], truth[:, LIPS_68])


def centred_distance(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance of points [n, P, >= 2] when each set is centred by its own mean: [n]."""
    own, other = (each[..., :2].astype(np.float64) for each in (points, truth))
    own = own - own.mean(axis=1, keepdims=True)
    other = other - other.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(own - other, axis=-1).mean(axis=-1))


def eye_distance(points: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners in px: [n]."""
    right, left = OUTER_EYE_CORNERS
    return np.linalg.norm(points[:, right, :2] - points[:, left, :2], axis=-1)


def mouth_opening(points: np.ndarray) -> np.ndarray:
    """Distance of the inner lips over the distance of the outer eye corners: [n]."""
    gaps = [np.linalg.norm(points[:, upper, :2] - points[:, lower, :2], axis=-1) for upper, lower in INNER_LIP_PAIRS]
    return np.mean(gaps, axis=0) / eye_distance(points)


def head_pose(world_to_camera: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll in radians and the distance in metres of [n, 4, 4] cameras: [n, 4].

    Rotation is Ry(yaw) Rx(pitch) Rz(roll), so all are 0 for a head that looks straight into the camera.
    """
    rotation = world_to_camera[:, :3, :3]
    yaw = np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2])
    pitch = np.arcsin(np.clip(-rotation[:, 1, 2], -1, 1))
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    return np.stack([yaw, pitch, roll, np.linalg.norm(world_to_camera[:, :3, 3], axis=1)], axis=1)


def without(series: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """What is left of a series [n] when its linear regression on covariates [n, K] and a constant is taken off."""
    spread = covariates.std(axis=0)
    scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    design = np.concatenate([np.ones((len(series), 1)), np.where(spread > 1e-9, scaled, 0.0)], axis=1)
    return series - design @ np.linalg.lstsq(design, series, rcond=None)[0]


def partial_correlation(series: np.ndarray, truth: np.ndarray, covariates: np.ndarray) -> float | None:
    """Correlation of two series [n] given covariates [n, K]; None where it is not defined.

    A nodding head opens and closes the projected mouth; a render with the true pose and a mouth that never moves then
    correlates with the truth. With the pose held fixed it does not.
    """
    if len(series) < covariates.shape[1] + 4:
        return None
    x, y = without(series, covariates), without(truth, covariates)
    scale = float(np.sqrt((x @ x) * (y @ y)))
    if scale < 1e-12 * (1 + float(np.sqrt((series @ series) * (truth @ truth)))):
        return None
    return float(x @ y) / scale


def gain(series: np.ndarray, truth: np.ndarray, covariates: np.ndarray) -> float | None:
    """Amplitude of a series over the truth's after the same regression: the ratio of standard deviations."""
    if len(series) < covariates.shape[1] + 4:
        return None
    x, y = without(series, covariates), without(truth, covariates)
    if float(y @ y) < 1e-12 * (1 + float(truth @ truth)):
        return None
    return float(np.sqrt((x @ x) / (y @ y)))
