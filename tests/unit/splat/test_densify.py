"""Dividing and pruning: who divides, where children land, who goes, and what the optimisers keep."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from ua3dtalk.splat.cloud import Cloud, inverse_softplus
from ua3dtalk.splat.densify import SPLIT_SHRINK, Densifier

N = 12
Optimisers = dict[str, torch.optim.Adam]


def make_cloud() -> Cloud:
    g = np.random.default_rng(0)
    cloud = Cloud.from_points(g.uniform(-0.1, 0.1, (N, 3)), g.uniform(0, 1, (N, 3)), sh_degree=1, opacity=0.5)
    widths = torch.full((N, 3), 0.001)
    widths[N // 2 :] = 0.02  # the second half is large
    cloud.raw_scales = inverse_softplus(widths)
    cloud.quats = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    return cloud.requires_grad_()


def make_optimisers(cloud: Cloud) -> Optimisers:
    """One step done, so that every row has moments of its own."""
    optimisers = {name: torch.optim.Adam([tensor], lr=1e-9) for name, tensor in cloud.tensors().items()}
    for name, tensor in cloud.tensors().items():
        rows = torch.arange(1.0, N + 1).view(-1, *[1] * (tensor.dim() - 1))
        tensor.grad = rows.expand_as(tensor).clone()
        optimisers[name].step()
        tensor.grad = None
    return optimisers


def meta(pulls: torch.Tensor, radii: int = 5, cameras: int = 1) -> dict[str, torch.Tensor]:
    """A step in which every Gaussian is seen and pulled along x by `pulls` halves of a picture 64 px wide."""
    means2d = torch.zeros(cameras, N, 2, requires_grad=True)
    means2d.grad = torch.stack([pulls / 32, torch.zeros(N)], -1).expand(cameras, N, 2) / cameras
    return {"means2d": means2d, "radii": torch.full((cameras, N, 2), radii)}


def densifier(**options) -> Densifier:
    defaults = {"gradient_threshold": 1.0, "max_gaussians": 1000, "extent": 1.0}
    return Densifier(**{**defaults, **options}, generator=torch.Generator().manual_seed(1))


def pulled(*rows: int, strength: float = 2.0) -> torch.Tensor:
    pulls = torch.zeros(N)
    pulls[list(rows)] = strength
    return pulls


def test_small_ones_are_cloned_in_place() -> None:
    cloud, d = make_cloud(), densifier()
    optimisers = make_optimisers(cloud)
    d.observe(meta(pulled(1, 4)), 64, 64)
    refined = d.refine(cloud, optimisers, min_opacity=0.0)
    assert len(refined) == N + 2
    for name, tensor in refined.tensors().items():
        assert torch.equal(tensor[N:], cloud.tensors()[name][[1, 4]])
        assert torch.equal(tensor[:N], cloud.tensors()[name])


def test_large_ones_are_split_in_two() -> None:
    cloud, d = make_cloud(), densifier()
    d.observe(meta(pulled(7)), 64, 64)
    refined = d.refine(cloud, make_optimisers(cloud), min_opacity=0.0)
    assert len(refined) == N + 1
    children = refined.means[-2:]
    assert not torch.equal(children[0], children[1])
    assert bool(((children - cloud.means[7]).norm(dim=1) < 5 * 0.02).all())
    torch.testing.assert_close(refined.scales[-2:], cloud.scales[[7, 7]] / SPLIT_SHRINK)
    kept = [i for i in range(N) if i != 7]
    assert torch.equal(refined.means[: N - 1], cloud.means[kept])


def test_optimisers_follow_row_by_row() -> None:
    cloud, d = make_cloud(), densifier()
    optimisers = make_optimisers(cloud)
    before = {name: copy.deepcopy(o.state[o.param_groups[0]["params"][0]]) for name, o in optimisers.items()}
    d.observe(meta(pulled(2, 8)), 64, 64)
    refined = d.refine(cloud, optimisers, min_opacity=0.0)
    kept = [i for i in range(N) if i != 8]
    for name, optimiser in optimisers.items():
        (parameter,) = optimiser.param_groups[0]["params"]
        assert parameter is refined.tensors()[name] and parameter.requires_grad and parameter.is_leaf
        state = optimiser.state[parameter]
        assert len(optimiser.state) == 1 and state["step"] == before[name]["step"]
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(state[key][: N - 1], before[name][key][kept])
            assert not state[key][N - 1 :].any()
        parameter.grad = torch.ones_like(parameter)
        optimiser.step()


def test_faint_and_huge_ones_go() -> None:
    cloud = make_cloud()
    with torch.no_grad():
        cloud.raw_opacities[3] = -5.0
        cloud.raw_scales[5] = inverse_softplus(torch.tensor(0.2))
    refined = densifier(large_share=0.1).refine(cloud, make_optimisers(cloud), min_opacity=0.05)
    kept = [i for i in range(N) if i not in (3, 5)]
    assert torch.equal(refined.means, cloud.means[kept])


def test_clones_of_faint_ones_go_with_them() -> None:
    cloud, d = make_cloud(), densifier()
    with torch.no_grad():
        cloud.raw_opacities[3] = -5.0
    d.observe(meta(pulled(3)), 64, 64)
    assert len(d.refine(cloud, make_optimisers(cloud), min_opacity=0.05)) == N - 1


def test_wide_ones_on_the_screen_go() -> None:
    cloud, d = make_cloud(), densifier(max_pixels=20)
    wide = meta(torch.zeros(N))
    wide["radii"][0, 2] = 30
    d.observe(wide, 64, 64)
    d.observe(meta(torch.zeros(N)), 64, 64)
    assert len(d.refine(cloud, make_optimisers(cloud), min_opacity=0.0)) == N - 1


def test_the_last_ones_stay() -> None:
    cloud = make_cloud()
    assert len(densifier().refine(cloud, make_optimisers(cloud), min_opacity=0.99)) == N


def test_the_strongest_pulls_win_when_room_is_short() -> None:
    cloud, d = make_cloud(), densifier(max_gaussians=N + 2)
    d.observe(meta(torch.arange(N) + 2.0), 64, 64)
    refined = d.refine(cloud, make_optimisers(cloud), min_opacity=0.0)
    assert len(refined) == N + 2
    assert torch.equal(refined.means[: N - 2], cloud.means[: N - 2])  # the last two, the strongest, were split


@pytest.mark.parametrize("cameras", [1, 3])
def test_pulls_are_means_over_steps_and_cameras_that_saw(cameras: int) -> None:
    cloud, d = make_cloud(), densifier()
    d.observe(meta(pulled(0, 1, strength=1.5), cameras=cameras), 64, 64)
    unseen = meta(torch.zeros(N), cameras=cameras)
    unseen["radii"][:, 0] = 0
    d.observe(unseen, 64, 64)  # row 0 keeps its mean of 1.5, row 1 falls to 0.75
    refined = d.refine(cloud, make_optimisers(cloud), min_opacity=0.0)
    assert len(refined) == N + 1 and torch.equal(refined.means[N], cloud.means[0])


def test_goes_on_from_its_state() -> None:
    """A run that is saved and loaded divides as one that was not."""
    straight, clouds = densifier(), [make_cloud(), make_cloud()]
    straight.observe(meta(pulled(7, 9)), 64, 64)
    resumed = densifier()
    resumed.generator.manual_seed(99)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    a, b = (d.refine(c, make_optimisers(c), min_opacity=0.0) for d, c in zip((straight, resumed), clouds, strict=True))
    assert torch.equal(a.means, b.means)
