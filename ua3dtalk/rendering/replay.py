"""Where head and torso are in a frame: as they were in a frame of the actor's clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.rendering.compose import backdrop
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import Subject


@dataclass(frozen=True)
class Stance:
    """Where the head is in a frame: the camera that sees it, and torso and plate behind it, [H, W, 3] in 0..1."""

    camera: Camera
    background: Tensor


def camera_at(subject: Subject, frame: int, device: torch.device) -> Camera:
    """The camera that saw the actor's frame."""
    tracking, side = subject.tracking, subject.size  # not the frames': they need not be kept
    viewmat, K = (torch.from_numpy(a[frame].astype(np.float32)) for a in (tracking.world_to_camera, tracking.K))
    return Camera(viewmat.to(device), K.to(device), side, side)


def background_at(subject: Subject, plate: Tensor, frame: int) -> Tensor:
    """What is behind the head in the actor's frame, [H, W, 3] in 0..1: the torso before the plate, a tensor on its
    device."""
    return backdrop(plate, torch.from_numpy(np.array(subject.torso[frame])).to(plate.device))


def to_and_fro(first: int, stop: int, frame: int) -> int:
    """Which of the frames first .. stop - 1 is shown when they are played forwards, backwards and so on."""
    count = stop - first
    step = frame % (2 * count)
    return first + (step if step < count else 2 * count - 1 - step)


def replayed(subject: Subject, frame: int) -> int:
    """The training frame whose pose or torso stands in for a held-out one: the clip played backwards, to and fro."""
    clip = next(clip for clip in subject.clips if clip.first <= frame < clip.end)
    mirrored = to_and_fro(clip.first, clip.test_first, frame - clip.test_first)
    return clip.first + clip.test_first - 1 - mirrored


class Replay:
    """Head and torso move as they did in the actor's longest run of training frames, played to and fro.

    Nothing of a held-out frame is seen. Any function of a frame's number that gives a `Stance` can stand in its place.
    """

    def __init__(self, subject: Subject, device: torch.device) -> None:
        self.subject, self.device = subject, device
        self.clip = max(subject.clips, key=lambda clip: clip.test_first - clip.first)
        self._plate = torch.from_numpy(subject.plate.copy()).to(device)

    def __call__(self, frame: int) -> Stance:
        source = to_and_fro(self.clip.first, self.clip.test_first, frame)
        return Stance(camera_at(self.subject, source, self.device), background_at(self.subject, self._plate, source))


def usual(poses: np.ndarray) -> int:
    """Which of the poses [n, 4, 4] is nearest to their median."""
    flat = poses[:, :3].reshape(len(poses), -1)
    off = np.abs(flat - np.median(flat, 0)) / (flat.std(0) + 1e-9)
    return int(off.sum(1).argmin())


class Still:
    """Head and torso keep still, as in the training frame whose pose is nearest to the median."""

    def __init__(self, subject: Subject, device: torch.device) -> None:
        frame = int(subject.train_frames[usual(subject.tracking.world_to_camera[subject.train_frames])])
        plate = torch.from_numpy(subject.plate.copy()).to(device)
        self._stance = Stance(camera_at(subject, frame, device), background_at(subject, plate, frame))

    def __call__(self, frame: int) -> Stance:
        return self._stance
