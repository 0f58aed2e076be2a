"""One net for each view in place of its ensemble: what the members say together, at the price of one of them.

The mean of T nets with one hidden layer is one wide net, whose last layers are stacked and divided by T. Over the
places and frames of one head its hidden units repeat each other: as many as one member has tell nearly all. They are
chosen as the columns of an interpolative decomposition, and the last layer is fitted anew, to the members' mean and to
the logarithm of their whole variance, aleatoric and epistemic. `fuse` then weighs each number of the state by itself,
where full ensembles have correlations; a last fit brings the fused means back to theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ua3dtalk.field.beliefs import Belief, ViewEnsemble, soft_clamp
from ua3dtalk.field.fusion import fuse
from ua3dtalk.field.uncertain import Codes, UncertainBranch, UncertainParts

PLACES = 24  # that each frame is seen at; the next frame at others
PENALTY, REFIT_PENALTY = 1e-6, 1e-3  # of weights, over the mean square of what they multiply
NEAR_BOUND = 0.95  # of a log-variance's bound: beyond it, what goes into `soft_clamp` grows without end


@dataclass(frozen=True)
class ViewRows:
    """What one view's ensemble made of n places and frames: hidden [n, T * hidden], mean and log_variance [n, D]."""

    hidden: Tensor
    mean: Tensor
    log_variance: Tensor


@torch.no_grad()
def fold(branch: UncertainBranch, parts: UncertainParts, samples: Sequence[Codes]) -> dict[str, ViewEnsemble]:
    """One net for each view, of one member, which believes nearly what the ensemble of `branch` does.

    Args:
        parts: of `branch`, as its `position_parts` gives them.
        samples: frames with a code for every view, on which both shall agree.
    Raises:
        ValueError: there is no frame, or a view has no code.
    """
    rows, fused = _observed(branch, parts, samples)
    nets = {view: folded_net(branch.ensemble(view), rows[view]) for view in branch.shape.views}
    chosen: dict[str, Tensor] = {view: rows[view].hidden[:, units] for view, (_, units) in nets.items()}
    folded: dict[str, ViewEnsemble] = {view: net for view, (net, _) in nets.items()}
    _refit(folded, chosen, fused)
    return folded


@torch.no_grad()
def wide_net(net: ViewEnsemble) -> tuple[Tensor, Tensor]:
    """Last layer of the one net whose answer is the mean of all members': weight [D, T * hidden] and bias [D]."""
    weight, bias = net.out_weight[:, : net.state], net.out_bias[:, : net.state, 0]
    return weight.permute(1, 0, 2).flatten(1) / net.members, bias.mean(0)


@torch.no_grad()
def folded_net(net: ViewEnsemble, rows: ViewRows) -> tuple[ViewEnsemble, Tensor]:
    """An ensemble of one member that answers as all of `net` did in `rows`, and which hidden units it has [hidden]."""
    wide, _ = wide_net(net)
    units = leading_columns(rows.hidden * wide.norm(dim=0).to(rows.hidden), net.hidden)
    hidden = rows.hidden[:, units]
    raw = rows.log_variance
    if (bound := net.log_variance_bound) is not None:
        raw = raw.clamp(-NEAR_BOUND * bound, NEAR_BOUND * bound)
        raw = raw / (1 - raw.abs() / bound)
    positions = 0 if net.position_weight is None else net.position_weight.shape[2]
    one = ViewEnsemble(
        positions,
        net.code_weight.shape[2],
        members=1,
        hidden=net.hidden,
        state=net.state,
        log_variance_bound=net.log_variance_bound,
    ).to(net.bias.device)
    if one.position_weight is not None and net.position_weight is not None:
        one.position_weight.copy_(net.position_weight.flatten(0, 1)[units])
    one.code_weight.copy_(net.code_weight.flatten(0, 1)[units])
    one.bias.copy_(net.bias.flatten(0, 1)[units])
    _write_last_layer(one, ridge(_with_one(hidden), torch.cat([rows.mean, raw], 1), PENALTY))
    return one, units


def leading_columns(columns: Tensor, count: int) -> Tensor:
    """Which `count` columns of [n, U] span most of all: each is the one that those before it leave most of; sorted.

    Cholesky's factorisation of their products with pivots on the diagonal.
    """
    products = columns.T @ columns
    left = products.diagonal().clone()
    factor = products.new_zeros(len(products), count)
    found: list[int] = []
    for k in range(count):
        pivot = int(left.argmax())
        found.append(pivot)
        factor[:, k] = (products[:, pivot] - factor @ factor[pivot]) / left[pivot].clamp(min=1e-30).sqrt()
        left -= factor[:, k].square()
        left[found] = -torch.inf
    return torch.tensor(sorted(found), device=columns.device)


def ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Weights [K, M] that turn inputs [n, K] into targets [n, M]; the penalty is over the inputs' mean square."""
    products = inputs.T @ inputs
    weight = penalty * products.diagonal().mean()
    return torch.linalg.solve(products + weight * torch.eye(len(products)).to(products), inputs.T @ targets)


def _observed(
    branch: UncertainBranch, parts: UncertainParts, samples: Sequence[Codes]
) -> tuple[dict[str, ViewRows], Tensor]:
    """What the views and their fusion make of each frame at some of the places, in float64."""
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {view: [] for view in branch.shape.views}
    fused = []
    stride = max(len(parts.held) // PLACES, 1)
    for number, codes in enumerate(samples):
        here = _at(parts, slice(number % stride, None, stride))
        seen = branch.seen(here, codes)
        beliefs = branch.beliefs(here, seen)
        if missing := [view for view in branch.shape.views if view not in beliefs]:
            raise ValueError(f"frame {number} has no code for the view {missing[0]}")
        for view, belief in beliefs.items():
            hidden = branch.ensemble(view).hidden_units(branch.first_layer(view, here), seen[view])
            found[view].append((hidden.flatten(0, 1).t(), belief.mean, whole_variance(belief).log()))
        fused.append(fuse(list(beliefs.values()), with_variance=False).mean)
    if not fused:
        raise ValueError("nothing to fold by: give at least one frame")
    rows = {
        view: ViewRows(*(torch.cat(pieces).double() for pieces in zip(*each, strict=True)))
        for view, each in found.items()
    }
    return rows, torch.cat(fused).double()


def whole_variance(belief: Belief) -> Tensor:
    """Diagonal [N, D] of the covariance."""
    return belief.variance if belief.spread is None else belief.variance + belief.spread.square().sum(1)


def _at(parts: UncertainParts, places: slice) -> UncertainParts:
    """The parts at some of the places that hold beliefs."""
    gates = {name: gate[places] for name, gate in parts.gates.items()}
    emotion = None if parts.emotion is None else parts.emotion[places]
    return UncertainParts(parts.features, parts.held[places], gates, emotion)


def _refit(nets: Mapping[str, ViewEnsemble], hidden: Mapping[str, Tensor], fused: Tensor) -> None:
    """Change the nets' means as little as it takes for their fusion to give `fused` [n, D]; hidden [n, units]."""
    inputs = [_with_one(each) for each in hidden.values()]
    last = [_last_layer(net) for net in nets.values()]  # [units + 1, 2 D]
    log_variances = []
    for rows, weights, net in zip(inputs, last, nets.values(), strict=True):
        raw = rows @ weights[:, net.state :]
        log_variances.append(raw if net.log_variance_bound is None else soft_clamp(raw, net.log_variance_bound))
    shares = torch.softmax(-torch.stack(log_variances), 0)  # [V, n, D]
    for number in range(fused.shape[1]):
        weighted = torch.cat([share[:, number, None] * rows for share, rows in zip(shares, inputs, strict=True)], 1)
        before = torch.cat([weights[:, number] for weights in last])
        change = ridge(weighted, (fused[:, number] - weighted @ before)[:, None], REFIT_PENALTY)[:, 0]
        for weights, more in zip(last, change.split([len(weights) for weights in last]), strict=True):
            weights[:, number] += more
    for net, weights in zip(nets.values(), last, strict=True):
        _write_last_layer(net, weights)


def _with_one(rows: Tensor) -> Tensor:
    """Rows [n, K] with a column of ones, for the bias."""
    return torch.cat([rows, torch.ones_like(rows[:, :1])], 1)


def _last_layer(net: ViewEnsemble) -> Tensor:
    """Weights and, below them, biases of a net with one member, float64 [hidden + 1, 2 D]."""
    return torch.cat([net.out_weight[0].t(), net.out_bias[0].t()]).double()


def _write_last_layer(net: ViewEnsemble, weights: Tensor) -> None:
    net.out_weight[0].copy_(weights[:-1].t())
    net.out_bias[0].copy_(weights[-1:].t())
