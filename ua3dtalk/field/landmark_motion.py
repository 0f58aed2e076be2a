"""Where the face's motion begins: each control moves the landmarks along one direction, and the Gaussians with them.

Pictures pull a Gaussian by what lies next to it, a pixel or two away. Lids that have to cross the whole eye, in the few
frames of a blink, would hardly set out; landmarks are known in every frame. The nets learn what is missing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ua3dtalk.face.landmarker import LEFT_EYE, RIGHT_EYE
from ua3dtalk.field.anchors import Anchors

NEIGHBOURS = 4
REACH = 0.03  # m from the nearest landmark in which the motion fades: ears and hair keep still


class LandmarkMotion(nn.Module):
    """Motion of L landmarks, linear in C controls, carried to Gaussians.

    Buffers: places [L, 3] m of the landmarks; usual [C] controls under which nothing moves; directions [C, L, 3] m per
    unit of each control.
    """

    places: Tensor
    usual: Tensor
    directions: Tensor

    def __init__(self, landmarks: int, controls: int) -> None:
        super().__init__()
        self.register_buffer("places", torch.zeros(landmarks, 3))
        self.register_buffer("usual", torch.zeros(controls))
        self.register_buffer("directions", torch.zeros(controls, landmarks, 3))
        self._carried: Tensor | None = None
        self._near: Anchors | None = None
        self._share: Tensor | None = None

    def attach(self, positions: Tensor) -> None:
        """Tie Gaussians at positions [N, 3] m to the landmarks around them; again whenever they have changed."""
        positions = positions.detach()
        self._near = Anchors.at(self.places, positions, NEIGHBOURS)
        distance = (positions - self.places[self._near.indices[:, 0]]).norm(dim=1)
        share = torch.exp(-((distance / REACH) ** 2))
        for lids in (RIGHT_EYE, LEFT_EYE):  # they slide over the eyeball, which no control turns
            share[within(positions, self.places[list(lids)])] = 0
        self._share = share[:, None]
        carried = self.carry(self.directions.permute(1, 0, 2).flatten(1))
        self._carried = carried.view(len(positions), *self.directions.shape[::2])

    def carry(self, moved: Tensor) -> Tensor:
        """How the Gaussians move, [N, D], with landmarks that move by [L, D].

        Raises:
            ValueError: `attach` was not called.
        """
        if self._near is None or self._share is None:
            raise ValueError("attach the motion to Gaussians first")
        return self._share * self._near.carry(moved)

    def forward(self, controls: Tensor) -> Tensor:
        """How the Gaussians move, [N, 3] m, under controls [1, C].

        Raises:
            ValueError: `attach` was not called.
        """
        if self._carried is None:
            raise ValueError("attach the motion to Gaussians first")
        return torch.einsum("ncd,c->nd", self._carried, controls[0] - self.usual)


def within(positions: Tensor, ring: Tensor) -> Tensor:
    """Which positions [N, 3], seen along z, lie inside a ring of points [P, 3] in their order: bool [N].

    A line from a position to the right crosses the ring an odd number of times.
    """
    x, y = positions[:, None, 0], positions[:, None, 1]
    begin, end = ring, ring.roll(-1, 0)
    spans = (begin[:, 1] > y) != (end[:, 1] > y)
    slope = (end[:, 0] - begin[:, 0]) / (end[:, 1] - begin[:, 1])
    crossed = spans & (x < begin[:, 0] + (y - begin[:, 1]) * slope)
    return crossed.sum(1) % 2 == 1
