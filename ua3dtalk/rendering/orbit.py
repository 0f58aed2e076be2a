"""Views from aside: the camera goes round the head.

The torso is a picture from the front, so it fades as the view leaves it: a head on its plate is honest, a head before
shoulders that do not turn is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.face.geometry import rotation_matrix
from ua3dtalk.rendering.replay import Stance
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import FPS, Subject

WIDEST = 45.0  # degrees; a head that was seen from the front knows little beyond
ROUND = 6.0  # s of one swing to and fro
USUAL = 30.0  # degrees of the orbit unless given
TORSO_UNTIL, TORSO_GONE = 5.0, 15.0  # degrees off the clip's own view between which the torso fades
HOW = f"give still, orbit, orbit:degrees, or yaw,pitch in degrees, none beyond {WIDEST:.0f}"

Angles = Callable[[int], tuple[float, float]]


def parse_camera(text: str) -> Angles | None:
    """Yaw and pitch in degrees of each frame for `orbit`, `orbit:20` or `15,-5`; None for `still`.

    yaw > 0 looks at the head from the image's right, pitch > 0 from above.
    Raises:
        InputError: one line.
    """
    if text == "still":
        return None
    if text == "orbit" or text.startswith("orbit:"):
        widest = _degrees(text.partition(":")[2] or str(USUAL), text)
        return lambda frame: (widest * math.sin(2 * math.pi * frame / (ROUND * FPS)), 0.0)
    yaw, comma, pitch = text.partition(",")
    fixed = _degrees(yaw, text), _degrees(pitch, text) if comma else 0.0
    return lambda frame: fixed


def _degrees(word: str, text: str) -> float:
    try:
        found = float(word)
    except ValueError:
        found = math.nan
    if not abs(found) <= WIDEST:
        raise InputError(f"--camera {text}: {HOW}")
    return found


@dataclass(frozen=True)
class Orbit:
    """Stances seen from aside.

    stances: of the clip's own view; angles: of each frame; centre [3]: m, what the camera goes round, in the head's
    frame; plate [H, W, 3] in 0..1: what is left where the torso has faded.
    """

    stances: Callable[[int], Stance]
    angles: Angles
    centre: torch.Tensor
    plate: torch.Tensor

    @staticmethod
    def around(subject: Subject, stances: Callable[[int], Stance], angles: Angles, device: torch.device) -> Orbit:
        """Round the middle of the face."""
        centre = torch.from_numpy(subject.tracking.neutral.mean(0).astype(np.float32)).to(device)
        plate = torch.from_numpy(subject.plate.copy()).to(device).float() / 255
        return Orbit(stances, angles, centre, plate)

    def __call__(self, frame: int) -> Stance:
        stance, (yaw, pitch) = self.stances(frame), self.angles(frame)
        camera = stance.camera
        off = math.hypot(yaw, pitch)
        share = min(max((off - TORSO_UNTIL) / (TORSO_GONE - TORSO_UNTIL), 0.0), 1.0)
        background = torch.lerp(stance.background, self.plate, share)
        viewmat = self._seen_from(camera.viewmat, yaw, pitch)
        return Stance(Camera(viewmat, camera.K, camera.width, camera.height), background)

    def _seen_from(self, viewmat: torch.Tensor, yaw: float, pitch: float) -> torch.Tensor:
        """World to camera [4, 4] after the camera went round the centre, which keeps its place in the picture."""
        turn = rotation_matrix(np.radians([pitch, 0.0, 0.0])) @ rotation_matrix(np.radians([0.0, yaw, 0.0]))
        turned = torch.from_numpy(turn.astype(np.float32)).to(viewmat.device)
        centre = viewmat[:3, :3] @ self.centre + viewmat[:3, 3]
        found = viewmat.clone()
        found[:3, :3] = turned @ viewmat[:3, :3]
        found[:3, 3] = turned @ (viewmat[:3, 3] - centre) + centre
        return found
