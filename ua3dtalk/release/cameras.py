"""Cameras as the released loader wants them: one focal length, the principal point in the middle, OpenGL's axes.

The loader reads `focal_len` alone and takes the principal point to be the middle of the picture. A clip whose point is
elsewhere is shifted by whole pixels, which leaves pictures sharp; the fraction that remains becomes a turn of the
camera, off by less than a fiftieth of a pixel. A clip of another focal length is resized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ua3dtalk.face.geometry import rigid, rotation_matrix
from ua3dtalk.subject import Tracking

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV's camera axes to OpenGL's: y up, z backward


@dataclass(frozen=True)
class Framing:
    """How a frame's pixels become those of the released camera: x' = scale x + shift, then a turn of the camera.

    scale; shift [2] px; turn [3, 3]: from the tracked camera's axes to the released one's.
    """

    scale: float
    shift: np.ndarray
    turn: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] moved."""
        return self.scale * points + self.shift

    def picture(self, picture: np.ndarray, labels: bool = False) -> np.ndarray:
        """Picture [H, W, ...] moved; what comes in at the border repeats the last pixel."""
        if self.scale == 1 and not self.shift.any():
            return picture
        # Here the first pixel's centre is 0, in OpenCV's warp it is too; in ours it is 0.5.
        offset = self.shift + (self.scale - 1) / 2
        matrix = np.array([[self.scale, 0, offset[0]], [0, self.scale, offset[1]]])
        flags = cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR
        size = picture.shape[1], picture.shape[0]
        return cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def framing(K: np.ndarray, focal: float, width: int, height: int) -> Framing:
    """What brings a camera [3, 3] to a focal length (px) and its principal point to the picture's middle."""
    scale = focal / float(K[0, 0])
    wanted = np.array([width, height]) / 2 - scale * K[:2, 2]
    shift = np.rint(wanted) if scale == 1 else wanted
    aside = np.append((shift - wanted) / focal, 1.0)  # where the tracked optical axis is seen now
    axis = np.cross([0, 0, 1.0], aside)
    sine = np.linalg.norm(axis)
    angle = np.arctan2(sine, 1.0)
    turn = rotation_matrix(axis / sine * angle) if sine else np.eye(3)
    return Framing(scale, shift, turn)


def released_pose(world_to_camera: np.ndarray, frame: Framing) -> np.ndarray:
    """`transform_matrix` [4, 4] of a tracked pose [4, 4]: camera to world, camera axes of OpenGL, metres."""
    turned = rigid(frame.turn, np.zeros(3)) @ world_to_camera
    return np.linalg.inv(turned) @ OPENGL


def transforms(
    tracking: Tracking, framings: Sequence[Framing], frames: np.ndarray, focal: float, width: int, height: int
) -> dict[str, object]:
    """What `transforms_train.json` or `transforms_val.json` holds; img_id is the absolute frame.

    Args:
        framings: of every frame of the actor; frames: those of the split, in order; focal: px.
    """
    entries = [
        {
            "img_id": int(i),
            "aud_id": int(i),
            "transform_matrix": released_pose(tracking.world_to_camera[i], framings[i]).tolist(),
        }
        for i in frames
    ]
    return {"focal_len": focal, "cx": width / 2, "cy": height / 2, "frames": entries}
