"""The readable rasteriser: plain torch, any dtype, any device, gradients by autograd.

It states what the other backends compute, and is what they are tested against.
Axes: C cameras, N Gaussians, P pixels of a tile, L Gaussians of a tile, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ua3dtalk.splat import sh

ALPHA_MAX = 0.999
ALPHA_THRESHOLD = 1.0 / 255.0
TRANSMITTANCE_MIN = 1e-4
LARGEST_EXTENT = 3.33  # standard deviations
TILE = 16


@dataclass(frozen=True)
class Projection:
    """Gaussians on the screen; zeros where a Gaussian is culled (its radii are 0)."""

    means2d: Tensor  # [C, N, 2] px, (0.5, 0.5) is the centre of the first pixel
    radii: Tensor  # [C, N, 2] int32 px, half the sides of the rectangle outside of which alpha < 1/255
    depths: Tensor  # [C, N] along the camera's axis
    conics: Tensor  # [C, N, 3] upper triangle of the inverse covariance, 1/px^2


def rotation_matrices(quats: Tensor) -> Tensor:
    """Rotations [..., 3, 3] of quaternions [..., 4], w first, of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def jacobians(positions: Tensor, Ks: Tensor, width: int, height: int) -> Tensor:
    """Derivative [C, N, 2, 3] of the perspective at positions [C, N, 3] in the cameras' frames.

    Outside of 1.3 times the field of view the direction is held at that border: the linear approximation of a
    perspective is useless there, and its size would explode.
    """
    fx, fy, cx, cy = (Ks[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))  # [C, 1]
    x, y, z = positions.unbind(-1)  # [C, N]
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    u = torch.clamp(x / z, -cx / fx - margin_x, (width - cx) / fx + margin_x)
    v = torch.clamp(y / z, -cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    return torch.stack([fx / z, zero, -fx * u / z, zero, fy / z, -fy * v / z], -1).unflatten(-1, (2, 3))


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float,
    far_plane: float,
    eps2d: float,
) -> Projection:
    """Elliptical weighted average splatting: Gaussians [N] to ellipses on the screens of cameras [C].

    Source: Zwicker et al., "EWA Splatting", 2002; conventions of gsplat 1.5 (``fully_fused_projection``).
    """
    rotations, translations = viewmats[:, :3, :3], viewmats[:, :3, 3]
    positions = means @ rotations.mT + translations[:, None]  # [C, N, 3]
    depths = positions[..., 2]
    in_depth = (depths > near_plane) & (depths < far_plane) & (opacities.detach() >= ALPHA_THRESHOLD)
    # Culled Gaussians get a harmless place so that no infinity enters the gradient.
    positions = torch.where(in_depth[..., None], positions, positions.new_tensor([0.0, 0.0, 1.0]))

    roots = rotation_matrices(quats) * scales[:, None, :]  # [N, 3, 3], covariance = roots roots^T
    screen_roots = jacobians(positions, Ks, width, height) @ rotations[:, None] @ roots  # [C, N, 2, 3]
    a, b = screen_roots.unbind(-2)
    xx0, yy0, xy = (a * a).sum(-1), (b * b).sum(-1), (a * b).sum(-1)
    # |a x b|^2 instead of xx yy - xy^2: the same number without cancellation.
    determinant = torch.linalg.cross(a, b).square().sum(-1) + eps2d * (xx0 + yy0) + eps2d**2
    xx, yy = xx0 + eps2d, yy0 + eps2d
    conics = torch.stack([yy, -xy, xx], -1) / determinant.clamp_min(1e-10)[..., None]

    points = positions @ Ks.mT  # [C, N, 3]
    means2d = points[..., :2] / positions[..., 2:]
    extents = torch.sqrt(2 * torch.log(opacities.detach().clamp_min(ALPHA_THRESHOLD) / ALPHA_THRESHOLD))
    extents = extents.clamp_max(LARGEST_EXTENT)
    radii = torch.ceil(extents[..., None] * torch.stack([xx, yy], -1).detach().sqrt())
    size = radii.new_tensor([width, height])
    on_screen = ((means2d + radii > 0) & (means2d - radii < size) & (radii > 0)).all(-1)
    seen = in_depth & on_screen
    return Projection(
        means2d=torch.where(seen[..., None], means2d, 0.0),
        radii=torch.where(seen[..., None], radii, 0.0).clamp_max(1e9).int(),
        depths=torch.where(seen, depths, 0.0),
        conics=torch.where(seen[..., None], conics, 0.0),
    )


def alphas_at(pixels: Tensor, means2d: Tensor, conics: Tensor, opacities: Tensor) -> tuple[Tensor, Tensor]:
    """Alpha [P, L] of Gaussians at pixel centres [P, 2], 0 below the threshold; and the offsets [P, L, 2]."""
    offsets = pixels[:, None] - means2d  # [P, L, 2]
    dx, dy = offsets.unbind(-1)
    xx, xy, yy = conics.unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alphas = (opacities * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    return torch.where(alphas >= ALPHA_THRESHOLD, alphas, 0.0), offsets


def weights_of(alphas: Tensor) -> Tensor:
    """Weights alpha T [P, L] of Gaussians sorted by depth; the one that would leave T <= 1e-4 ends its pixel."""
    after = torch.cumprod(1 - alphas, -1)
    alphas = torch.where(after.detach() > TRANSMITTANCE_MIN, alphas, 0.0)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
    return alphas * before


@dataclass(frozen=True)
class _AddAbsolute:
    """A hook on the offsets of a tile: dL/dmeans2d is minus their gradient, summed over pixels."""

    sums: Tensor  # [N, 2]
    ids: Tensor  # [L]

    def __call__(self, gradient: Tensor) -> None:
        self.sums.index_add_(0, self.ids, gradient.abs().sum(0))


def composite(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    depths: Tensor,
    radii: Tensor,
    width: int,
    height: int,
    absolute: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One camera's image, tile by tile, nearest Gaussian first.

    Args:
        means2d, conics, opacities, features, depths, radii: of N Gaussians; features [N, D].
        absolute: [N, 2]; the backward pass adds the sums over pixels of |dL/dmeans2d| to it.
    Returns:
        The image [height, width, D] without background, and alpha [height, width, 1].
    """
    order = torch.argsort(depths.detach(), stable=True)
    order = order[(radii[order] > 0).all(-1)]
    low, high = (means2d - radii).detach()[order], (means2d + radii).detach()[order]
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            right, bottom = min(left + TILE, width), min(top + TILE, height)
            touches = (low < low.new_tensor([right, bottom])) & (high > low.new_tensor([left, top]))
            ids = order[touches.all(-1)]  # [L]
            y, x = torch.meshgrid(
                torch.arange(top, bottom, dtype=means2d.dtype, device=means2d.device) + 0.5,
                torch.arange(left, right, dtype=means2d.dtype, device=means2d.device) + 0.5,
                indexing="ij",
            )
            pixels = torch.stack([x, y], -1).reshape(-1, 2)
            alphas, offsets = alphas_at(pixels, means2d[ids], conics[ids], opacities[ids])
            if absolute is not None and offsets.requires_grad:
                offsets.register_hook(_AddAbsolute(absolute, ids))
            weights = weights_of(alphas)  # [P, L]
            pixel = torch.cat([weights @ features[ids], weights.sum(-1, keepdim=True)], -1)
            row.append(pixel.unflatten(0, (bottom - top, right - left)))
        rows.append(torch.cat(row, 1))
    image = torch.cat(rows, 0)
    return image[..., :-1], image[..., -1:]


def view_colours(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """Colours [C, N, 3] of harmonics [N, K, 3] along directions [C, N, 3] from the cameras."""
    return sh.colours(degree, directions, coefficients)


def render(
    projection: Projection,
    opacities: Tensor,
    features: Tensor,
    width: int,
    height: int,
    *,
    with_depth: bool,
    absgrad: bool,
) -> tuple[Tensor, Tensor]:
    """Images [C, height, width, D (+ 1)] and alphas [C, height, width, 1] of features [C, N, D] or [N, D]."""
    p = projection
    absolute = torch.zeros_like(p.means2d) if absgrad else None
    images, alphas = [], []
    for camera in range(len(p.means2d)):
        channels = features[camera] if features.dim() == 3 else features
        if with_depth:
            channels = torch.cat([channels, p.depths[camera, :, None]], -1)
        image, alpha = composite(
            p.means2d[camera],
            p.conics[camera],
            opacities,
            channels,
            p.depths[camera],
            p.radii[camera],
            width,
            height,
            None if absolute is None else absolute[camera],
        )
        images.append(image)
        alphas.append(alpha)
    if absolute is not None:
        p.means2d.absgrad = absolute  # type: ignore[attr-defined]
    return torch.stack(images), torch.stack(alphas)
