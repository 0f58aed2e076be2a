"""Bending the figure: one frame's coefficients and head motion to vertices, and the camera that sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ua3dtalk.demo.figure import Figure
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES

FOCAL = 2.2  # in widths of the image
DISTANCE = 0.84  # m from the camera to the head's origin at rest
RISE = 0.015  # m that the head's origin lies above the middle of the picture
GAZE = {"In": 32.0, "Out": 32.0, "Up": 26.0, "Down": 26.0}  # degrees at full coefficient
HIPS = np.array([0, 0.25, 0])  # m below the neck, what the shoulders sway about
ROW = {name: index for index, name in enumerate(BLENDSHAPE_NAMES)}


def camera(size: int) -> np.ndarray:
    """K [3, 3] px for a square picture."""
    return np.array([[FOCAL * size, 0, size / 2], [0, FOCAL * size, size / 2], [0, 0, 1.0]])


def stage_to_camera() -> np.ndarray:
    """[4, 4]: the stage is the rest pose's head frame; the camera looks at it from the front and stands still."""
    matrix = np.eye(4)
    matrix[:3, 3] = [0, -RISE, DISTANCE]
    return matrix


# The figure's rest frame has its origin 15 mm below and 40 mm behind the middle between the eyes. The frame that the
# truth speaks of is mediapipe's: its canonical mesh was laid over the landmarker's points on this face (a similarity
# over the points that the tracker calls rigid), and this is where its axes came to lie. See docs/built-in-actor.md.
HEAD_FRAME_SHIFT = (0.0, 0.0100, -0.0153)  # m
HEAD_FRAME_TILT = 2.07  # degrees about x, nose down


def head_frame() -> np.ndarray:
    """[4, 4] from the truth's head frame to the figure's rest frame."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("x", HEAD_FRAME_TILT, degrees=True).as_matrix()
    matrix[:3, 3] = HEAD_FRAME_SHIFT
    return matrix


@dataclass(frozen=True)
class Posed:
    """vertices [F, 3] m in camera space; head and torso [4, 4] from the rest pose to camera space."""

    vertices: np.ndarray
    head: np.ndarray
    torso: np.ndarray


def rigid(motion: np.ndarray, pivot: np.ndarray, share: float = 1.0) -> np.ndarray:
    """[4, 4] of a rotation vector and a shift about a pivot, both scaled by `share`."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(share * motion[:3]).as_matrix()
    matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot + share * motion[3:]
    return matrix


def head_pose(figure: Figure, head: np.ndarray, torso: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(head, torso) [4, 4] from the rest pose to camera space; head @ head_frame() is the true `world_to_camera`."""
    body = stage_to_camera() @ rigid(torso, figure.pivot + HIPS)
    return body @ rigid(head, figure.pivot), body


def soft_shape(figure: Figure, blendshapes: np.ndarray) -> np.ndarray:
    """[S, 3] soft vertices at rest under the coefficients [52]."""
    used = np.flatnonzero(blendshapes)
    soft = figure.rest[: figure.soft]
    if len(used) == 0:
        return soft.copy()
    moved = np.tensordot(blendshapes[used].astype(np.float32), figure.deltas[used], axes=1)
    return soft + moved


def bend(figure: Figure, blendshapes: np.ndarray, head: np.ndarray, torso: np.ndarray) -> Posed:
    """Shapes, eyes, then the turn of the head spread over the neck."""
    rest = figure.rest.copy()
    rest[: figure.soft] = soft_shape(figure, blendshapes)
    for index, side in enumerate(("Left", "Right")):
        first = figure.eye_first + index * figure.eye_count
        ball = slice(first, first + figure.eye_count)
        centre = figure.eye_centres[index]
        rest[ball] = (rest[ball] - centre) @ gaze_rotation(blendshapes, side).T.astype(np.float32) + centre
    to_camera, body = head_pose(figure, head, torso)
    return Posed(_turn(figure, rest, head, body), to_camera, body)


def gaze_rotation(blendshapes: np.ndarray, side: str) -> np.ndarray:
    """[3, 3] of one eye: In is towards the nose."""
    value = {way: float(blendshapes[ROW[f"eyeLook{way}{side}"]]) * np.deg2rad(GAZE[way]) for way in GAZE}
    outwards = value["Out"] - value["In"]  # the left eye looks out to +x
    yaw = -outwards if side == "Left" else outwards
    return Rotation.from_euler("yx", [yaw, value["Down"] - value["Up"]]).as_matrix()


def _turn(figure: Figure, rest: np.ndarray, head: np.ndarray, body: np.ndarray) -> np.ndarray:
    """[F, 3] camera space: each vertex takes its share of the head's turn."""
    out = np.empty_like(rest)
    full, still = figure.turn >= 0.999, figure.turn <= 0.001
    for which, share in ((full, 1.0), (still, 0.0)):
        out[which] = apply(body @ rigid(head, figure.pivot, share), rest[which])
    between = ~(full | still)
    shares = figure.turn[between][:, None].astype(np.float64)
    arms = Rotation.from_rotvec(shares * head[:3]).apply(rest[between] - figure.pivot)
    out[between] = apply(body, arms + figure.pivot + shares * head[3:])
    return out


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[N, 3] float32 under a rigid matrix."""
    return points.astype(np.float32) @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)


def project(K: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[N, 3] camera space -> [N, 3] px x, px y, depth in m."""
    out = points.astype(np.float32)
    focal, middle = np.diag(K)[:2].astype(np.float32), K[:2, 2].astype(np.float32)
    out[:, :2] = out[:, :2] * (focal / out[:, 2:]) + middle
    return out
