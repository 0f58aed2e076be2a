"""gsplat's kernels behind the interface against the reference on the CPU."""

from __future__ import annotations

import pytest
import torch
from splat_scenes import Scene, decided, random_scene, relative
from torch import Tensor

from ua3dtalk.splat.rasterise import choose_backend, rasterization

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TRAINED = ("means", "quats", "scales", "opacities", "features", "viewmats")


def results(scene: Scene, backend: str, device: str, dtype: torch.dtype, where: Tensor) -> dict[str, Tensor]:
    scene = scene.to(dtype)
    for name, tensor in scene.tensors().items():
        setattr(scene, name, tensor.to(device).requires_grad_(name in TRAINED))
    renders, alphas, meta = scene.render(rasterization, backend=backend, render_mode="RGB+D", absgrad=True)
    meta["means2d"].retain_grad()
    g = torch.Generator().manual_seed(3)
    upstream = [(torch.randn(x.shape, generator=g) * where[..., None]).to(x) for x in (renders, alphas)]
    torch.autograd.backward([renders, alphas], upstream)
    out = {name: getattr(scene, name).grad for name in TRAINED}
    out |= {"means2d": meta["means2d"].grad, "absgrad": meta["means2d"].absgrad}
    out |= {"renders": renders.detach() * where[..., None].to(device), "alphas": alphas.detach()}
    return {name: tensor.cpu() for name, tensor in out.items()}


def test_auto_is_gsplat_on_cuda() -> None:
    assert choose_backend(torch.device("cuda")) == "gsplat"


@pytest.mark.parametrize("seed", range(4))
def test_gsplat_agrees_with_the_reference(seed: int) -> None:
    scene = random_scene(seed, n=200, width=61, height=45, cameras=1 + seed % 2)
    where = decided(scene)
    expected = results(scene, "reference", "cpu", torch.float64, where)
    actual = results(scene, "gsplat", "cuda", torch.float32, where)
    assert float((actual["renders"] - expected["renders"]).abs().max()) < 1e-3
    for name in (*TRAINED, "means2d", "absgrad"):
        assert relative(actual[name], expected[name]) < 1e-2, name


def test_reference_runs_on_cuda() -> None:
    scene = random_scene(1)
    expected, _, _ = scene.render(rasterization, backend="reference")
    for name, tensor in scene.tensors().items():
        setattr(scene, name, tensor.cuda())
    actual, _, _ = scene.render(rasterization, backend="reference")
    assert relative(actual.cpu(), expected) < 1e-4
