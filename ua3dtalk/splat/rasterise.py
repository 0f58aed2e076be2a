"""One interface to three rasterisers of Gaussians, with gsplat's conventions.

Pixel centres lie at + 0.5; alpha = min(0.999, opacity exp(-sigma)); alpha below 1/255 counts as 0; a pixel ends before
the Gaussian that would leave a transmittance of 1e-4 or less. Cameras look along +z (OpenCV axes).

Backends: ``reference`` (readable torch, any dtype), ``native`` (C++ on the CPU, float32), ``gsplat`` (CUDA).
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from ua3dtalk import native as native_library
from ua3dtalk.splat import native, reference, sh

RenderMode = Literal["RGB", "RGB+D", "RGB+ED", "D", "ED"]
Backend = Literal["auto", "reference", "native", "gsplat"]
Meta = dict[str, Any]


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
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    render_mode: RenderMode = "RGB",
    backgrounds: Tensor | None = None,
    absgrad: bool = False,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor, Meta]:
    """Render N Gaussians into C cameras.

    Args:
        means: centres [N, 3].
        quats: rotations [N, 4], w first, of any length.
        scales: standard deviations along the Gaussians' axes [N, 3], > 0.
        opacities: [N] in 0..1.
        colors: any D features [N, D] or [C, N, D]; harmonics [N, K, 3] when ``sh_degree`` is given.
        viewmats: world to camera [C, 4, 4].
        Ks: pinhole intrinsics [C, 3, 3], px. They get no gradient.
        near_plane, far_plane: Gaussians whose centres lie outside of this range of depths are left out.
        eps2d: added to the variances on the screen, px^2, so that nothing is thinner than a pixel.
        sh_degree: bands of ``colors`` to use, 0..3.
        render_mode: D adds the accumulated depth as one more channel, ED the expected depth (D / alpha).
        backgrounds: [C, D], seen where alpha < 1; the depth channel has none.
        absgrad: the backward pass sets ``meta["means2d"].absgrad`` to the sums over pixels of |gradient|.
    Returns:
        renders [C, height, width, channels], alphas [C, height, width, 1], and meta: ``means2d`` [C, N, 2] (part of the
        graph: call ``retain_grad()`` on it), ``radii`` [C, N, 2] int32 (0: not seen), ``depths`` [C, N], ``conics``
        [C, N, 3], ``opacities`` [N], ``width``, ``height``, ``n_cameras``, ``backend``.
    Raises:
        ValueError: shapes, devices or settings that do not fit.
    """
    _check(means, quats, scales, opacities, colors, viewmats, Ks, width, height, sh_degree, render_mode, backgrounds)
    chosen = choose_backend(means.device) if backend == "auto" else backend
    options = {"near_plane": near_plane, "far_plane": far_plane, "eps2d": eps2d}
    if chosen == "gsplat":
        from ua3dtalk.splat import cuda

        return cuda.rasterization(
            means,
            quats,
            scales,
            opacities,
            colors,
            viewmats,
            Ks,
            width,
            height,
            sh_degree=sh_degree,
            render_mode=render_mode,
            backgrounds=backgrounds,
            absgrad=absgrad,
            **options,
        )
    module = _module(chosen, means.device)
    p = module.project(means, quats, scales, opacities, viewmats, Ks, width, height, **options)
    features = colors
    if sh_degree is not None:
        features = module.view_colours(sh_degree, _view_directions(means, viewmats), colors)
    if "RGB" not in render_mode:
        features = features[..., :0]
    renders, alphas = module.render(
        p, opacities, features, width, height, with_depth="D" in render_mode, absgrad=absgrad
    )
    renders = _finish(renders, alphas, render_mode, backgrounds)
    meta = {
        "means2d": p.means2d,
        "radii": p.radii,
        "depths": p.depths,
        "conics": p.conics,
        "opacities": opacities,
        "width": width,
        "height": height,
        "n_cameras": len(viewmats),
        "backend": chosen,
    }
    return renders, alphas, meta


@functools.cache
def choose_backend(device: torch.device) -> Backend:
    """The fastest backend that works for tensors on this device; says once when that is the slow reference."""
    if device.type == "cuda":
        from ua3dtalk.splat import cuda

        problem = cuda.problem(device)
        if problem is None:
            return "gsplat"
    elif device.type == "cpu":
        if native_library.is_available():
            return "native"
        problem = "the native kernels are not built: run 'make install'"
    else:
        problem = f"no fast rasteriser for {device.type}"
    print(f"warning: rasterising with the slow reference ({problem})", file=sys.stderr)
    return "reference"


def _module(backend: str, device: torch.device) -> ModuleType:
    if backend == "reference":
        return reference
    if backend != "native":
        raise ValueError(f"backend {backend!r} is none of auto, reference, native, gsplat")
    if device.type != "cpu":
        raise ValueError(f"backend 'native' needs tensors on the CPU, not on {device}")
    return native


def _view_directions(means: Tensor, viewmats: Tensor) -> Tensor:
    """From the cameras to the Gaussians [C, N, 3]."""
    positions = torch.linalg.inv(viewmats)[:, :3, 3]  # [C, 3]
    return means - positions[:, None]


def _finish(renders: Tensor, alphas: Tensor, render_mode: RenderMode, backgrounds: Tensor | None) -> Tensor:
    """Turn accumulated into expected depth, and let the background show through."""
    if render_mode.endswith("ED"):
        depth = renders[..., -1:] / alphas.clamp_min(1e-10)
        renders = torch.cat([renders[..., :-1], depth], -1)
    if backgrounds is None or "RGB" not in render_mode:
        return renders
    behind = (1 - alphas) * backgrounds[:, None, None]
    if "D" in render_mode:
        behind = torch.nn.functional.pad(behind, (0, 1))
    return renders + behind


def _check(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    sh_degree: int | None,
    render_mode: str,
    backgrounds: Tensor | None,
) -> None:
    n, cameras = len(means), len(viewmats)
    expected = {
        "means": (means, (n, 3)),
        "quats": (quats, (n, 4)),
        "scales": (scales, (n, 3)),
        "opacities": (opacities, (n,)),
        "viewmats": (viewmats, (cameras, 4, 4)),
        "Ks": (Ks, (cameras, 3, 3)),
    }
    if backgrounds is not None:
        expected["backgrounds"] = (backgrounds, (cameras, 3 if sh_degree is not None else colors.shape[-1]))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
        if not tensor.is_floating_point():
            raise ValueError(f"{name} holds {tensor.dtype}, expected floats")
        if tensor.device != means.device:
            raise ValueError(f"{name} is on {tensor.device}, means on {means.device}")
    _check_colors(colors, n, cameras, sh_degree)
    if render_mode not in ("RGB", "RGB+D", "RGB+ED", "D", "ED"):
        raise ValueError(f"render_mode {render_mode!r} is none of RGB, RGB+D, RGB+ED, D, ED")
    if cameras < 1 or width < 1 or height < 1:
        raise ValueError(f"nothing to render: {cameras} cameras of {width} x {height} px")


def _check_colors(colors: Tensor, n: int, cameras: int, sh_degree: int | None) -> None:
    shape = tuple(colors.shape)
    if sh_degree is None:
        if shape[:-1] not in ((n,), (cameras, n)):
            raise ValueError(f"colors has shape {shape}, expected ({n}, D) or ({cameras}, {n}, D)")
    elif not 0 <= sh_degree <= sh.DEGREE_MAX:
        raise ValueError(f"sh_degree is {sh_degree}, expected 0..{sh.DEGREE_MAX}")
    elif len(shape) != 3 or shape[0] != n or shape[1] < sh.coefficients(sh_degree) or shape[2] != 3:
        raise ValueError(f"colors has shape {shape}, expected ({n}, >= {sh.coefficients(sh_degree)}, 3)")
