"""L1 and structural similarity between a render and its frame."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ua3dtalk import native

TAPS = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def l1_ssim(x: Tensor, y: Tensor, l1_weight: float = 0.8, ssim_weight: float = 0.2) -> Tensor:
    """``l1_weight * mean|x - y| + ssim_weight * (1 - mean SSIM)``, as 3D Gaussian splatting weighs them.

    float32 images on the CPU take the fused native kernel when only ``x`` needs a gradient; all else takes the torch
    twin, ``l1_ssim_reference``.

    Args:
        x, y: images [H, W, C] of the same shape in 0..1.
    Returns:
        A scalar with a gradient to ``x``.
    Raises:
        ValueError: the shapes differ or are not [H, W, C].
    """
    if x.dim() != 3 or x.shape != y.shape:
        raise ValueError(f"images of shapes {tuple(x.shape)} and {tuple(y.shape)}, expected two of the same [H, W, C]")
    fused = x.device.type == y.device.type == "cpu" and x.dtype == y.dtype == torch.float32
    if fused and x.numel() and not y.requires_grad and native.is_available():
        return _L1Ssim.apply(x, y, l1_weight, ssim_weight)
    return l1_ssim_reference(x, y, l1_weight, ssim_weight)


def l1_ssim_reference(x: Tensor, y: Tensor, l1_weight: float = 0.8, ssim_weight: float = 0.2) -> Tensor:
    """The same in plain torch: any device and dtype, gradients to both images."""
    return l1_weight * (x - y).abs().mean() + ssim_weight * (1 - ssim(x, y).mean())


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity [H, W, C] of images [H, W, C]: 11-tap Gaussian window, sigma 1.5, zeros beyond the border.

    Source: Wang et al., "Image quality assessment", 2004; border and constants as in Kerbl et al. 2023.
    """
    mean_x, mean_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    variances = xx - mean_x**2 + yy - mean_y**2
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)


def _blur(images: Tensor) -> Tensor:
    """Images [M, H, W, C] through the window, along rows and then down columns."""
    offsets = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = (window / window.sum()).tolist()
    height, width = images.shape[1:3]
    reach = TAPS // 2
    padded = functional.pad(images, (0, 0, reach, reach))
    along: Tensor = sum(w * padded[:, :, k : k + width] for k, w in enumerate(weights))  # type: ignore[assignment]
    padded = functional.pad(along, (0, 0, 0, 0, reach, reach))
    return sum(w * padded[:, k : k + height] for k, w in enumerate(weights))  # type: ignore[return-value]


class _L1Ssim(torch.autograd.Function):
    """The kernel finds the gradient together with the value; the backward pass only scales it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, l1_weight: float, ssim_weight: float) -> Tensor:
        x, y = x.contiguous(), y.contiguous()
        gradient = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        loss = ctypes.c_double()
        done = native.library().ua3d_l1_ssim(
            x.data_ptr(),
            y.data_ptr(),
            None if gradient is None else gradient.data_ptr(),
            *x.shape,
            l1_weight,
            ssim_weight,
            ctypes.byref(loss),
            torch.get_num_threads(),
        )
        if not done:
            raise MemoryError("the native kernel ran out of memory")
        ctx.gradient = gradient
        return x.new_tensor(loss.value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_loss: Tensor) -> tuple[Any, ...]:
        return v_loss * ctx.gradient, None, None, None
