"""Pictures of a trained head at the speed that inference allows: what depends on positions alone is kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ua3dtalk.field.branch import Edits, PositionParts
from ua3dtalk.field.uncertain import UncertainParts
from ua3dtalk.rendering.compose import LEAST_VARIANCE, draw, draw_values, moved
from ua3dtalk.rendering.head import Controls, Head, TrainedBranch
from ua3dtalk.splat.camera import Camera, Window
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.splat.rasterise import Backend


@dataclass(frozen=True)
class Deformed:
    """The Gaussians of a frame, those of the face and then those of the mouth: means [N, 3] m, quats [N, 4] (w first,
    any length), scales [N, 3] m; log_variance [N] of the colour that each shows, where the head has beliefs."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    log_variance: Tensor | None


EXTENT = 3.4  # standard deviations; the rasteriser cuts a Gaussian off a little earlier
BLUR = 3  # px by which the rasteriser's own blur widens it


class HeadRenderer:
    """Renders one head.

    Args:
        head: the trained head on its device.
        device, backend: where and with which rasteriser.
    """

    def __init__(self, head: Head, device: torch.device, backend: Backend = "auto") -> None:
        self.head, self.device, self.backend = head, device, backend
        with torch.no_grad():
            self._parts = [branch.net.kept_parts(branch.cloud.means) for branch in (head.face, head.mouth)]

    @torch.no_grad()
    def __call__(self, camera: Camera, controls: Controls | None, background: Tensor) -> Tensor:
        """The picture [H, W, 3] in 0..1 before a background [H, W, 3]; without controls the head is at rest."""
        face, mouth, degree = self.head.face, self.head.mouth, self.head.sh_degree
        edits: list[Edits | None] = [None, None]
        if controls is not None:
            branches = zip((face, mouth), self._parts, strict=True)
            edits = [branch.net(parts, controls, with_variance=False) for branch, parts in branches]
        behind = background
        window = cloud_window(mouth.cloud, edits[1], camera)
        if window is not None:
            layer = draw(mouth.cloud, edits[1], camera.window(window), degree, self.backend)
            behind = background.clone()
            behind[window.rows, window.columns] = layer.over(behind[window.rows, window.columns])
        return draw(face.cloud, edits[0], camera, degree, self.backend).over(behind)

    @torch.no_grad()
    def deformed(self, controls: Controls) -> Deformed:
        """What `__call__` draws, and what `variance` draws in place of colours."""
        frames, doubts = [], []
        for branch, parts in zip((self.head.face, self.head.mouth), self._parts, strict=True):
            edits = branch.net(parts, controls, with_variance=self.head.uncertain)
            frames.append(moved(branch.cloud, edits))
            if self.head.uncertain:
                doubts.append(_log_variance(branch, parts, edits))
        means, quats, scales = (torch.cat(pieces) for pieces in zip(*frames, strict=True))
        return Deformed(means, quats, scales, torch.cat(doubts) if doubts else None)

    @torch.no_grad()
    def belief_variance(self, controls: Controls) -> Tensor:
        """Variance [A, D] of the face's fused beliefs."""
        variance = self.head.face.net(self._parts[0], controls).variance
        if variance is None:
            raise ValueError("the head has no beliefs: train it with the method ua3dtalk")
        found: Tensor = variance
        return found

    @torch.no_grad()
    def transmittance(self, camera: Camera, controls: Controls) -> Tensor:
        """How much of what is behind the head is seen, [H, W] in 0..1."""
        seen = torch.ones(camera.height, camera.width, device=self.device)
        for branch, parts in zip((self.head.face, self.head.mouth), self._parts, strict=True):
            edits = branch.net(parts, controls, with_variance=False)
            layer = draw(branch.cloud, edits, camera, 0, self.backend)
            seen = seen * (1 - layer.alpha[..., 0])
        return seen

    def variance(self, camera: Camera, controls: Controls) -> Tensor:
        """Predicted variance [H, W] of the picture's colours (0..1, mean of the channels).

        The confidence of the branches gets a gradient where it trains; the pictures' other parts do not.
        Raises:
            ValueError: the head has no beliefs.
        """
        known = self.head.backdrop_variance
        behind = torch.full((camera.height, camera.width, 1), LEAST_VARIANCE, device=self.device)
        if known is not None and known.shape == behind.shape[:2]:
            behind = known[..., None]
        for branch, parts in reversed(list(zip((self.head.face, self.head.mouth), self._parts, strict=True))):
            with torch.no_grad():
                edits = branch.net(parts, controls)
            values = _log_variance(branch, parts, edits).exp()[:, None]
            behind = draw_values(branch.cloud, edits, camera, values, self.backend).over(behind)
        return behind[..., 0]


def _log_variance(branch: TrainedBranch, parts: PositionParts | UncertainParts, edits: Edits) -> Tensor:
    """Log variance [N] of the colours that a branch's Gaussians show.

    Raises:
        ValueError: the branch has no beliefs.
    """
    field = branch.net.uncertain
    if field is None or edits.variance is None or not isinstance(parts, UncertainParts):
        raise ValueError("the head has no beliefs: train it with the method ua3dtalk")
    found = field.doubt(parts, edits.variance)
    return found if branch.doubt is None else found + branch.doubt


def cloud_window(cloud: Cloud, edits: Edits | None, camera: Camera) -> Window | None:
    """The box of pixels that a cloud can reach; None when it lies outside of the picture.

    The mouth fills a twentieth of the picture: its own window spares most of its rasterisation.
    """
    means, _, scales = moved(cloud, edits)
    reach = EXTENT * scales.amax(1, keepdim=True)
    low, high = (means - reach).amin(0), (means + reach).amax(0)
    corners = torch.cartesian_prod(*torch.stack([low, high], 1))
    seen = corners @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    if bool((seen[:, 2] <= 0).any()):
        return Window(0, 0, camera.width, camera.height)
    image = seen @ camera.K.T
    pixels = image[:, :2] / image[:, 2:]
    left, top = (max(int(x) - BLUR, 0) for x in pixels.amin(0).floor())
    right = min(int(pixels[:, 0].amax().ceil()) + BLUR, camera.width)
    bottom = min(int(pixels[:, 1].amax().ceil()) + BLUR, camera.height)
    if right <= left or bottom <= top:
        return None
    return Window(left, top, right - left, bottom - top)
