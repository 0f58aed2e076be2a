"""The interface: modes, backgrounds, harmonics, the choice of a backend, and what it says to wrong arguments."""

from __future__ import annotations

import pytest
import torch
from splat_scenes import random_scene

from ua3dtalk import native
from ua3dtalk.splat import rasterise, sh
from ua3dtalk.splat.rasterise import rasterization

BACKENDS = ["reference", *(["native"] if native.is_available() else [])]


@pytest.mark.parametrize("backend", BACKENDS)
def test_modes_are_made_of_the_same_parts(backend: str) -> None:
    scene = random_scene(0, cameras=2)
    plain, alphas, _ = scene.render(rasterization, backend=backend)
    depth, _, _ = scene.render(rasterization, backend=backend, render_mode="D")
    expected, _, _ = scene.render(rasterization, backend=backend, render_mode="ED")
    both, _, meta = scene.render(rasterization, backend=backend, render_mode="RGB+ED")
    assert plain.shape == (2, scene.height, scene.width, 3) and alphas.shape == (2, scene.height, scene.width, 1)
    torch.testing.assert_close(expected, depth / alphas.clamp_min(1e-10))
    torch.testing.assert_close(both, torch.cat([plain, expected], -1))
    near, far = scene.means[:, 2].max() * 0, scene.means[:, 2].max() + 1
    assert bool(((expected >= near) & (expected <= far)).all())
    assert meta["means2d"].shape == (2, 40, 2) and meta["radii"].dtype == torch.int32 and meta["n_cameras"] == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_background_shows_through(backend: str) -> None:
    scene = random_scene(1)
    behind = torch.tensor([[0.2, 0.5, 0.9]], requires_grad=True)
    plain, alphas, _ = scene.render(rasterization, backend=backend, render_mode="RGB+D")
    over, _, _ = scene.render(rasterization, backend=backend, render_mode="RGB+D", backgrounds=behind)
    torch.testing.assert_close(over[..., :3], plain[..., :3] + (1 - alphas) * behind.detach())
    torch.testing.assert_close(over[..., 3], plain[..., 3])
    over.sum().backward()
    torch.testing.assert_close(behind.grad, (1 - alphas).sum((1, 2)).expand(1, 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_harmonics_are_seen_from_the_camera(backend: str) -> None:
    scene = random_scene(2, cameras=2)
    coefficients = torch.randn(40, 16, 3, generator=torch.Generator().manual_seed(0))
    positions = torch.linalg.inv(scene.viewmats)[:, :3, 3]
    colours = sh.colours(2, scene.means - positions[:, None], coefficients)
    scene.features = colours
    expected, _, _ = scene.render(rasterization, backend=backend)
    scene.features = coefficients
    actual, _, _ = scene.render(rasterization, backend=backend, sh_degree=2)
    torch.testing.assert_close(actual, expected)


def test_one_opaque_gaussian_lands_where_it_should() -> None:
    """A point at pixel (10.5, 6.5) is brightest there: centres lie at + 0.5."""
    K = torch.tensor([[[100.0, 0, 16], [0, 100.0, 8], [0, 0, 1]]])
    mean = torch.tensor([[(10.5 - 16) / 50, (6.5 - 8) / 50, 2.0]])
    renders, alphas, meta = rasterization(
        mean, torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 1e-4), torch.ones(1), torch.ones(1, 1),
        torch.eye(4)[None], K, 32, 16, render_mode="RGB+ED",
    )  # fmt: skip
    torch.testing.assert_close(meta["means2d"], torch.tensor([[[10.5, 6.5]]]))
    assert int(alphas.argmax()) == 6 * 32 + 10
    assert float(alphas.max()) == pytest.approx(0.999)
    assert float(renders[0, 6, 10, 1]) == pytest.approx(2.0)


def test_auto_takes_the_native_backend_here() -> None:
    _, _, meta = random_scene(0).render(rasterization)
    assert meta["backend"] == ("native" if native.is_available() else "reference")


def test_auto_falls_back_with_one_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(rasterise.native_library, "is_available", lambda: False)
    rasterise.choose_backend.cache_clear()
    for _ in range(2):
        _, _, meta = random_scene(0, n=3).render(rasterization)
        assert meta["backend"] == "reference"
    rasterise.choose_backend.cache_clear()
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and "make install" in warning


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": torch.zeros(40, 2)}, "means has shape"),
        ({"quats": torch.zeros(39, 4)}, "quats has shape"),
        ({"opacities": torch.zeros(40, 1)}, "opacities has shape"),
        ({"viewmats": torch.eye(4)}, "viewmats has shape"),
        ({"features": torch.zeros(39, 3)}, "colors has shape"),
        ({"scales": torch.zeros(40, 3, dtype=torch.int64)}, "expected floats"),
        ({"width": 0}, "nothing to render"),
    ],
)
def test_wrong_shapes_are_named(change: dict, words: str) -> None:
    scene = random_scene(0)
    for name, value in change.items():
        setattr(scene, name, value)
    with pytest.raises(ValueError, match=words):
        scene.render(rasterization)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"render_mode": "RGBD"}, "render_mode"),
        ({"backend": "vulkan"}, "backend"),
        ({"sh_degree": 1}, "colors has shape"),
        ({"sh_degree": 4}, "sh_degree"),
        ({"backgrounds": torch.zeros(1, 4)}, "backgrounds has shape"),
    ],
)
def test_wrong_options_are_named(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        random_scene(0).render(rasterization, **options)


def test_half_precision_is_rendered_in_single() -> None:
    renders, _, _ = random_scene(0).to(torch.bfloat16).render(rasterization, backend="native")
    assert renders.dtype == torch.float32
