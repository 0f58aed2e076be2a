"""Features of positions: learned planes over the three pairs of spatial axes, at several resolutions.

Axis conventions: positions [N, 3] in metres, clamped to a cube of +-bound; plane order xy, yz, xz.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Combine = Literal["concat", "product"]


class TriPlane(nn.Module):
    """Multi-resolution tri-plane.

    Args:
        sides: cells of a plane's side, one per scale.
        channels: channels of each plane.
        bound: half side of the cube in metres that the planes cover.
        combine: "concat" keeps the three planes' features side by side (TalkingGaussian's three hash grids, which
            have so few cells that dense planes are their equal); "product" multiplies them (UA-3DTalk's planes).
    Returns (forward):
        features [N, width], width = scales * channels * (3 if concat else 1).
    """

    def __init__(self, sides: tuple[int, ...], channels: int, bound: float, combine: Combine) -> None:
        super().__init__()
        self.bound = bound
        self.combine = combine
        # A product of small numbers vanishes, so its planes start away from zero; a sum may start at it.
        low, high = (0.1, 0.5) if combine == "product" else (-1e-2, 1e-2)
        self.planes = nn.ParameterList(
            [nn.Parameter(torch.empty(3, channels, side, side).uniform_(low, high)) for side in sides]
        )
        self.width = len(sides) * channels * (1 if combine == "product" else 3)

    def forward(self, positions: Tensor) -> Tensor:
        p = (positions / self.bound).clamp(-1, 1)
        pairs = torch.stack([p[:, [0, 1]], p[:, [1, 2]], p[:, [0, 2]]])[:, None]  # [3, 1, N, 2]
        features = []
        for plane in self.planes:
            sampled = F.grid_sample(plane, pairs, mode="bilinear", padding_mode="border", align_corners=True)
            sampled = sampled[:, :, 0]  # [3, C, N]
            features.append(sampled.prod(0) if self.combine == "product" else sampled.flatten(0, 1))
        return torch.cat(features).t()
