"""The native fusion of beliefs as one autograd function."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ua3dtalk.native import library


def fuse(
    means: Sequence[Tensor], variances: Sequence[Tensor], spreads: Sequence[Tensor | None], *, with_variance: bool
) -> tuple[Tensor, Tensor | None]:
    """The twin of ``fusion.fuse`` for float32 on the CPU; tensors with N innermost in memory are taken as they are.

    Args:
        means, variances: V times [N, D].
        spreads: V times [N, T, D] or None.
    Returns:
        mean [N, D] and variance [N, D] or None.
    """
    members = tuple(0 if spread is None else spread.shape[1] for spread in spreads)
    arrays = [x.float().t().contiguous() for x in (*means, *variances)]
    arrays += [x.float().permute(1, 2, 0).contiguous() for x in spreads if x is not None]
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in arrays)
    mean, variance = _Fuse.apply(members, with_variance, trains, *arrays)
    return mean.t(), None if variance is None else variance.t()


def _addresses(members: tuple[int, ...], arrays: Sequence[Tensor]) -> tuple[Any, ...]:
    """Arrays of pointers to the views' means, variances and spreads."""
    views = len(members)
    spreads = iter(arrays[2 * views :])
    lists = (arrays[:views], arrays[views : 2 * views], [next(spreads) if count else None for count in members])
    return tuple(
        (ctypes.c_void_p * views)(*(None if array is None else array.data_ptr() for array in arrays))
        for arrays in lists
    )


def _check(done: object) -> None:
    if not done:
        raise MemoryError("the native fusion ran out of memory")


class _Fuse(torch.autograd.Function):
    """Arrays: V means [D, N], V variances [D, N], spreads [T, D, N] of the views that have one; contiguous."""

    @staticmethod
    def forward(
        ctx: Any, members: tuple[int, ...], with_variance: bool, trains: bool, *arrays: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        lib = library()
        state, n = arrays[0].shape
        ctx.head = (n, len(members), state, (ctypes.c_int32 * len(members))(*members))
        mean = torch.empty(state, n)
        variance = torch.empty(state, n) if with_variance else None
        size = lib.ua3d_fuse_saved(n, sum(members)) if trains else 0
        saved = torch.empty(size, dtype=torch.float64)
        _check(
            lib.ua3d_fuse(
                *ctx.head,
                *_addresses(members, arrays),
                mean.data_ptr(),
                None if variance is None else variance.data_ptr(),
                saved.data_ptr() if trains else None,
                torch.get_num_threads(),
            )
        )
        ctx.set_materialize_grads(False)
        ctx.members, ctx.lib = members, lib
        ctx.save_for_backward(saved, *arrays)
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_mean: Tensor | None, v_variance: Tensor | None) -> tuple[Any, ...]:
        saved, *arrays = ctx.saved_tensors
        if v_mean is None and v_variance is None:
            return (None,) * (3 + len(arrays))
        gradients = [torch.empty_like(array) for array in arrays]
        upstream = [None if v is None else v.contiguous() for v in (v_mean, v_variance)]
        _check(
            ctx.lib.ua3d_fuse_backward(
                *ctx.head,
                *_addresses(ctx.members, arrays),
                saved.data_ptr(),
                *(None if v is None else v.data_ptr() for v in upstream),
                *_addresses(ctx.members, gradients),
                torch.get_num_threads(),
            )
        )
        return None, None, None, *gradients
