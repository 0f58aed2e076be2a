"""Adding Gaussians where the picture pulls at them, removing those that do nothing.

Source: 3D Gaussian splatting, adaptive density control, with TalkingGaussian's constants: a Gaussian whose centre feels
a large mean gradient on the screen is cloned when it is small and split in two when it is large; faint and huge ones go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ua3dtalk.splat.cloud import Cloud, inverse_softplus

SPLIT_SHRINK = 1.6
LEAST_SCALE = 1e-7


@dataclass
class Densifier:
    """Watches gradients and refines a cloud.

    Attributes:
        gradient_threshold: mean |gradient| of a centre, in halves of the picture, from which a Gaussian divides.
        max_gaussians: no division beyond this many; the strongest pulls win.
        extent: radius of the scene in m.
        dense_share: Gaussians wider than this share of the extent are split, others cloned.
        large_share: Gaussians wider than this share of the extent are removed.
        max_pixels: Gaussians wider than this on the screen are removed, None never.
        generator: where split Gaussians' places are drawn.
    """

    gradient_threshold: float
    max_gaussians: int
    extent: float
    dense_share: float = 0.005
    large_share: float = 0.1
    max_pixels: float | None = None
    generator: torch.Generator | None = None
    _sums: Tensor | None = field(default=None, repr=False)
    _counts: Tensor | None = field(default=None, repr=False)
    _radii: Tensor | None = field(default=None, repr=False)

    def observe(self, meta: Mapping[str, Any], width: int, height: int) -> None:
        """Take note of a step's screen gradients, after backward.

        Args: meta of `rasterization` with one camera, whose `means2d` [1, N, 2] kept its gradient; picture size in px.
        """
        gradient = meta["means2d"].grad
        if gradient is None:
            return
        half = gradient.new_tensor([width / 2, height / 2])
        seen = (meta["radii"][0] > 0).all(1)
        if self._sums is None or self._counts is None or self._radii is None:
            self._sums = gradient.new_zeros(len(seen))
            self._counts = gradient.new_zeros(len(seen))
            self._radii = gradient.new_zeros(len(seen))
        self._sums += (gradient[0] * half).norm(dim=1) * seen
        self._counts += seen
        self._radii = torch.maximum(self._radii, meta["radii"][0].amax(1).to(self._radii.dtype))

    @torch.no_grad()
    def refine(self, cloud: Cloud, optimisers: Mapping[str, torch.optim.Optimizer], min_opacity: float) -> Cloud:
        """Divide and prune; the optimisers, one parameter each under the cloud's names, follow.

        Returns:
            the new cloud; its tensors are the optimisers' new parameters.
        """
        keep, born = self._prune(cloud, min_opacity), self._divide(cloud)
        clones, splits = born
        keep &= ~splits
        children = _join([_take(cloud.tensors(), clones), self._halves(cloud, splits)])
        tensors = {key: torch.cat([value[keep], children[key]]) for key, value in cloud.tensors().items()}
        count = len(children["means"])
        for key, optimiser in optimisers.items():
            tensors[key] = _replace(optimiser, tensors[key].requires_grad_(), keep, count)
        self._sums = self._counts = self._radii = None
        return Cloud(**tensors)

    def _divide(self, cloud: Cloud) -> tuple[Tensor, Tensor]:
        """Masks [N] of the Gaussians to clone and to split."""
        none = torch.zeros(len(cloud), dtype=torch.bool, device=cloud.means.device)
        if self._sums is None or self._counts is None:
            return none, none
        pull = self._sums / self._counts.clamp_min(1)
        room = self.max_gaussians - len(cloud)
        pulled = pull > self.gradient_threshold
        if int(pulled.sum()) > room:
            strongest = torch.argsort(pull, descending=True, stable=True)[: max(room, 0)]
            pulled = none.clone()
            pulled[strongest] = True
        large = cloud.scales.amax(1) > self.dense_share * self.extent
        return pulled & ~large, pulled & large

    def _prune(self, cloud: Cloud, min_opacity: float) -> Tensor:
        """Mask [N] of the Gaussians that stay; a cloud never loses its last ones."""
        keep = cloud.opacities >= min_opacity
        keep &= cloud.scales.amax(1) <= self.large_share * self.extent
        if self.max_pixels is not None and self._radii is not None:
            keep &= self._radii <= self.max_pixels
        return keep if bool(keep.any()) else torch.ones_like(keep)

    def _halves(self, cloud: Cloud, mask: Tensor) -> dict[str, Tensor]:
        """Two smaller Gaussians drawn from each split one."""
        parent = _take(cloud.tensors(), mask)
        scales = cloud.scales[mask]
        halves = []
        for _ in range(2):
            offset = torch.randn(scales.shape, generator=self.generator).to(scales) * scales
            moved = parent["means"] + torch.einsum("nij,nj->ni", _rotations(parent["quats"]), offset)
            shrunk = inverse_softplus((scales / SPLIT_SHRINK).clamp_min(LEAST_SCALE))
            halves.append({**parent, "means": moved, "raw_scales": shrunk})
        return _join(halves)

    def state_dict(self) -> dict[str, Any]:
        """What was observed since the last refinement, and the generator's state."""
        return {
            "sums": self._sums,
            "counts": self._counts,
            "radii": self._radii,
            "generator": None if self.generator is None else self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._sums, self._counts, self._radii = state["sums"], state["counts"], state["radii"]
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"])


def _take(tensors: Mapping[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    return {key: value[mask] for key, value in tensors.items()}


def _join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _replace(optimiser: torch.optim.Optimizer, parameter: Tensor, keep: Tensor, born: int) -> Tensor:
    """Put a new parameter into an optimiser of one; rows that stay keep their moments, new rows start with none."""
    group = optimiser.param_groups[0]
    state = optimiser.state.pop(group["params"][0], None)
    group["params"] = [parameter]
    if state:
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape[:1] == keep.shape:
                state[key] = torch.cat([value[keep], value.new_zeros(born, *value.shape[1:])])
        optimiser.state[parameter] = state
    return parameter


def _rotations(quats: Tensor) -> Tensor:
    """Rotation matrices [N, 3, 3] of quaternions [N, 4], w first."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, 1).view(-1, 3, 3)
