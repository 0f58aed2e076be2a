"""Whether the face is still the same person's: vectors of dlib's face recognition network, compared by their angle.

The network (King, 2017: ResNet of 29 layers, 128 numbers) was trained so that faces of one person lie within .6 of each
other. Its vectors all point roughly the same way, so cosines are high: compare with the truth's own row and with a
stranger's (docs/metrics.md), not with cosines of other networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import AssetError
from ua3dtalk.face.points68 import to_68

NAME = "identity_dlib128"
WIDTH = 128


class IdentityNetwork:
    """dlib's network for vectors of faces.

    Args:
        model: dlib_face_recognition_resnet_model_v1.dat.
    Errors: AssetError where the package or the model is missing.
    """

    def __init__(self, model: Path) -> None:
        try:
            import dlib
        except ImportError as error:
            raise AssetError("identity similarity needs dlib: pip install dlib-bin") from error
        self._dlib = dlib
        try:
            self._network = dlib.face_recognition_model_v1(str(model))
        except RuntimeError as error:
            raise AssetError(f"{model} is no face recognition model of dlib: fetch it again") from error

    def __call__(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Vector of unit length [128] of the face in a frame uint8 [H, W, 3] with landmarks [478, >= 2] px; nan where
        they are nan."""
        if not np.isfinite(points).all():
            return np.full(WIDTH, np.nan)
        dlib = self._dlib
        places = to_68(points)[:, :2] - 0.5  # dlib's (0, 0) is the centre of the first pixel
        low, high = places.min(axis=0), places.max(axis=0)
        box = dlib.rectangle(*(int(v) for v in (*low, *high)))
        parts = [dlib.point(x, y) for x, y in np.rint(places).astype(int).tolist()]
        shape = dlib.full_object_detection(box, parts)
        vector = np.array(self._network.compute_face_descriptor(np.ascontiguousarray(frame), shape), np.float64)
        return vector / np.linalg.norm(vector)


def identity_similarity(vectors: np.ndarray, truth: np.ndarray, same: bool = False) -> np.ndarray:
    """Mean cosine of each frame with all frames of the truth: [n], nan for frames without a face.

    Args:
        vectors: [n, D] of unit length, rows of frames without a face are nan; truth: [m, D] likewise.
        same: both are the same frames; a frame is then not compared with itself.
    """
    known = np.isfinite(truth[:, 0])
    cosines = vectors @ truth[known].T
    if same:
        own = np.flatnonzero(known)
        cosines[own, np.arange(len(own))] = np.nan
    with np.errstate(invalid="ignore"):
        counts = np.isfinite(cosines).sum(axis=1)
    return np.where(counts > 0, np.nansum(cosines, axis=1) / np.maximum(counts, 1), np.nan)


def vectors_of(network: IdentityNetwork, frames: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray:
    """Vectors [n, 128] of frames with their landmarks [n, 478, >= 2] px."""
    found = [network(frame, each) for frame, each in zip(frames, points, strict=True)]
    return np.stack(found) if found else np.zeros((0, WIDTH))
