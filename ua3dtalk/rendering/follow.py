"""Head motion of another person's clip.

The head turns and moves from its usual pose as the guest's does from theirs. Its torso is a training frame's: of those,
the path is taken that is near the wanted poses without torsos that jump (dynamic programming over the whole
clip), and the head stays so near the torso's own pose that the neck does not tear.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.distance import cdist

from ua3dtalk.face.geometry import rigid, rotation_matrix, rotation_vector
from ua3dtalk.rendering.replay import Stance, background_at, camera_at, to_and_fro, usual
from ua3dtalk.rendering.wander import LEVER, torsos
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import Subject

FARTHEST = np.array([*[np.radians(6)] * 3, *[0.012] * 3])  # rad and m, of a head from its torso's own pose
JUMP = 2.0  # how much worse a step of torso and pose is than being as far from the wanted pose
CANDIDATES = 800  # training frames at most among which the path is looked for
AROUND = 3  # frames before and after whose torsos are mixed in, so that a change of theirs is no jump


class Follow:
    """Where the head is in the k-th frame: the guest's clip, to and fro. Nothing of a held-out frame is seen.

    Args:
        subject: the actor; guest: whose tracking.npz and landmarks.npz there are.
    """

    def __init__(self, subject: Subject, guest: Subject, device: torch.device) -> None:
        self.subject, self.device = subject, device
        self._plate = torch.from_numpy(subject.plate.copy()).to(device)
        frames = subject.train_frames[:: -(-len(subject.train_frames) // CANDIDATES)]
        own = subject.tracking.world_to_camera[frames]
        rest = own[usual(own)]
        poses, wanted = vectors(own, rest), wanted_poses(guest, rest)
        scale = np.array([*[LEVER] * 3, *[1.0] * 3])
        path = smooth_path(poses * scale, wanted * scale, torsos(subject, frames))
        off = wanted - poses[path]
        kept = poses[path] + off / np.sqrt(1 + (off / FARTHEST) ** 2)
        self._poses = [rigid(rest[:3, :3] @ rotation_matrix(pose[:3]), pose[3:]) for pose in kept]
        self._path = frames[path]

    def __call__(self, frame: int) -> Stance:
        k = to_and_fro(0, len(self._path), frame)
        seen = camera_at(self.subject, int(self._path[k]), self.device)
        viewmat = torch.from_numpy(self._poses[k].astype(np.float32)).to(self.device)
        return Stance(Camera(viewmat, seen.K, seen.width, seen.height), self._background(k))

    def _background(self, k: int) -> torch.Tensor:
        around = np.clip(np.arange(k - AROUND, k + AROUND + 1), 0, len(self._path) - 1)
        shown, counts = np.unique(self._path[around], return_counts=True)
        shares = counts / counts.sum()
        mixed = torch.zeros_like(self._plate, dtype=torch.float32)
        for frame, share in zip(shown, shares, strict=True):
            mixed += float(share) * background_at(self.subject, self._plate, int(frame))
        return mixed


def vectors(poses: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Poses [n, 4, 4] as rotation vectors from a pose at rest [4, 4], rad, and translations, m: [n, 6]."""
    return np.concatenate([rotation_vector(rest[:3, :3].T @ poses[:, :3, :3]), poses[:, :3, 3]], 1)


def wanted_poses(guest: Subject, rest: np.ndarray) -> np.ndarray:
    """Poses [T, 6] of a head whose usual pose is `rest` [4, 4], if it moves before the camera as the guest's does."""
    theirs = guest.tracking.world_to_camera
    usual_frame = np.flatnonzero(guest.landmarks.valid)[usual(theirs[guest.landmarks.valid])]
    turned = theirs[:, :3, :3] @ theirs[usual_frame, :3, :3].T
    shift = theirs[:, :3, 3] - theirs[usual_frame, :3, 3]
    wanted = np.tile(rest, (len(theirs), 1, 1))
    wanted[:, :3, :3] = turned @ rest[:3, :3]
    wanted[:, :3, 3] += shift
    return vectors(wanted, rest)


def smooth_path(poses: np.ndarray, wanted: np.ndarray, torsos: np.ndarray) -> np.ndarray:
    """Frames [T] whose poses [n, D] are near the wanted [T, D] and whose steps of pose and torso [n, E] are small."""
    looks = np.concatenate([poses, torsos], 1)
    step = JUMP * cdist(looks, looks)
    best = np.linalg.norm(poses - wanted[0], axis=1)
    came = np.zeros((len(wanted), len(poses)), np.int32)
    for k in range(1, len(wanted)):
        total = best[:, None] + step
        came[k] = total.argmin(0)
        best = total[came[k], np.arange(len(poses))] + np.linalg.norm(poses - wanted[k], axis=1)
    path = np.zeros(len(wanted), int)
    path[-1] = best.argmin()
    for k in range(len(wanted) - 1, 0, -1):
        path[k - 1] = came[k, path[k]]
    return path
