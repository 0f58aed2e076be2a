"""What each view believes about the state of every Gaussian: an ensemble of small nets, one Gaussian belief per view.

Axis conventions: N Gaussians (or anchors), T members, D numbers of the state. Inside the ensemble N is the innermost
axis, so that a layer of all members is one matrix product and the fusion reads whole vectors of Gaussians; outside,
tensors are views with N first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEMBERS = 10
HIDDEN = 64
STATE = 48
LOG_VARIANCE_BOUND = 7.0  # variances stay between 9e-4 and 1100


@dataclass(frozen=True)
class Belief:
    """A Gaussian N(mean, diag(variance) + spread^T spread) per row.

    mean [N, D]; variance [N, D] > 0 (aleatoric); spread [N, T, D] or None: the members' deviations from the mean over
    sqrt(T - 1), so that spread^T spread is their unbiased sample covariance (epistemic); None for a single member.
    """

    mean: Tensor
    variance: Tensor
    spread: Tensor | None = None


def soft_clamp(raw: Tensor, bound: float) -> Tensor:
    """Numbers within (-bound, bound): the identity near 0, and a slope 1 / (1 + |raw| / bound)^2 that never dies."""
    return bound * F.softsign(raw / bound)


class ViewEnsemble(nn.Module):
    """T independent nets of one view: h = relu(W x), mean and log-variance linear in h.

    x holds features of the position and a code of the frame; the first layer is the sum of a part per input, so that
    the first can be kept while the frame changes.

    Args:
        position_width: P, features of a position; 0 when all is in the code.
        code_width: C, length of the frame's code.
        log_variance_bound: of `soft_clamp`; None leaves log-variances as they are (the release).
    Source: UA-3DTalk, uncertainty blocks (method 3.5): widths 64 and 48, T = 10, variance = mean of exp(log-variance).
    """

    def __init__(
        self,
        position_width: int,
        code_width: int,
        *,
        members: int = MEMBERS,
        hidden: int = HIDDEN,
        state: int = STATE,
        log_variance_bound: float | None = LOG_VARIANCE_BOUND,
    ) -> None:
        super().__init__()
        if members < 1 or position_width < 0 or code_width < 1:
            raise ValueError(f"no ensemble of {members} members with {position_width} + {code_width} inputs")
        self.members, self.hidden, self.state = members, hidden, state
        self.log_variance_bound = log_variance_bound

        def uniform(inside: int, *shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-1 / math.sqrt(inside), 1 / math.sqrt(inside)))

        inputs = position_width + code_width
        self.position_weight = uniform(inputs, members, hidden, position_width) if position_width else None
        self.code_weight = uniform(inputs, members, hidden, code_width)
        self.bias = uniform(inputs, members, hidden, 1)
        self.out_weight = uniform(hidden, members, 2 * state, hidden)
        self.out_bias = uniform(hidden, members, 2 * state, 1)

    def position_part(self, features: Tensor, member: int | None = None) -> Tensor:
        """What positions add to the first layer: [T, hidden, N] from features [N, P] (T = 1 for one member)."""
        if self.position_weight is None:
            raise ValueError("this view has no position features: give None for its position part")
        rows = _rows(member)
        weight, bias = self.position_weight[rows], self.bias[rows]
        # One product for all members.
        part = torch.addmm(bias.flatten(0, 1), weight.flatten(0, 1), features.t())
        return part.view(len(weight), self.hidden, -1)

    def forward(self, position_part: Tensor | None, code: Tensor, member: int | None = None) -> Belief:
        """The belief of all members, or of one.

        Args:
            position_part: of `position_part`, for all members or for the one asked for; None without position features.
            code: [1, C], or [N, C] when it differs between Gaussians.
            member: 0..T-1 computes this one alone; its belief has no spread.
        """
        rows = _rows(member)
        hidden = self.hidden_units(position_part, code, member)
        out = torch.baddbmm(self.out_bias[rows], self.out_weight[rows], hidden)  # [T, 2 D, N]
        means, log_variances = out.split(self.state, 1)
        if self.log_variance_bound is not None:
            log_variances = soft_clamp(log_variances, self.log_variance_bound)
        if len(out) == 1:
            return Belief(means[0].t(), log_variances[0].exp().t())
        mean = means.mean(0)
        spread = (means - mean) / math.sqrt(len(out) - 1)
        return Belief(mean.t(), log_variances.exp().mean(0).t(), spread.permute(2, 0, 1))

    def hidden_units(self, position_part: Tensor | None, code: Tensor, member: int | None = None) -> Tensor:
        """What lies between the layers, [T, hidden, N]; arguments as of `forward`."""
        return torch.relu_(self._first_layer(position_part, code, _rows(member)))

    def _first_layer(self, position_part: Tensor | None, code: Tensor, rows: slice) -> Tensor:
        """[T, hidden, N] before the ReLU."""
        weight = self.code_weight[rows]
        flat = weight.flatten(0, 1)
        if self.position_weight is None:
            return torch.addmm(self.bias[rows].flatten(0, 1), flat, code.t()).view(len(weight), self.hidden, -1)
        if position_part is None:
            raise ValueError("this view needs the position part of its first layer")
        part = position_part if len(position_part) == len(weight) else position_part[rows]
        if len(code) == 1:
            return part + (flat @ code[0]).view(len(weight), self.hidden, 1)
        return torch.addmm(part.flatten(0, 1), flat, code.t()).view(part.shape)


def _rows(member: int | None) -> slice:
    return slice(None) if member is None else slice(member, member + 1)
