"""The product of the views' Gaussian beliefs, Gaussian by Gaussian.

With S_m = diag(a_m) + C_m^T C_m the covariance of view m (a variance, C spread), the product has the precision
P = sum_m S_m^-1, the mean P^-1 sum_m S_m^-1 mean_m and the covariance P^-1.

Backends: ``torch`` (readable, any device and dtype; it computes in float64), ``native`` (C++ on the CPU, float32).
Beliefs of single members are diagonal and need neither.
Source: UA-3DTalk, Gaussian fusion (method 3.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ua3dtalk import native as native_library
from ua3dtalk.field import fusion_native
from ua3dtalk.field.beliefs import Belief

Backend = Literal["auto", "native", "torch"]


@dataclass(frozen=True)
class Fused:
    """mean [N, D]; variance [N, D] > 0: diagonal of the fused covariance, None when it was not asked for."""

    mean: Tensor
    variance: Tensor | None


def fuse(
    beliefs: Sequence[Belief],
    backend: Backend = "auto",
    scales: Sequence[float] | Tensor | None = None,
    *,
    with_variance: bool = True,
) -> Fused:
    """Product of the views' Gaussians over one latent state; differentiable through both outputs.

    Args:
        beliefs: V views with mean [N, D], variance [N, D] > 0, spread [N, T, D] or None.
        scales: a factor > 0 per view on its covariance; infinity leaves the view out.
        with_variance: False saves the work for the variance.
    Returns:
        The fused belief's mean and the diagonal of its covariance.
    Raises:
        ValueError: no view is left, shapes do not fit, or a factor is not positive.
    """
    views = _scaled(beliefs, scales)
    if all(view.spread is None for view in views):
        return _fuse_single(views, with_variance)
    if backend == "auto":
        backend = "native" if _runs_native(views) else "torch"
    if backend == "native":
        mean, variance = fusion_native.fuse(
            [view.mean for view in views],
            [view.variance for view in views],
            [view.spread for view in views],
            with_variance=with_variance,
        )
        return Fused(mean, variance)
    if backend != "torch":
        raise ValueError(f"backend {backend!r} is none of auto, native, torch")
    return _fuse_torch(views, with_variance)


def fuse_reference(beliefs: Sequence[Belief], scales: Sequence[float] | Tensor | None = None) -> Fused:
    """The textbook formula with dense inverses, in the beliefs' own dtype: V + 1 inverses of D x D per Gaussian."""
    precisions, weighted = [], []
    for view in _scaled(beliefs, scales):
        covariance = torch.diag_embed(view.variance)  # [N, D, D]
        if view.spread is not None:
            covariance = covariance + view.spread.transpose(1, 2) @ view.spread
        precision = torch.inverse(covariance)
        precisions.append(precision)
        weighted.append(precision @ view.mean[..., None])
    fused = torch.inverse(torch.stack(precisions).sum(0))
    return Fused((fused @ torch.stack(weighted).sum(0))[..., 0], fused.diagonal(dim1=1, dim2=2))


def _fuse_single(views: Sequence[Belief], with_variance: bool) -> Fused:
    """Element by element: the mean weighted by precision.

    The weights are a softmax: its gradient takes differences of means, where that of a quotient of sums cancels.
    """
    variances = torch.stack([view.variance for view in views])
    shares = torch.softmax(-torch.log(variances), 0)
    mean = (shares * torch.stack([view.mean for view in views])).sum(0)
    return Fused(mean, variances.reciprocal().sum(0).reciprocal() if with_variance else None)


def _fuse_torch(views: Sequence[Belief], with_variance: bool) -> Fused:
    """Woodbury's identity on all views' spreads at once: one Cholesky of (V T)^2 per Gaussian (see native/fusion.cpp).

    In float64: the system squares the condition of the spreads, and float32 would lose it.
    """
    dtype = views[0].mean.dtype
    means = [view.mean.double() for view in views]
    precisions = [view.variance.double().reciprocal() for view in views]
    total = torch.stack(precisions).sum(0)  # [N, D]
    rough = sum(p * mean for p, mean in zip(precisions, means, strict=True)) / total  # the mean without spreads
    rows = sum(view.spread.shape[1] for view in views if view.spread is not None)
    weighted, blocks, right = [], [], []
    before = 0
    for view, mean, precision in zip(views, means, precisions, strict=True):
        if view.spread is None:
            continue
        spread = view.spread.double()  # [N, T, D]
        weighted.append(spread * precision[:, None])
        block = weighted[-1] @ spread.transpose(1, 2)  # [N, T, T]
        blocks.append(F.pad(block, (before, rows - before - block.shape[1])))
        right.append(weighted[-1] @ (mean - rough)[..., None])  # [N, T, 1]
        before += block.shape[1]
    stacked = torch.cat(weighted, 1)  # [N, V T, D]
    shares = stacked / total[:, None]
    identity = torch.eye(rows, dtype=torch.float64, device=total.device)
    system = identity + torch.cat(blocks, 1) - stacked @ shares.transpose(1, 2)
    factor, _ = torch.linalg.cholesky_ex(system)
    latent = torch.cholesky_solve(torch.cat(right, 1), factor)  # [N, V T, 1]
    mean = rough - (shares * latent).sum(1)
    if not with_variance:
        return Fused(mean.to(dtype), None)
    correction = torch.linalg.solve_triangular(factor, shares, upper=False).square().sum(1)
    return Fused(mean.to(dtype), (total.reciprocal() + correction).to(dtype))


def _runs_native(views: Sequence[Belief]) -> bool:
    mean = views[0].mean
    return mean.device.type == "cpu" and mean.dtype == torch.float32 and native_library.is_available()


def _scaled(beliefs: Sequence[Belief], scales: Sequence[float] | Tensor | None) -> list[Belief]:
    """The views that are there, their covariances inflated."""
    factors = [1.0] * len(beliefs) if scales is None else [float(scale) for scale in scales]
    if len(factors) != len(beliefs):
        raise ValueError(f"{len(factors)} scales for {len(beliefs)} views")
    kept = []
    for view, factor in zip(beliefs, factors, strict=True):
        if not factor > 0:
            raise ValueError(f"a view's covariance cannot be scaled by {factor}: give a factor above 0")
        if factor == math.inf:
            continue
        kept.append(view if factor == 1 else _inflated(view, factor))
    if not kept:
        raise ValueError("no view is left to fuse")
    _check(kept)
    return kept


def _inflated(view: Belief, factor: float) -> Belief:
    spread = None if view.spread is None else view.spread * math.sqrt(factor)
    return Belief(view.mean, view.variance * factor, spread)


def _check(views: Sequence[Belief]) -> None:
    shape = tuple(views[0].mean.shape)
    for m, view in enumerate(views):
        if len(shape) != 2 or tuple(view.mean.shape) != shape or tuple(view.variance.shape) != shape:
            found = (tuple(view.mean.shape), tuple(view.variance.shape))
            raise ValueError(f"view {m} has mean and variance {found}, expected {shape} of two axes")
        if view.spread is not None and (view.spread.dim() != 3 or view.spread.shape[::2] != shape):
            raise ValueError(f"view {m} has a spread {tuple(view.spread.shape)}, expected [{shape[0]}, T, {shape[1]}]")
