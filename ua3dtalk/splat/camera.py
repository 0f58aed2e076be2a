"""A pinhole camera and windows of its image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Pixels ``left <= x < left + width``, ``top <= y < top + height`` of an image."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Camera:
    """viewmat [4, 4] world to camera, K [3, 3] px, image size in px."""

    viewmat: Tensor
    K: Tensor
    width: int
    height: int

    def window(self, window: Window) -> Camera:
        """The camera whose image is a window of this one's: the principal point moves, nothing else."""
        shift = torch.zeros_like(self.K)
        shift[0, 2], shift[1, 2] = window.left, window.top
        return Camera(self.viewmat, self.K - shift, window.width, window.height)
