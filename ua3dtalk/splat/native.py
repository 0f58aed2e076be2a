"""The native rasteriser as two autograd functions, so that screen positions stay visible between them."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ua3dtalk.native import library
from ua3dtalk.splat.reference import Projection


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _check(done: object) -> None:
    if not done:
        raise MemoryError("the native rasteriser ran out of memory")


class _Work:
    """The lists of Gaussians per tile that the backward pass needs; freed with the graph."""

    def __init__(self, handle: int, lib: ctypes.CDLL) -> None:
        _check(handle)
        self.handle, self._lib = handle, lib

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._lib.ua3d_rasterise_free(self.handle)


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        size: tuple[int, int],
        planes: tuple[float, float],
        eps2d: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        cameras, n = len(viewmats), len(means)
        radii = torch.empty(cameras, n, 2, dtype=torch.int32)
        means2d, conics = torch.empty(cameras, n, 2), torch.empty(cameras, n, 3)
        depths = torch.empty(cameras, n)
        lib, threads = library(), torch.get_num_threads()
        shape = (*map(_pointer, (means, quats, scales)),)
        for c in range(cameras):
            outputs = map(_pointer, (radii[c], means2d[c], depths[c], conics[c]))
            view = (viewmats[c].data_ptr(), Ks[c].data_ptr())
            _check(lib.ua3d_project(n, *shape, _pointer(opacities), *view, *size, eps2d, *planes, *outputs, threads))
        ctx.save_for_backward(means, quats, scales, viewmats, Ks, radii, conics)
        ctx.size, ctx.eps2d = size, eps2d
        ctx.mark_non_differentiable(radii)
        return means2d, radii, depths, conics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_means2d: Tensor, _: Tensor, v_depths: Tensor, v_conics: Tensor) -> tuple[Any, ...]:
        means, quats, scales, viewmats, Ks, radii, conics = ctx.saved_tensors
        v_means2d, v_depths, v_conics = (v.contiguous() for v in (v_means2d, v_depths, v_conics))
        v_means, v_quats, v_scales = (torch.zeros_like(x) for x in (means, quats, scales))
        v_viewmats = torch.zeros_like(viewmats) if ctx.needs_input_grad[4] else None
        lib, threads = library(), torch.get_num_threads()
        for c in range(len(viewmats)):
            inputs = map(_pointer, (means, quats, scales, viewmats[c], Ks[c]))
            upstream = map(_pointer, (radii[c], conics[c], v_means2d[c], v_depths[c], v_conics[c]))
            v_view = None if v_viewmats is None else v_viewmats[c]
            outputs = map(_pointer, (v_means, v_quats, v_scales, v_view))
            done = lib.ua3d_project_backward(len(means), *inputs, *ctx.size, ctx.eps2d, *upstream, *outputs, threads)
            _check(done)
        return v_means, v_quats, v_scales, None, v_viewmats, None, None, None, None


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        depths: Tensor,
        features: Tensor,
        radii: Tensor,
        size: tuple[int, int],
        with_depth: bool,
        absgrad: bool,
    ) -> tuple[Tensor, Tensor]:
        (cameras, n), (width, height) = depths.shape, size
        channels = features.shape[-1]
        renders = torch.empty(cameras, height, width, channels + with_depth)
        alphas = torch.empty(cameras, height, width, 1)
        lib, threads = library(), torch.get_num_threads()
        works = []
        for c in range(cameras):
            inputs = (means2d[c], conics[c], opacities, depths[c], radii[c], features[c % len(features)])
            outputs = map(_pointer, (renders[c], alphas[c]))
            handle = lib.ua3d_rasterise(
                n, channels, with_depth, *map(_pointer, inputs), width, height, *outputs, threads
            )
            works.append(_Work(handle, lib))
        ctx.works, ctx.absgrad = works, absgrad
        ctx.save_for_backward(means2d, conics, opacities, depths, features)
        return renders, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_renders: Tensor, v_alphas: Tensor) -> tuple[Any, ...]:
        means2d, conics, opacities, depths, features = ctx.saved_tensors
        v_renders, v_alphas = v_renders.contiguous(), v_alphas.contiguous()
        v_means2d, v_conics, v_opacities, v_depths, v_features = (
            torch.zeros_like(x) for x in (means2d, conics, opacities, depths, features)
        )
        absolute = torch.zeros_like(means2d) if ctx.absgrad else None
        threads = torch.get_num_threads()
        for c, work in enumerate(ctx.works):
            outputs = (
                v_means2d[c],
                None if absolute is None else absolute[c],
                v_conics[c],
                v_opacities,
                v_features[c % len(features)],
                v_depths[c],
            )
            upstream = (v_renders[c].data_ptr(), v_alphas[c].data_ptr())
            _check(work._lib.ua3d_rasterise_backward(work.handle, *upstream, *map(_pointer, outputs), threads))
        if absolute is not None:
            means2d.absgrad = absolute
        return v_means2d, v_conics, v_opacities, v_depths, v_features, None, None, None, None


class _Harmonics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
        cameras, n = directions.shape[:2]
        colours = torch.empty(cameras, n, 3)
        ctx.shape = (n, degree, coefficients.shape[1])
        for c in range(cameras):
            arrays = map(_pointer, (directions[c], coefficients, colours[c]))
            _check(library().ua3d_harmonics(*ctx.shape, *arrays, torch.get_num_threads()))
        ctx.save_for_backward(directions, coefficients, colours)
        return colours

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_colours: Tensor) -> tuple[Any, ...]:
        directions, coefficients, colours = ctx.saved_tensors
        v_colours = v_colours.contiguous()
        v_directions = torch.zeros_like(directions) if ctx.needs_input_grad[1] else None
        v_coefficients = torch.zeros_like(coefficients)
        for c in range(len(directions)):
            inputs = map(_pointer, (directions[c], coefficients, colours[c], v_colours[c]))
            outputs = map(_pointer, (None if v_directions is None else v_directions[c], v_coefficients))
            _check(library().ua3d_harmonics_backward(*ctx.shape, *inputs, *outputs, torch.get_num_threads()))
        return None, v_directions, v_coefficients


def view_colours(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """The twin of ``sh.colours`` for directions [C, N, 3] and coefficients [N, K, 3]; float32 on the CPU."""
    return _Harmonics.apply(degree, directions.float().contiguous(), coefficients.float().contiguous())


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
    """The twin of ``reference.project``; float32 on the CPU."""
    arrays = [x.float().contiguous() for x in (means, quats, scales, opacities.detach(), viewmats, Ks.detach())]
    means2d, radii, depths, conics = _Project.apply(*arrays, (width, height), (near_plane, far_plane), eps2d)
    return Projection(means2d, radii, depths, conics)


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
    """The twin of ``reference.render``; float32 on the CPU."""
    features = features.float().contiguous()
    return _Rasterise.apply(
        projection.means2d,
        projection.conics,
        opacities.float().contiguous(),
        projection.depths,
        features if features.dim() == 3 else features[None],
        projection.radii,
        (width, height),
        with_depth,
        absgrad,
    )
