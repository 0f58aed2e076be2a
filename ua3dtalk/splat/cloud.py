"""A cloud of Gaussians as raw trainable tensors, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor

from ua3dtalk.splat.sh import C0

LEAST_SPACING = 1e-4  # metres; points on top of each other still get a size


@dataclass
class Cloud:
    """means [N, 3] m, quats [N, 4] (w first, any length), raw_scales [N, 3] (softplus gives m), raw_opacities [N]
    (sigmoid), sh [N, K, 3] harmonics of the colour, K = (degree + 1)^2."""

    means: Tensor
    quats: Tensor
    raw_scales: Tensor
    raw_opacities: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return len(self.means)

    def check(self) -> None:
        """Whether the tensors are those of one cloud.

        Raises:
            ValueError: they have other shapes than a cloud's.
        """
        count, bands = len(self.means), self.sh.shape[1] if self.sh.ndim == 3 else 0
        shapes = {"means": (3,), "quats": (4,), "raw_scales": (3,), "raw_opacities": (), "sh": (bands, 3)}
        for name, tensor in self.tensors().items():
            if tensor.shape != (count, *shapes[name]) or tensor.dtype != torch.float32:
                raise ValueError(f"cloud.{name} is {tensor.dtype} {list(tensor.shape)}")
        if not count or bands not in (1, 4, 9, 16):
            raise ValueError(f"a cloud of {count} Gaussians with {bands} bands of colour")

    @property
    def scales(self) -> Tensor:
        """[N, 3] m."""
        return F.softplus(self.raw_scales)

    @property
    def opacities(self) -> Tensor:
        """[N] in 0..1."""
        return torch.sigmoid(self.raw_opacities)

    def tensors(self) -> dict[str, Tensor]:
        """The raw tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Cloud:
        """The inverse of `tensors`; the tensors are copied."""
        return cls(**{field.name: tensors[field.name].detach().clone() for field in fields(cls)})

    @classmethod
    def joined(cls, clouds: Sequence[Cloud]) -> Cloud:
        """All Gaussians of clouds with the same bands of colour, one cloud after the other."""
        every = [cloud.tensors() for cloud in clouds]
        return cls.from_tensors({name: torch.cat([each[name] for each in every]) for name in every[0]})

    @classmethod
    def from_points(cls, points: np.ndarray, colours: np.ndarray, sh_degree: int, opacity: float = 0.1) -> Cloud:
        """Round Gaussians at points [N, 3] m of colours [N, 3] in 0..1, as wide as three neighbours are far.

        Source: 3D Gaussian splatting, initialisation; softplus in place of exp (TalkingGaussian).
        """
        count = len(points)
        distance, _ = cKDTree(points).query(points, k=min(4, count))
        spacing = np.sqrt((distance[:, 1:] ** 2).mean(1)) if count > 1 else np.full(count, 0.01)
        widths = torch.from_numpy(np.maximum(spacing, LEAST_SPACING)).float()
        sh = torch.zeros(count, (sh_degree + 1) ** 2, 3)
        sh[:, 0] = (torch.from_numpy(np.asarray(colours)).float() - 0.5) / C0
        return cls(
            means=torch.from_numpy(np.asarray(points)).float().clone(),
            quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
            raw_scales=inverse_softplus(widths)[:, None].repeat(1, 3),
            raw_opacities=torch.full((count,), float(np.log(opacity / (1 - opacity)))),
            sh=sh,
        )

    def requires_grad_(self) -> Cloud:
        """All tensors train from here on."""
        for tensor in self.tensors().values():
            tensor.requires_grad_()
        return self

    def to(self, device: torch.device) -> Cloud:
        """The cloud on a device, detached."""
        return Cloud(**{key: value.detach().to(device) for key, value in self.tensors().items()})


def inverse_softplus(values: Tensor) -> Tensor:
    """x with softplus(x) = values > 0, exact for small values too."""
    return values + torch.log(-torch.expm1(-values))
