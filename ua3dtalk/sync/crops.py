"""Face crops as SyncNet's evaluation cuts them, with the landmarks' box in place of a face detector's.

Published: S3FD's box, its centre and half its longer side smoothed by a median over 13 frames, enlarged by .40, more of
it below than above, resized to 224 px. Here the box is that of the 478 landmarks, which reach from the hairline to the
chin as a detector's box does. The crops do not go through XVID and JPEG as the published ones do.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import median_filter

from ua3dtalk.sync.syncnet import SIDE

SMOOTHED_OVER = 13  # frames
ENLARGED = 0.40
PADDING = 110  # grey beyond the picture's border


def face_boxes(points: np.ndarray) -> np.ndarray:
    """Centre x, y and half the longer side of the face, px, smoothed: [n, 3] from landmarks [n, 478, >= 2]."""
    low, high = points[..., :2].min(axis=1), points[..., :2].max(axis=1)
    boxes = np.column_stack([(low + high) / 2, (high - low).max(axis=1) / 2])
    # zeros beyond the ends, as the published filter has them
    smooth: np.ndarray = median_filter(boxes, (SMOOTHED_OVER, 1), mode="constant")
    return smooth


def face_crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """uint8 [224, 224, 3] BGR out of a frame [H, W, 3] RGB; box from `face_boxes`.

    From x - 1.4 s to x + 1.4 s and from y - s to y + 1.8 s: the mouth lies in the middle.
    """
    x, y, half = (float(value) for value in box)
    border = int(half * (1 + 2 * ENLARGED))
    padded = cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_CONSTANT, value=(PADDING,) * 3)
    x, y = x + border, y + border
    top, bottom = int(y - half), int(y + half * (1 + 2 * ENLARGED))
    left, right = int(x - half * (1 + ENLARGED)), int(x + half * (1 + ENLARGED))
    face = padded[max(top, 0) : bottom, max(left, 0) : right]
    return np.ascontiguousarray(cv2.resize(face, (SIDE, SIDE))[..., ::-1])
