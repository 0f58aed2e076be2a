"""Real spherical harmonics up to degree 3, in the order and with the signs of 3D Gaussian splatting."""

from __future__ import annotations

import torch
from torch import Tensor

DEGREE_MAX = 3
C0 = 0.28209479177387814
_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def coefficients(degree: int) -> int:
    """How many coefficients harmonics up to this degree have."""
    return (degree + 1) ** 2


def basis(degree: int, directions: Tensor) -> Tensor:
    """The harmonics at some directions.

    Args:
        degree: 0..3.
        directions: unit vectors [..., 3].
    Returns:
        [..., (degree + 1)^2].
    Source: Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2013; signs as in Kerbl et al. 2023.
    """
    x, y, z = directions.unbind(-1)
    terms = [torch.full_like(x, C0)]
    if degree >= 1:
        terms += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        a, b, c = _C2
        terms += [a * x * y, -a * y * z, b * (2 * zz - xx - yy), -a * x * z, c * (xx - yy)]
    if degree >= 3:
        a, b, c, d, e = _C3
        terms += [
            -a * y * (3 * xx - yy),
            b * x * y * z,
            -c * y * (4 * zz - xx - yy),
            d * z * (2 * zz - 3 * xx - 3 * yy),
            -c * x * (4 * zz - xx - yy),
            e * z * (xx - yy),
            -a * x * (xx - 3 * yy),
        ]
    return torch.stack(terms, -1)


def colours(degree: int, directions: Tensor, sh: Tensor) -> Tensor:
    """Colours seen along some directions, at least 0 (gsplat's convention: + 0.5, then clamped from below).

    Args:
        degree: bands to use, 0..3.
        directions: from the camera to the Gaussian, any length, [..., N, 3].
        sh: coefficients [..., N, K, 3] with K >= (degree + 1)^2.
    Returns:
        [..., N, 3].
    """
    count = coefficients(degree)
    if degree == 0:  # the same from everywhere
        return (C0 * sh[..., 0, :] + 0.5).clamp_min(0).expand(*directions.shape[:-1], 3)
    values = basis(degree, torch.nn.functional.normalize(directions, dim=-1))
    return ((values.unsqueeze(-2) @ sh[..., :count, :]).squeeze(-2) + 0.5).clamp_min(0)
