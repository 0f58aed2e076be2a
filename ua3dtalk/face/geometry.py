"""Rotations, rigid motions and cameras as small pure functions on arrays with any leading axes."""

from __future__ import annotations

import numpy as np


def skew(vectors: np.ndarray) -> np.ndarray:
    """Cross product matrices [..., 3, 3] of vectors [..., 3]."""
    x, y, z = np.moveaxis(np.asarray(vectors, float), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)


def rotation_matrix(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] of rotation vectors [..., 3] (axis times radians); Rodrigues' formula."""
    vectors = np.asarray(vectors, float)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1 - angle**2 / 6, np.sin(safe) / safe)
    second = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    cross = skew(vectors)
    return np.eye(3) + first * cross + second * (cross @ cross)


def rotation_vector(matrices: np.ndarray) -> np.ndarray:
    """Rotation vectors [..., 3] of rotation matrices [..., 3, 3]; angles in 0..pi."""
    from scipy.spatial.transform import Rotation

    matrices = np.asarray(matrices, float)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(matrices.shape[:-1])


def rotation_angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees [...] between rotations [..., 3, 3]."""
    return np.degrees(np.linalg.norm(rotation_vector(np.swapaxes(a, -1, -2) @ b), axis=-1))


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll in degrees [..., 3] of head-to-camera rotations [..., 3, 3].

    rotation = Ry(-yaw) Rx(-pitch) Rz(roll): yaw > 0 turns the face to the image's right, pitch > 0 lifts the chin,
    roll > 0 tilts the head clockwise as seen in the image.
    """
    r = np.asarray(rotations, float)
    nose = -r[..., :, 2]  # where the nose points, camera axes
    yaw = np.arctan2(nose[..., 0], -nose[..., 2])
    pitch = np.arctan2(-nose[..., 1], np.hypot(nose[..., 0], nose[..., 2]))
    roll = np.arctan2(r[..., 1, 0], r[..., 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], -1))


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation [3, 3] and translation [3] that bring points [N, 3] nearest to others.

    Source: Umeyama 1991, least squares, no reflection.
    """
    w = np.ones(len(source)) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    a, b = w @ source, w @ target
    left, values, right = np.linalg.svd((target - b).T * w @ (source - a))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left * sign @ right
    scale = float((values * sign).sum() / (w @ ((source - a) ** 2).sum(1)))
    return scale, rotation, b - scale * rotation @ a


def rigid(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """[..., 4, 4] of rotations [..., 3, 3] and translations [..., 3]."""
    out = np.zeros((*rotations.shape[:-2], 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = rotations, translations, 1
    return out


def project(points: np.ndarray, world_to_camera: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels [..., N, 2] of world points [..., N, 3] (OpenCV camera; (0.5, 0.5) is the first pixel's centre)."""
    camera = points @ np.swapaxes(world_to_camera[..., :3, :3], -1, -2) + world_to_camera[..., None, :3, 3]
    image = camera @ np.swapaxes(intrinsics, -1, -2)
    return image[..., :2] / image[..., 2:]
