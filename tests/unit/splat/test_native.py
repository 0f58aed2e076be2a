"""The native rasteriser against the reference, in every variant that this machine can run."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splat_scenes import Scene, decided, few_examples, random_scene, relative
from torch import Tensor

from ua3dtalk import native
from ua3dtalk.splat import native as native_backend
from ua3dtalk.splat import reference
from ua3dtalk.splat.rasterise import rasterization

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native kernels are not built")
TRAINED = ("means", "quats", "scales", "opacities", "features", "viewmats")


@pytest.fixture(params=native.available() if native.is_available() else ["none"])
def isa(request: pytest.FixtureRequest):
    with mock.patch.dict(os.environ, UA3DTALK_ISA=request.param):
        yield request.param


def results(scene: Scene, backend: str, upstream: tuple[Tensor, Tensor], **options: object) -> dict[str, Tensor]:
    """Values and gradients of one backend; the reference works in float64."""
    dtype = torch.float64 if backend == "reference" else torch.float32
    scene = scene.to(dtype)
    for name in TRAINED:
        getattr(scene, name).requires_grad_()
    options = {"render_mode": "RGB+D", "absgrad": True, **options}
    renders, alphas, meta = scene.render(rasterization, backend=backend, **options)
    meta["means2d"].retain_grad()
    torch.autograd.backward([renders, alphas], [v.to(dtype) for v in upstream])
    out = {name: getattr(scene, name).grad for name in TRAINED}
    return out | {
        "renders": renders.detach(),
        "alphas": alphas.detach(),
        "depths": meta["depths"].detach(),
        "means2d": meta["means2d"].grad,
        "absgrad": meta["means2d"].absgrad,
        "radii": meta["radii"],
    }


def upstream_for(scene: Scene, channels: int, where: Tensor) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(7)
    shape = (*where.shape, channels)
    return torch.randn(shape, generator=g) * where[..., None], torch.randn(*shape[:-1], 1, generator=g) * where[
        ..., None
    ]


def check_agreement(scene: Scene) -> None:
    where = decided(scene)
    upstream = upstream_for(scene, scene.features.shape[1] + 1, where)
    expected, actual = results(scene, "reference", upstream), results(scene, "native", upstream)
    for name in ("renders", "alphas"):
        difference = (actual[name].double() - expected[name]).abs() * where[..., None]
        assert float(difference.max()) < 1e-4, name
    assert relative(actual["depths"], expected["depths"]) < 1e-5
    assert int((actual["radii"] - expected["radii"]).abs().max() if len(scene.means) else 0) <= 1
    for name in (*TRAINED, "means2d", "absgrad"):
        assert relative(actual[name], expected[name]) < 1e-3, name


@few_examples
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 80),
    channels=st.integers(0, 12),
    width=st.integers(1, 50),
    height=st.integers(1, 40),
    cameras=st.integers(1, 2),
)
def test_native_agrees_with_the_reference(**shape: int) -> None:
    check_agreement(random_scene(**shape))


@pytest.mark.parametrize("channels", [1, 3, 7, 8, 40])
def test_every_variant_agrees(isa: str, channels: int) -> None:
    assert native.library().ua3d_isa().decode() == isa
    check_agreement(random_scene(channels, n=150, channels=channels, width=50, height=37))


def test_full_pixels_stop(isa: str) -> None:
    scene = random_scene(2, n=120, width=24, height=20)
    scene.means[:, 2] = scene.means[:, 2].abs() + 1
    scene.scales = scene.scales + 0.2
    scene.opacities = 0.5 + 0.5 * scene.opacities
    check_agreement(scene)


def test_features_of_each_camera() -> None:
    scene = random_scene(3, cameras=2)
    scene.features = torch.stack([scene.features, scene.features.flip(0)])
    where = decided(scene)
    upstream = upstream_for(scene, 4, where)
    expected, actual = results(scene, "reference", upstream), results(scene, "native", upstream)
    assert actual["features"].shape == scene.features.shape
    for name in ("features", "means"):
        assert relative(actual[name], expected[name]) < 1e-3


@pytest.mark.parametrize("degree", range(4))
def test_harmonics(isa: str, degree: int) -> None:
    g = torch.Generator().manual_seed(degree)
    directions, coefficients = torch.randn(2, 37, 3, generator=g), torch.randn(37, 16, 3, generator=g)
    upstream = torch.randn(2, 37, 3, generator=g)
    outcomes = []
    for module, dtype in ((reference, torch.float64), (native_backend, torch.float32)):
        inputs = [x.to(dtype).requires_grad_() for x in (directions, coefficients)]
        colours = module.view_colours(degree, *inputs)
        colours.backward(upstream.to(dtype))
        outcomes.append((colours.detach(), inputs[0].grad, inputs[1].grad))
    for expected, actual in zip(*outcomes, strict=True):
        if expected is not None:
            torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-5)


def test_nothing_in_sight() -> None:
    scene = random_scene(0)
    scene.means[:, 2] = -1.0
    renders, alphas, meta = scene.render(rasterization, backend="native", render_mode="RGB+ED")
    assert not renders.any() and not alphas.any() and not meta["radii"].any()


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities"])
def test_broken_gaussians_are_left_out(name: str) -> None:
    """Not-a-number in one Gaussian reaches neither the image nor the others' gradients."""
    scene = random_scene(4)
    clean = scene.render(rasterization, backend="native")[0]
    more = {key: torch.cat([value, value[:1]]) for key, value in scene.tensors().items() if len(value) == 40}
    broken = replace(scene, **more)
    getattr(broken, name)[40] = float("nan")
    broken.features.requires_grad_()
    broken.means = broken.means.clone().requires_grad_()
    renders, _, _ = broken.render(rasterization, backend="native")
    renders.square().sum().backward()
    assert torch.equal(renders, clean)
    assert bool(broken.means.grad.isfinite().all()) and bool(broken.features.grad.isfinite().all())


def run(scene: Scene) -> list[Tensor]:
    upstream = upstream_for(scene, 4, torch.ones(1, scene.height, scene.width))
    return list(results(scene, "native", upstream).values())


def test_any_number_of_threads_gives_the_same_bits(isa: str) -> None:
    before = torch.get_num_threads()
    scene = random_scene(6, n=3000, width=150, height=130)
    outcomes = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        outcomes.append(run(scene))
    torch.set_num_threads(before)
    for outcome in outcomes[1:]:
        for a, b in zip(outcomes[0], outcome, strict=True):
            assert torch.equal(a, b)


def test_python_threads_do_not_disturb_each_other() -> None:
    scenes = [random_scene(seed, n=1500, width=90 + seed, height=80) for seed in range(4)]
    alone = [run(scene) for scene in scenes]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for expected, actual in zip(alone, pool.map(run, scenes), strict=True):
                assert all(torch.equal(a, b) for a, b in zip(expected, actual, strict=True))


def test_backward_twice_and_backward_never() -> None:
    """The lists of tiles live as long as the graph, and no longer."""
    scene = random_scene(8)
    scene.means.requires_grad_()
    renders, _, _ = scene.render(rasterization, backend="native")
    (first,) = torch.autograd.grad(renders.sum(), scene.means, retain_graph=True)
    (second,) = torch.autograd.grad(renders.sum(), scene.means)
    assert torch.equal(first, second)
    for _ in range(50):
        scene.render(rasterization, backend="native")
