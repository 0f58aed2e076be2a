"""The reference against gsplat's own torch functions, a pixel-by-pixel loop, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splat_scenes import Scene, few_examples, random_scene

from ua3dtalk.splat import reference, sh
from ua3dtalk.splat.rasterise import rasterization

PLANES = {"near_plane": 0.01, "far_plane": 1e10, "eps2d": 0.3}


def projected(scene: Scene) -> reference.Projection:
    return scene.render(
        lambda means, quats, scales, opacities, _, viewmats, Ks, width, height: reference.project(
            means, quats, scales, opacities, viewmats, Ks, width, height, **PLANES
        )
    )


@few_examples
@given(seed=st.integers(0, 2**31), cameras=st.integers(1, 3))
def test_projection_is_gsplats(seed: int, cameras: int) -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl")
    scene = random_scene(seed, cameras=cameras).to(torch.float64)
    mine = projected(scene)
    covariances, _ = oracle._quat_scale_to_covar_preci(scene.quats, scene.scales, True, False)
    radii, means2d, depths, conics, _ = oracle._fully_fused_projection(
        scene.means, covariances, scene.viewmats, scene.Ks, scene.width, scene.height, **PLANES
    )
    seen = (mine.radii > 0).all(-1)
    # gsplat's torch code does not narrow the rectangle for faint Gaussians, its CUDA code does.
    assert bool((mine.radii <= radii).all())
    inside = ((means2d > 0) & (means2d < means2d.new_tensor([scene.width, scene.height]))).all(-1)
    assert bool(seen[inside & (depths > 0.01) & (scene.opacities > 1 / 250)].all())
    torch.testing.assert_close(mine.means2d[seen], means2d[seen])
    torch.testing.assert_close(mine.depths[seen], depths[seen])
    torch.testing.assert_close(mine.conics[seen], conics[seen], rtol=1e-6, atol=1e-9)
    for culled in (mine.means2d[~seen], mine.depths[~seen], mine.conics[~seen]):
        assert not culled.any()


@pytest.mark.parametrize("degree", range(sh.DEGREE_MAX + 1))
def test_harmonics_are_gsplats(degree: int) -> None:
    oracle = pytest.importorskip("gsplat.cuda._torch_impl")
    g = torch.Generator().manual_seed(degree)
    directions = torch.randn(50, 3, generator=g, dtype=torch.float64)
    coefficients = torch.randn(50, 16, 3, generator=g, dtype=torch.float64)
    expected = (oracle._spherical_harmonics(degree, directions, coefficients) + 0.5).clamp_min(0)
    torch.testing.assert_close(sh.colours(degree, directions, coefficients), expected, rtol=1e-6, atol=1e-6)


def test_harmonics_are_orthonormal() -> None:
    """Their products average to 1 / (4 pi) over the sphere (Fibonacci points)."""
    count = 20_000
    index = torch.arange(count, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * index / count, math.pi * (1 + 5**0.5) * index
    ring = (1 - z * z).sqrt()
    values = sh.basis(3, torch.stack([ring * turn.cos(), ring * turn.sin(), z], -1))
    gram = values.mT @ values / count * 4 * math.pi
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-3)


def loop(scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
    """gsplat's compositing kernel, spelled out one pixel and one Gaussian at a time."""
    p = projected(scene)
    order = sorted((i for i in range(len(scene.means)) if p.radii[0, i, 0] > 0), key=lambda i: float(p.depths[0, i]))
    image = torch.zeros(scene.height, scene.width, scene.features.shape[1], dtype=torch.float64)
    alphas = torch.zeros(scene.height, scene.width, 1, dtype=torch.float64)
    for y in range(scene.height):
        for x in range(scene.width):
            left = 1.0
            for i in order:
                dx, dy = (float(v) for v in torch.tensor([x + 0.5, y + 0.5]) - p.means2d[0, i])
                a, b, c = p.conics[0, i].tolist()
                sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
                alpha = min(0.999, float(scene.opacities[i]) * math.exp(-sigma))
                if sigma < 0 or alpha < 1 / 255:
                    continue
                after = left * (1 - alpha)
                if after <= 1e-4:
                    break
                image[y, x] += scene.features[i] * alpha * left
                left = after
            alphas[y, x] = 1 - left
    return image, alphas


@pytest.mark.parametrize("seed", range(3))
def test_compositing_follows_the_rules(seed: int) -> None:
    scene = random_scene(seed, n=60, width=19, height=9).to(torch.float64)
    scene.scales *= 2  # some pixels fill up
    image, alphas = loop(scene)
    renders, mine, _ = scene.render(rasterization, backend="reference")
    assert float(alphas.max()) > 0.9
    torch.testing.assert_close(renders[0], image, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mine[0], alphas, rtol=1e-9, atol=1e-9)


def test_gradients_are_finite_differences() -> None:
    scene = random_scene(5, n=6, channels=2, width=9, height=7).to(torch.float64)
    scene.means[:, 2] = torch.linspace(0.9, 2.0, 6)
    scene.scales = scene.scales + 0.1
    scene.opacities = 0.2 + 0.7 * scene.opacities
    names = ("means", "quats", "scales", "opacities", "features", "viewmats")
    inputs = [getattr(scene, name).clone().requires_grad_() for name in names]

    def render(means, quats, scales, opacities, features, viewmats):
        renders, alphas, _ = rasterization(
            means, quats, scales, opacities, features, viewmats, scene.Ks, scene.width, scene.height,
            render_mode="RGB+ED", backend="reference",
        )  # fmt: skip
        return renders, alphas

    assert torch.autograd.gradcheck(render, inputs, eps=1e-7, atol=1e-4, rtol=1e-3)
