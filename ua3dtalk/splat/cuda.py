"""gsplat's CUDA rasteriser behind the same interface."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """``gsplat.rasterization`` on float32 tensors, with every Gaussian in meta (not packed).

    Args and returns: those of ``ua3dtalk.splat.rasterise.rasterization``.
    """
    import gsplat

    arrays = [x.float().contiguous() for x in (means, quats, scales, opacities, colors, viewmats, Ks)]
    renders, alphas, meta = gsplat.rasterization(*arrays, width, height, packed=False, **options)
    return renders, alphas, {**meta, "backend": "gsplat"}


@functools.cache
def problem(device: torch.device) -> str | None:
    """Why gsplat cannot be used on this device, or None. Tries a tiny scene: gsplat imports even where it cannot run.

    The first call on a machine may compile gsplat's kernels, which takes minutes.
    """
    try:
        one = torch.ones(1, device=device)
        eye = torch.eye(4, device=device)
        rasterization(
            means=one.new_tensor([[0.0, 0.0, 1.0]]),
            quats=eye[:1],
            scales=0.1 * eye[:1, :3] + 0.1,
            opacities=0.5 * one,
            colors=eye[:1, :3],
            viewmats=eye[None],
            Ks=eye[None, :3, :3],
            width=16,
            height=16,
        )
    except Exception as error:  # a missing package, compiler, driver or kernel: each raises its own kind
        return f"gsplat: {error}".splitlines()[0]
    return None
