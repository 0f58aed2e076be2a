"""Pictures of a trained head at the speed that inference allows: what depends on positions alone is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from ua3dtalk.rendering.compose import Layer, draw
from ua3dtalk.rendering.head import Controls, Head, TrainedBranch
from ua3dtalk.splat.camera import Camera, Window
from ua3dtalk.splat.rasterise import Backend

MARGIN = 0.004  # metres around the mouth's Gaussians that belong to its window


class HeadRenderer:
    """Renders one head.

    Args:
        head: the trained head; it is moved to the device.
        device, backend: where and with which rasteriser.
    """

    def __init__(self, head: Head, device: torch.device, backend: Backend = "auto") -> None:
        self.head, self.backend = head, backend
        with torch.no_grad():
            self._parts = [branch.net.field.position_parts(branch.cloud.means) for branch in (head.face, head.mouth)]
        means = head.mouth.cloud.means.detach()
        low, high = means.amin(0) - MARGIN, means.amax(0) + MARGIN
        corners = torch.cartesian_prod(*torch.stack([low, high], 1))
        self._mouth_corners = torch.cat([corners, torch.ones(8, 1, device=device)], 1)

    @torch.no_grad()
    def __call__(self, camera: Camera, controls: Controls | None, background: Tensor) -> Tensor:
        """The picture [H, W, 3] in 0..1 before a background [H, W, 3]; without controls the head is at rest."""
        face = self._layer(self.head.face, 0, camera, controls)
        window = self._mouth_window(camera)
        behind = background
        if window is not None:
            mouth = self._layer(self.head.mouth, 1, camera.window(window), controls)
            behind = background.clone()
            part = behind[window.rows, window.columns]
            behind[window.rows, window.columns] = mouth.over(part)
        return face.over(behind)

    def _layer(self, branch: TrainedBranch, index: int, camera: Camera, controls: Controls | None) -> Layer:
        edits = None if controls is None else branch.net(self._parts[index], controls)
        return draw(branch.cloud, edits, camera, self.head.sh_degree, self.backend)

    def _mouth_window(self, camera: Camera) -> Window | None:
        """The box in which the mouth's Gaussians can appear; None when it lies outside of the picture."""
        seen = self._mouth_corners @ camera.viewmat.T
        pixels = seen @ torch.nn.functional.pad(camera.K, (0, 1)).T
        if bool((pixels[:, 2] <= 0).any()):
            return Window(0, 0, camera.width, camera.height)
        pixels = pixels[:, :2] / pixels[:, 2:]
        left, top = (int(x) for x in pixels.amin(0).floor())
        right, bottom = (int(x) for x in pixels.amax(0).ceil())
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, camera.width), min(bottom, camera.height)
        if right <= left or bottom <= top:
            return None
        return Window(left, top, right - left, bottom - top)
