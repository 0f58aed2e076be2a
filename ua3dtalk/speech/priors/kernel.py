"""The lip expert's core: a kernel ridge regression over the actor's own and the pooled actors' training frames.

Frames of different actors are alike to a share: the kernel between two of them is `share` times that between their
sounds, which is the kernel of a Gaussian process whose function is partly common to all actors and partly each one's
own (intrinsic coregionalisation; Bonilla et al. 2007). Cross-validation picks penalty and share for each coefficient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ua3dtalk.speech.priors.blocks import Blocks
from ua3dtalk.speech.priors.hearing import evenly
from ua3dtalk.speech.priors.settings import PriorsSettings

MEDIAN_OF = 400  # frames


@dataclass(frozen=True)
class Examples:
    """codes [n, P] and standardised expressions [n, 64] of n frames; actor [n]: whose they are."""

    codes: np.ndarray
    expressions: np.ndarray
    actor: np.ndarray


@dataclass(frozen=True)
class Solution:
    """chosen [n]: which supports; weights of them own [n, 64] and of the others theirs [m, 64]; bias [64]."""

    chosen: np.ndarray
    own: np.ndarray
    theirs: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class KernelReader:
    """supports [n, P], weights [n, 64], bias [64] and spread of the kernel exp(-squared distance / spread)."""

    supports: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    spread: np.ndarray

    def read(self, codes: np.ndarray) -> np.ndarray:
        """Expressions [m, 64] float32 of codes [m, P]; a sound like none of the supports gives the bias."""
        near = gaussian_kernel(codes, self.supports, float(self.spread)).astype(np.float32)
        found: np.ndarray = near @ self.weights + self.bias
        return found


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[m, n] float64 between rows [m, P] and [n, P]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    found: np.ndarray = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)
    return found


def gaussian_kernel(a: np.ndarray, b: np.ndarray, spread: float) -> np.ndarray:
    """[m, n] float64 between rows [m, P] and [n, P]."""
    kernel: np.ndarray = np.exp(-squared_distances(a, b) / spread)
    return kernel


def typical_spread(codes: np.ndarray, width: float) -> float:
    """`width` times the median squared distance between codes [n, P]."""
    thin = evenly(codes, MEDIAN_OF)
    return width * float(np.median(squared_distances(thin, thin))) or 1.0  # zero where a clip is silent throughout


class KernelProblem:
    """Readers for any part of the actor's frames.

    Args:
        codes: of all the actor's frames [T, P].
        targets: [T, 64] standardised.
        supports: the actor's frames [S] that a reader may be supported by.
        others: frames of pooled actors, possibly none.
        spread: of the kernel.
        settings: penalties and shares that are tried.
    """

    def __init__(
        self,
        codes: np.ndarray,
        targets: np.ndarray,
        supports: np.ndarray,
        others: Examples,
        spread: float,
        settings: PriorsSettings,
    ) -> None:
        self.codes, self.targets, self.supports, self.others, self.spread = codes, targets, supports, others, spread
        self.penalties = settings.penalties
        # Without others the share is of no consequence.
        self.shares = settings.sharing if len(others.codes) else settings.sharing[:1]
        self._own = gaussian_kernel(codes, codes[supports], spread)
        self._across = gaussian_kernel(codes, others.codes, spread)
        self._others = gaussian_kernel(others.codes, others.codes, spread)

    def solve(self, rows: np.ndarray) -> Iterator[Solution]:
        """The solution of every choice of share and penalty from those supports that are in `rows` [n]."""
        chosen = np.flatnonzero(np.isin(self.supports, rows))
        frames = self.supports[chosen]
        bias = self.targets[frames].mean(0)
        wanted = np.vstack([self.targets[frames] - bias, self.others.expressions])
        own, across = self._own[np.ix_(frames, chosen)], self._across[frames]
        same = self.others.actor[:, None] == self.others.actor
        for share in self.shares:
            count = len(frames) + (len(same) if share else 0)
            kernel = np.block([[own, share * across], [share * across.T, np.where(same, 1, share) * self._others]])
            for penalty in self.penalties:
                penalised = kernel[:count, :count] + penalty * np.eye(count)
                dual = cho_solve(cho_factor(penalised, lower=True), wanted[:count])
                theirs = np.zeros((len(same), dual.shape[1]))
                theirs[: count - len(frames)] = share * dual[len(frames) :]
                yield Solution(chosen, dual[: len(frames)], theirs, bias)

    def read(self, solution: Solution, frames: np.ndarray) -> np.ndarray:
        """Expressions [m, 64] of the actor's frames [m]."""
        own = self._own[np.ix_(frames, solution.chosen)] @ solution.own
        found: np.ndarray = own + self._across[frames] @ solution.theirs + solution.bias
        return found

    def reader(self, solution: Solution) -> KernelReader:
        """The same as an object that needs no problem around it; supports of no weight are left out."""
        supports = np.vstack([self.codes[self.supports[solution.chosen]], self.others.codes])
        weights = np.vstack([solution.own, solution.theirs])
        used = np.abs(weights).max(1) > 0
        spread = np.array(self.spread, np.float32)
        return KernelReader(
            supports[used].astype(np.float32),
            weights[used].astype(np.float32),
            solution.bias.astype(np.float32),
            spread,
        )


def cross_validated(problem: KernelProblem, blocks: Blocks) -> tuple[np.ndarray, KernelReader]:
    """What each frame's speech says by a reader that did not see its block, and the reader of all training frames.

    Returns:
        [T, 64] float32: training frames by their block's model, held-out ones by the reader; and the reader.
    """
    choices = len(problem.shares) * len(problem.penalties)
    read = np.zeros((choices, *problem.targets.shape), np.float32)
    for rows, frames in blocks:
        solutions = list(problem.solve(rows))
        for index, solution in enumerate(solutions):
            read[index, frames] = problem.read(solution, frames)
    truth = blocks.centred(problem.targets)
    best = np.argmin([((blocks.centred(guess) - truth) ** 2).mean(0) for guess in read], axis=0)
    columns = np.arange(problem.targets.shape[1])
    last = solutions[0]  # of all fitted frames
    own, theirs = (
        np.stack([getattr(solution, part) for solution in solutions])[best, :, columns].T for part in ("own", "theirs")
    )
    reader = problem.reader(Solution(last.chosen, own, theirs, last.bias))
    return read[best, :, columns].T.copy(), reader
