"""The fused loss against its torch twin, against scikit-image and against finite differences."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splat_scenes import few_examples

from ua3dtalk import native
from ua3dtalk.training.ssim import l1_ssim, l1_ssim_reference, ssim

needs_native = pytest.mark.skipif(not native.is_available(), reason="the native kernels are not built")


def images(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=g)
    return x, (x + 0.3 * torch.randn(*shape, generator=g)).clamp(0, 1)


@needs_native
@few_examples
@given(
    seed=st.integers(0, 2**31), height=st.integers(1, 40), width=st.integers(1, 40), channels=st.integers(1, 5),
    l1=st.floats(0, 1), similarity=st.floats(0, 1),
)  # fmt: skip
def test_fused_is_the_twin(seed: int, height: int, width: int, channels: int, l1: float, similarity: float) -> None:
    x, y = images(seed, height, width, channels)
    x.requires_grad_()
    exact = x.detach().double().requires_grad_()
    loss, expected = l1_ssim(x, y, l1, similarity), l1_ssim_reference(exact, y.double(), l1, similarity)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    (gradient,), (wanted,) = torch.autograd.grad(loss, x), torch.autograd.grad(expected, exact)
    assert float((gradient - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max()) + 1e-9


@needs_native
@pytest.mark.parametrize("isa", native.available() if native.is_available() else [])
def test_every_variant_and_number_of_threads(isa: str) -> None:
    x, y = images(0, 61, 47, 3)
    expected = l1_ssim_reference(x.double(), y.double())
    losses, before = [], torch.get_num_threads()
    with mock.patch.dict(os.environ, UA3DTALK_ISA=isa):
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            losses.append(l1_ssim(x, y))
    torch.set_num_threads(before)
    assert float(losses[0]) == pytest.approx(float(expected), abs=1e-6)
    assert losses[0] == losses[1] == losses[2]


def test_the_twin_is_scikit_images() -> None:
    """Away from the border, where scikit-image mirrors and this loss pads with zeros."""
    metrics = pytest.importorskip("skimage.metrics")
    x, y = images(1, 40, 50, 3)
    _, expected = metrics.structural_similarity(
        x.double().numpy(), y.double().numpy(), data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    mine = ssim(x.double(), y.double()).numpy()
    np.testing.assert_allclose(mine[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-6)


def test_equal_images_cost_nothing() -> None:
    x, _ = images(2, 20, 20, 3)
    assert float(l1_ssim(x, x)) == pytest.approx(0, abs=1e-6)


def test_gradient_scales_and_stays_out_when_not_asked() -> None:
    x, y = images(3, 20, 22, 3)
    x.requires_grad_()
    (once,) = torch.autograd.grad(l1_ssim(x, y), x)
    (thrice,) = torch.autograd.grad(3 * l1_ssim(x, y), x)
    torch.testing.assert_close(thrice, 3 * once)
    assert not l1_ssim(x.detach(), y).requires_grad
    y.requires_grad_()
    assert torch.autograd.grad(l1_ssim(x, y), y)[0].abs().sum() > 0


def test_strided_images() -> None:
    x, y = images(4, 3, 30, 20)
    torch.testing.assert_close(
        l1_ssim(x.permute(1, 2, 0), y.permute(1, 2, 0)),
        l1_ssim_reference(x.permute(1, 2, 0), y.permute(1, 2, 0)),
    )


def test_twin_gradient_is_finite_differences() -> None:
    x, y = images(5, 6, 7, 2)
    assert torch.autograd.gradcheck(lambda v: l1_ssim_reference(v, y.double()), [x.double().requires_grad_()])


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="expected two of the same"):
        l1_ssim(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
