"""Where a clip cuts to another scene or another person.

Frames are compared with the one before: how much of a small picture has changed, and whether the face's own colours,
read at the same points of the face mesh, have. Real clips (talking, turning by 60 degrees, hands before the face,
sentences of one sitting laid end to end) stay under a change of 0.1 from frame to frame, and their faces under 9
where more than that changes; cuts to another scene reach 0.6 to 1, other people before the same wall 0.25 and 10.
"""

from __future__ import annotations

import cv2
import numpy as np

from ua3dtalk.face.landmarker import Detection

THUMBNAIL = 64  # px
CHANGED = 20.0  # levels of 0..255 by which a pixel of the thumbnail counts as changed
SUSPECT = 0.12  # change between frames from which the faces are compared
SCENE_CHANGE = 0.5
PERSON_CHANGE, PERSON_COLOURS = 0.15, 9.0
SLOW_CHANGE, SLOW_COLOURS = 0.5, 12.0  # for samples half a second apart: dissolves


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """float32 [64, 64, 3] of a picture uint8 [H, W, 3]."""
    return cv2.resize(rgb, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Share of two thumbnails that differs, 0..1."""
    return float((np.abs(before - after).mean(axis=2) > CHANGED).mean())


def face_colours(rgb: np.ndarray, face: Detection) -> np.ndarray:
    """Colours of the face at the 468 points of the mesh, float32 [468, 3]: the same spot of skin in every pose."""
    left, top, right, bottom = face.box
    height, width = rgb.shape[:2]
    x0, y0 = max(int(left) - 8, 0), max(int(top) - 8, 0)
    part = rgb[y0 : min(int(bottom) + 9, height), x0 : min(int(right) + 9, width)]
    if part.size == 0:
        return np.zeros((468, 3), np.float32)
    smooth = cv2.GaussianBlur(part, (0, 0), max(0.5, 0.02 * (bottom - top)))
    x = (face.points[None, :468, 0] - 0.5 - x0).astype(np.float32)
    y = (face.points[None, :468, 1] - 0.5 - y0).astype(np.float32)
    sampled = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled[0].astype(np.float32)


def colour_difference(before: np.ndarray, after: np.ndarray) -> float:
    """Median over the points of the mean difference of the channels; half of the face may be hidden."""
    return float(np.median(np.abs(before - after).mean(axis=1)))


def is_cut(changed: float, before: np.ndarray | None, after: np.ndarray | None) -> bool:
    """Between neighbouring frames.

    Args:
        changed: share of the thumbnail; before, after: the faces' colours, None where there is no face.
    """
    if changed > SCENE_CHANGE:
        return True
    if before is None or after is None:
        return False
    return changed > PERSON_CHANGE and colour_difference(before, after) > PERSON_COLOURS


def is_slow_cut(changed: float, before: np.ndarray | None, after: np.ndarray | None) -> bool:
    """Between samples half a second apart; arguments as of `is_cut`."""
    if before is None or after is None:
        return False
    return changed > SLOW_CHANGE and colour_difference(before, after) > SLOW_COLOURS
