"""The open expression basis: 52 shapes on the 478 landmarks of the face landmarker, in metres.

World axes (x to the image's right, y down, nose to -z), origin of mediapipe's canonical face. Shapes derive
from the CC0 MakeHuman mesh with ARKit face units (`make_basis.py` makes the file again), the canonical face
and its triangles from mediapipe (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

BASIS_FILE = Path(__file__).parent / "data" / "expression_basis.npz"
ERRORS_FILE = BASIS_FILE.with_name("landmark_errors.npz")
LANDMARKS = 478  # 468 of the face and 5 of each iris
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))  # the image's left eye first, centre first

EYE_CORNERS = ((33, 133), (362, 263))  # of the same eyes

# The landmarker's blendshapes in its own order.
NAMES = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
]

# Points that move little with expression: forehead, temples, nose bridge and its sides, eye corners.
RIGID = (
    10, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 162, 389, 127, 356, 151, 9, 8, 168, 6, 197, 195, 5,
    193, 417, 122, 351, 245, 465, 33, 133, 362, 263, 130, 359, 243, 463, 108, 337, 69, 299,
)  # fmt: skip


@dataclass(frozen=True)
class Basis:
    """shapes [52, 478, 3] m per unit of coefficient, canonical [478, 3] m, triangles [898, 3], names [52]."""

    shapes: np.ndarray
    canonical: np.ndarray
    triangles: np.ndarray
    names: tuple[str, ...]

    def index(self, *names: str) -> list[int]:
        """Positions of shapes by name."""
        return [self.names.index(name) for name in names]


@cache
def expression_basis() -> Basis:
    """The basis that comes with the package."""
    with np.load(BASIS_FILE, allow_pickle=False) as data:
        return Basis(
            data["shapes"].astype(np.float64),
            data["canonical"].astype(np.float64),
            data["triangles"].astype(np.int64),
            tuple(data["names"].tolist()),
        )


@dataclass(frozen=True)
class LandmarkErrors:
    """How the landmarker errs, in metres at the head's distance, in the image turned so that the head is upright.

    fields [5, 478, 2]: error per unit of x, y, x^2, x y, y^2 of the nose's direction (right, down);
    noise [478]: what is left, standard deviation per axis.
    """

    fields: np.ndarray
    noise: np.ndarray


@cache
def landmark_errors() -> LandmarkErrors:
    """The errors that `make_errors.py` measured on rendered heads."""
    with np.load(ERRORS_FILE, allow_pickle=False) as data:
        return LandmarkErrors(*(data[name].astype(np.float64) for name in ("fields", "noise")))
