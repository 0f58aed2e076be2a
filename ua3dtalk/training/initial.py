"""Where the Gaussians start: pixels of the training frames lifted onto the tracked head."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ua3dtalk.face.geometry import project
from ua3dtalk.subject import HEAD_REGIONS, Region, Subject

FRAMES = 24  # frames that pixels are lifted from, spread over the training frames' yaw
BACKWARD = 0.7  # metres that the head falls back per metre beyond the face's outline: hair, ears, temples
MOUTH_DEPTH = 0.03  # metres behind the lips in which teeth and tongue lie


def face_points(subject: Subject, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [count, 3] m and colours [count, 3] in 0..1 over face and hair."""
    return _lifted(subject, [int(region) for region in HEAD_REGIONS], count, np.random.default_rng(seed), 0.0)


def mouth_points(subject: Subject, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours inside of the mouth; where it is never seen open, dark points behind the lips."""
    rng = np.random.default_rng(seed)
    points, colours = _lifted(subject, [int(Region.MOUTH)], count, rng, MOUTH_DEPTH)
    if len(points):
        return points, colours
    lips = subject.tracking.neutral[[78, 308, 13, 14]]
    low, high = lips.min(0), lips.max(0) + np.array([0, 0.005, MOUTH_DEPTH])
    return rng.uniform(low, high, (count, 3)), np.full((count, 3), 0.15)


def _lifted(
    subject: Subject, labels: list[int], count: int, rng: np.random.Generator, thickness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels of the given regions, lifted; fewer (none) where the regions are never seen."""
    points, colours = [], []
    for frame in _spread_frames(subject, labels):
        rows, columns = np.nonzero(np.isin(subject.regions[frame], labels))
        if not len(rows):
            continue
        chosen = rng.integers(0, len(rows), -(-count // FRAMES))
        pixels = np.stack([columns[chosen], rows[chosen]], 1) + rng.uniform(0, 1, (len(chosen), 2))
        colours.append(subject.video[frame][rows[chosen], columns[chosen]] / 255)
        points.append(lift(subject, frame, pixels, rng.uniform(0, thickness, len(chosen))))
    if not points:
        return np.empty((0, 3)), np.empty((0, 3))
    every, shades = np.concatenate(points), np.concatenate(colours)
    picked = rng.choice(len(every), count, replace=len(every) < count)
    return every[picked], shades[picked]


def _spread_frames(subject: Subject, labels: list[int]) -> np.ndarray:
    """Training frames in which a face is seen; those with most of the regions first when few have any."""
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    if labels == [int(Region.MOUTH)]:
        opening = subject.expression.mouth_opening[train]
        return train[np.argsort(-opening)[: 2 * FRAMES : 2]]
    side = subject.tracking.world_to_camera[train, 0, 2]  # grows with yaw
    order = train[np.argsort(side)]
    return order[np.linspace(0, len(order) - 1, FRAMES).round().astype(int)]


def lift(subject: Subject, frame: int, pixels: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """World points [n, 3] seen at pixels [n, 2], `behind` [n] m behind the tracked face.

    Inside of the face's outline the depth is that of the nearest landmarks; outside it falls back with the distance.
    """
    tracking = subject.tracking
    pose, K = tracking.world_to_camera[frame], tracking.K[frame]
    face = tracking.neutral
    depth = (face @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    distance, nearest = cKDTree(project(face, pose, K)).query(pixels, k=3)
    weights = 1 / (distance + 0.5)
    weights /= weights.sum(1, keepdims=True)
    focal = K[0, 0]
    spacing = 0.004 * focal / depth.mean()  # px between landmarks; nearer than this is inside of the face
    outside = np.maximum(distance[:, 0] - spacing * 2, 0) * depth.mean() / focal
    z = (depth[nearest] * weights).sum(1) + BACKWARD * outside + behind
    rays = np.column_stack([(pixels - K[:2, 2]) / [K[0, 0], K[1, 1]], np.ones(len(pixels))])
    return (rays * z[:, None] - pose[:3, 3]) @ pose[:3, :3]
