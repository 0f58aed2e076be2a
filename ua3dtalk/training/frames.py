"""Training frames as tensors: camera, picture, regions, windows of the picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.face.lips import OUTER_LIPS
from ua3dtalk.rendering.compose import backdrop
from ua3dtalk.splat.camera import Camera, Window
from ua3dtalk.subject import HEAD_REGIONS, Region, Subject


class Frames:
    """The actor's frames on one device, read as they are asked for."""

    def __init__(self, subject: Subject, device: torch.device) -> None:
        self.subject = subject
        self.device = device
        self.height, self.width = subject.video.shape[1:3]
        tracking = subject.tracking
        self.viewmats = torch.from_numpy(tracking.world_to_camera.astype(np.float32)).to(device)
        self.Ks = torch.from_numpy(tracking.K.astype(np.float32)).to(device)
        self._plate = torch.from_numpy(subject.plate.copy()).to(device)
        self._is_head = torch.zeros(256, dtype=torch.bool)
        self._is_head[list(HEAD_REGIONS)] = True
        self._is_head = self._is_head.to(device)

    def camera(self, frame: int) -> Camera:
        return Camera(self.viewmats[frame], self.Ks[frame], self.width, self.height)

    def picture(self, frame: int, window: Window | None = None) -> Tensor:
        """[h, w, 3] in 0..1."""
        pixels = self.subject.video[frame] if window is None else self.subject.video[frame, window.rows, window.columns]
        return torch.from_numpy(np.array(pixels)).to(self.device).float() / 255

    def regions(self, frame: int, window: Window) -> Tensor:
        """[h, w] of `Region`, int64."""
        labels = np.array(self.subject.regions[frame, window.rows, window.columns])
        return torch.from_numpy(labels).to(self.device).long()

    def is_head(self, regions: Tensor) -> Tensor:
        """Mask of face, hair and hat; the open mouth is a hole in it."""
        return self._is_head[regions]

    def backdrop(self, frame: int) -> Tensor:
        """Torso over the clean plate, [H, W, 3] in 0..1."""
        return backdrop(self._plate, torch.from_numpy(np.array(self.subject.torso[frame])).to(self.device))

    def head_window(self, frame: int, margin: int) -> Window:
        """The box around the head."""
        rows, columns = np.nonzero(np.isin(self.subject.regions[frame], [*HEAD_REGIONS, Region.MOUTH]))
        if not len(rows):
            return Window(0, 0, self.width, self.height)
        return self._box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, margin)

    def lips_window(self, frame: int, margin: int) -> Window:
        """A square around the outer lips (TalkingGaussian's lips_rect, kept in the picture) and a margin in px."""
        lips = self.subject.landmarks.points[frame, list(OUTER_LIPS), :2]
        centre, half = (lips.min(0) + lips.max(0)) / 2, float((lips.max(0) - lips.min(0)).max()) * 0.5
        left, top = np.floor(centre - half)
        right, bottom = np.ceil(centre + half)
        return self._box(left, top, right, bottom, margin)

    def _box(self, left: float, top: float, right: float, bottom: float, margin: int) -> Window:
        # At least one pixel, and one of the picture, even where the box lies beside it.
        x0, y0 = min(max(int(left) - margin, 0), self.width - 1), min(max(int(top) - margin, 0), self.height - 1)
        x1, y1 = min(int(right) + margin, self.width), min(int(bottom) + margin, self.height)
        return Window(x0, y0, max(x1 - x0, 1), max(y1 - y0, 1))
