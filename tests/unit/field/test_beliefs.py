"""Ensembles of nets against nets evaluated one by one."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ua3dtalk.field.beliefs import LOG_VARIANCE_BOUND, Belief, ViewEnsemble, soft_clamp

N, P, C = 7, 5, 3


def small(position_width: int = P, members: int = 4, bound: float | None = LOG_VARIANCE_BOUND) -> ViewEnsemble:
    torch.manual_seed(0)
    return ViewEnsemble(position_width, C, members=members, hidden=6, state=2, log_variance_bound=bound)


def inputs(rows: int = N) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(N, P, generator=g), torch.randn(rows, C, generator=g)


def net_by_hand(views: ViewEnsemble, member: int, features: Tensor | None, code: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and clamped log-variance [N, D] of one member as two linear layers on joined inputs."""
    x, weight = code.expand(N, C), views.code_weight[member]
    if features is not None:
        x, weight = torch.cat([features, x], 1), torch.cat([views.position_weight[member], weight], 1)
    hidden = F.linear(x, weight, views.bias[member, :, 0]).clamp_min(0)
    out = F.linear(hidden, views.out_weight[member], views.out_bias[member, :, 0])
    raw = out[:, views.state :]
    bound = views.log_variance_bound
    return out[:, : views.state], raw if bound is None else raw / (1 + raw.abs() / bound)


@pytest.mark.parametrize("bound", [None, 2.0])
@pytest.mark.parametrize("rows", [1, N])
@pytest.mark.parametrize("positions", [True, False])
def test_is_its_members_taken_together(positions: bool, rows: int, bound: float | None) -> None:
    views = small(P if positions else 0, bound=bound)
    features, code = inputs(rows if positions else N)
    part = views.position_part(features) if positions else None
    belief = views(part, code)
    nets = [net_by_hand(views, t, features if positions else None, code) for t in range(views.members)]
    means, logs = (torch.stack(x) for x in zip(*nets, strict=True))  # [T, N, D]
    torch.testing.assert_close(belief.mean, means.mean(0))
    torch.testing.assert_close(belief.variance, logs.exp().mean(0))
    covariance = belief.spread.transpose(1, 2) @ belief.spread
    for row in range(N):
        torch.testing.assert_close(covariance[row], torch.cov(means[:, row].T))
    for member, (mean, log) in enumerate(nets):
        single = views(part, code, member)
        torch.testing.assert_close(single.mean, mean)
        torch.testing.assert_close(single.variance, log.exp())
        assert single.spread is None


def test_one_members_position_part_serves_that_member() -> None:
    views = small()
    features, code = inputs()
    whole, own = views.position_part(features), views.position_part(features, 2)
    assert len(own) == 1
    torch.testing.assert_close(views(own, code, 2).mean, views(whole, code, 2).mean)


def test_only_the_member_that_is_asked_learns() -> None:
    views = small()
    features, code = inputs()
    belief: Belief = views(views.position_part(features, 1), code, 1)
    (belief.mean.sum() + belief.variance.sum()).backward()
    for parameter in views.parameters():
        gradient = parameter.grad.flatten(1).abs().sum(1)
        assert gradient[1] > 0 and not gradient[[0, 2, 3]].any()


def test_an_ensemble_of_one_has_no_spread() -> None:
    views = small(members=1)
    features, code = inputs()
    assert views(views.position_part(features), code).spread is None


def test_members_begin_differently_and_within_the_bounds_of_a_linear_layer() -> None:
    views = small()
    for parameter in views.parameters():
        assert not torch.equal(parameter[0], parameter[1])
    assert views.position_weight.abs().max() <= 1 / math.sqrt(P + C)
    assert views.out_weight.abs().max() <= 1 / math.sqrt(6)


def test_released_ensembles_have_the_released_size() -> None:
    """Method 3.7: the face's fusion has 0.611 M parameters, 8128 of them (112 x 64 + 64 and heads) not in ensembles."""
    views = [ViewEnsemble(64, 38), ViewEnsemble(64, 64), ViewEnsemble(64, 64), ViewEnsemble(0, 192)]
    inside = 102 + 128 + 128 + 192
    wanted = 10 * (64 * inside + 4 * 64 + 4 * (96 * 64 + 96))
    assert sum(p.numel() for view in views for p in view.parameters()) == wanted
    assert wanted == pytest.approx(0.611e6, rel=0.02)


def test_log_variances_are_bounded_and_never_stop_learning() -> None:
    raw = torch.tensor([-1e4, -50.0, -1e-3, 0.0, 1e-3, 50.0, 1e4], requires_grad=True)
    clamped = soft_clamp(raw, LOG_VARIANCE_BOUND)
    assert (clamped.abs() < LOG_VARIANCE_BOUND + 1e-6).all()
    assert (clamped[1:] > clamped[:-1]).all()
    clamped.sum().backward()
    torch.testing.assert_close(raw.grad, (1 + raw.detach().abs() / LOG_VARIANCE_BOUND) ** -2)
    assert (raw.grad > 0).all()


def test_a_variance_at_the_clamp_comes_back() -> None:
    """A few hundred steps take a log-variance far beyond the bound back to where the data want it."""
    raw = torch.tensor(60.0, requires_grad=True)
    optimiser = torch.optim.Adam([raw], lr=0.5)
    for _ in range(400):
        log_variance = soft_clamp(raw, LOG_VARIANCE_BOUND)
        loss = log_variance + 0.25 * torch.exp(-log_variance)  # likelihood of residuals with variance 1/4
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(soft_clamp(raw, LOG_VARIANCE_BOUND).detach().exp()) == pytest.approx(0.25, rel=0.05)


def test_what_does_not_fit_is_refused() -> None:
    features, code = inputs()
    with pytest.raises(ValueError, match="no position features"):
        small(0).position_part(features)
    with pytest.raises(ValueError, match="position part"):
        small()(None, code)
    with pytest.raises(ValueError, match="0 members"):
        small(members=0)
