"""Adding Gaussians where the picture pulls at them, removing those that do nothing.

Source: 3D Gaussian splatting, adaptive density control, with TalkingGaussian's constants: a Gaussian whose centre feels
a large mean gradient on the screen is cloned when it is small and split in two when it is large; faint and huge ones
go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ua3dtalk.splat.cloud import Cloud, inverse_softplus
from ua3dtalk.splat.reference import rotation_matrices

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
        absolute: go by the sums of absolute gradients per pixel (`absgrad` of `rasterization`); wants a threshold
            several times higher. Source: Ye et al., "AbsGS", 2024.
        generator: where split Gaussians' places are drawn.
    """

    gradient_threshold: float
    max_gaussians: int
    extent: float
    dense_share: float = 0.005
    large_share: float = 0.1
    max_pixels: float | None = None
    absolute: bool = False
    generator: torch.Generator | None = None
    _sums: Tensor | None = field(default=None, repr=False)
    _counts: Tensor | None = field(default=None, repr=False)
    _radii: Tensor | None = field(default=None, repr=False)

    def observe(self, meta: Mapping[str, Any], width: int, height: int) -> None:
        """Take note of a step's screen gradients, after backward.

        Args: meta of `rasterization`, whose `means2d` [C, N, 2] kept its gradient (or has `absgrad`, which is preferred
            when `absolute` is set); picture size in px.
        """
        means2d = meta["means2d"]
        gradient = getattr(means2d, "absgrad", None) if self.absolute else means2d.grad
        if gradient is None:
            return
        # Halves of the picture, and the loss's mean over cameras undone: as gsplat normalises.
        scale = gradient.new_tensor([width / 2, height / 2]) * len(gradient)
        radii = meta["radii"].amax(2)  # [C, N]
        seen = (meta["radii"] > 0).all(2)
        if self._sums is None or self._counts is None or self._radii is None:
            self._sums, self._counts, self._radii = (gradient.new_zeros(seen.shape[1]) for _ in range(3))
        self._sums += ((gradient * scale).norm(dim=2) * seen).sum(0)
        self._counts += seen.sum(0)
        self._radii = torch.maximum(self._radii, radii.amax(0).to(self._radii.dtype))

    @torch.no_grad()
    def refine(self, cloud: Cloud, optimisers: Mapping[str, torch.optim.Optimizer], min_opacity: float) -> Cloud:
        """Divide, then prune; the optimisers, one parameter each under the cloud's names, follow.

        Returns:
            the new cloud; its tensors are the optimisers' new parameters.
        """
        clones, splits = self._divide(cloud)
        old = torch.nonzero(~splits).flatten()  # rows that live on
        children = _join([_take(cloud.tensors(), clones), self._halves(cloud, splits)])
        grown = Cloud(**{key: torch.cat([value[old], children[key]]) for key, value in cloud.tensors().items()})
        keep = self._prune(grown, old, min_opacity)
        old, born = old[keep[: len(old)]], int(keep[len(old) :].sum())
        tensors = _take(grown.tensors(), keep)
        for key, optimiser in optimisers.items():
            tensors[key] = _replace(optimiser, tensors[key].requires_grad_(), old, born)
        self._sums = self._counts = self._radii = None
        return Cloud(**tensors)

    def _divide(self, cloud: Cloud) -> tuple[Tensor, Tensor]:
        """Masks [N] of the Gaussians to clone and to split."""
        none = torch.zeros(len(cloud), dtype=torch.bool, device=cloud.means.device)
        if self._sums is None or self._counts is None:
            return none, none
        pull = self._sums / self._counts.clamp_min(1)
        room = self.max_gaussians - len(cloud)  # a clone and a split both add one
        pulled = pull > self.gradient_threshold
        if int(pulled.sum()) > room:
            strongest = torch.argsort(pull, descending=True, stable=True)[: max(room, 0)]
            pulled = none.clone()
            pulled[strongest] = True
        large = cloud.scales.amax(1) > self.dense_share * self.extent
        return pulled & ~large, pulled & large

    def _prune(self, cloud: Cloud, old: Tensor, min_opacity: float) -> Tensor:
        """Mask [N] of the Gaussians that stay; a cloud never loses its last ones.

        Args: the divided cloud, whose first rows were the rows `old` before.
        """
        keep = cloud.opacities >= min_opacity
        keep &= cloud.scales.amax(1) <= self.large_share * self.extent
        if self.max_pixels is not None and self._radii is not None:
            keep[: len(old)] &= self._radii[old] <= self.max_pixels
        return keep if bool(keep.any()) else torch.ones_like(keep)

    def _halves(self, cloud: Cloud, mask: Tensor) -> dict[str, Tensor]:
        """Two smaller Gaussians drawn from each split one."""
        parent = _take(cloud.tensors(), mask)
        scales, axes = cloud.scales[mask], rotation_matrices(parent["quats"])
        halves = []
        for _ in range(2):
            offset = torch.randn(scales.shape, generator=self.generator).to(scales) * scales
            moved = parent["means"] + torch.einsum("nij,nj->ni", axes, offset)
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


def _replace(optimiser: torch.optim.Optimizer, parameter: Tensor, old: Tensor, born: int) -> Tensor:
    """Put a new parameter into an optimiser of one.

    Its rows are the rows `old` of the former one, which keep their moments, and `born` new ones, which start with none.
    """
    group = optimiser.param_groups[0]
    former = group["params"][0]
    state = optimiser.state.pop(former, None)
    group["params"] = [parameter]
    if state:
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == former.shape:
                state[key] = torch.cat([value[old], value.new_zeros(born, *value.shape[1:])])
        optimiser.state[parameter] = state
    return parameter
