"""Random scenes, and which of their pixels hang on a rounding error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import settings
from torch import Tensor

from ua3dtalk.splat import reference

few_examples = settings(max_examples=20, deadline=None, derandomize=True)


@dataclass
class Scene:
    """Gaussians, features and cameras; some Gaussians lie behind a camera, beside it or across its border."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    features: Tensor
    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int

    def tensors(self) -> dict[str, Tensor]:
        names = ("means", "quats", "scales", "opacities", "features", "viewmats", "Ks")
        return {name: getattr(self, name) for name in names}

    def to(self, dtype: torch.dtype) -> Scene:
        return Scene(**{k: v.to(dtype) for k, v in self.tensors().items()}, width=self.width, height=self.height)

    def render(self, render: Callable, **options):
        t = self.tensors()
        return render(
            t["means"], t["quats"], t["scales"], t["opacities"], t["features"], t["viewmats"], t["Ks"],
            self.width, self.height, **options,
        )  # fmt: skip


def random_scene(
    seed: int, n: int = 40, channels: int = 3, width: int = 33, height: int = 21, cameras: int = 1
) -> Scene:
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g)

    means = uniform(n, 3, low=-0.8, high=0.8)
    means[:, 2] = uniform(n, low=-0.5, high=3.0)
    viewmats = torch.eye(4).repeat(cameras, 1, 1)
    for camera in range(cameras):
        quat = torch.cat([torch.ones(1), uniform(3, low=-0.15, high=0.15)])
        viewmats[camera, :3, :3] = reference.rotation_matrices(quat)
        viewmats[camera, :3, 3] = uniform(3, low=-0.2, high=0.2)
    focal = 0.8 * max(width, height)
    K = torch.tensor([[focal, 0, width / 2 + 1.3], [0, 1.1 * focal, height / 2 - 0.7], [0, 0, 1]])
    return Scene(
        means=means,
        quats=torch.randn(n, 4, generator=g),
        scales=torch.exp(uniform(n, 3, low=-5.0, high=-1.0)),
        opacities=uniform(n),
        features=torch.randn(n, channels, generator=g),
        viewmats=viewmats,
        Ks=K.repeat(cameras, 1, 1),
        width=width,
        height=height,
    )


def decided(scene: Scene, margin: float = 1e-4) -> Tensor:
    """Pixels [C, H, W] whose alphas and transmittances all keep clear of the thresholds of the rules."""
    s = scene.to(torch.float64)
    p = reference.project(
        s.means, s.quats, s.scales, s.opacities, s.viewmats, s.Ks, s.width, s.height,
        near_plane=0.01, far_plane=1e10, eps2d=0.3,
    )  # fmt: skip
    y, x = torch.meshgrid(torch.arange(s.height) + 0.5, torch.arange(s.width) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 2).double()
    masks = []
    for camera in range(len(s.viewmats)):
        order = torch.argsort(p.depths[camera])
        order = order[(p.radii[camera, order] > 0).all(-1)]
        offsets = pixels[:, None] - p.means2d[camera, order]
        a, b, c = p.conics[camera, order].unbind(-1)
        sigma = 0.5 * (a * offsets[..., 0] ** 2 + c * offsets[..., 1] ** 2) + b * offsets[..., 0] * offsets[..., 1]
        raw = s.opacities[order] * torch.exp(-sigma)
        left = torch.cumprod(1 - torch.where(raw >= 1 / 255, raw.clamp_max(0.999), 0.0), -1)
        clear = ((raw * 255 - 1).abs() > margin) & ((raw / 0.999 - 1).abs() > margin)
        clear &= (left * 1e4 - 1).abs() > 10 * margin
        masks.append(clear.all(-1).reshape(s.height, s.width))
    return torch.stack(masks)


def relative(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest expected value."""
    if not expected.numel():
        return 0.0
    return float((actual.double() - expected.double()).abs().max() / expected.double().abs().max().clamp_min(1e-9))
