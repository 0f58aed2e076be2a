"""Small corrections of the training frames' cameras, learned with the picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ua3dtalk.splat.camera import Camera


class PoseCorrections:
    """A rotation vector and a shift [T, 6] per frame, zero at the start; only training frames are ever touched.

    The rotation turns the head around its own origin, so rotation and shift do not fight each other.
    """

    def __init__(self, frames: int, rate: float, device: torch.device) -> None:
        self.corrections = torch.zeros(frames, 6, device=device, requires_grad=True)
        self._optimiser = torch.optim.SparseAdam([self.corrections], lr=rate, betas=(0.9, 0.99))
        self._rows: Tensor | None = None
        self._frame = 0

    def correct(self, camera: Camera, frame: int) -> Camera:
        """The camera with the frame's correction in the graph."""
        self._frame = frame
        self._rows = self.corrections.detach()[frame].clone().requires_grad_()
        return Camera(corrected(camera.viewmat, self._rows), camera.K, camera.width, camera.height)

    def step(self) -> None:
        """Move the correction of the frame that was used last."""
        if self._rows is None or self._rows.grad is None:
            return
        index = torch.tensor([[self._frame]], device=self.corrections.device)
        row, shape = self._rows.grad[None], self.corrections.shape
        self.corrections.grad = torch.sparse_coo_tensor(index, row, shape, check_invariants=False)
        self._optimiser.step()
        self.corrections.grad = None
        self._rows = None

    def state_dict(self) -> dict[str, Any]:
        return {"corrections": self.corrections.detach(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.corrections.copy_(state["corrections"])
        self._optimiser.load_state_dict(state["optimiser"])


def corrected(viewmat: Tensor, correction: Tensor) -> Tensor:
    """viewmat [4, 4] after a rotation vector (radians) and a shift (m) [6] of the head in its own frame."""
    x, y, z = correction[:3]
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    rotation = torch.matrix_exp(cross)
    top = torch.cat([rotation, correction[3:, None]], 1)
    return viewmat @ torch.cat([top, viewmat.new_tensor([[0.0, 0.0, 0.0, 1.0]])])
