"""What reads priors from speech once all is fitted, the actor's own or anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ua3dtalk.speech.priors.blocks import LEAST_CORRELATION
from ua3dtalk.speech.priors.hearing import Ear
from ua3dtalk.speech.priors.kernel import KernelReader
from ua3dtalk.speech.priors.nets import PriorNets
from ua3dtalk.speech.priors.novelty import Novelty
from ua3dtalk.speech.priors.ridge import Ridge
from ua3dtalk.speech.priors.train import Added, Material, apply
from ua3dtalk.subject import LIPS_IN_EXPRESSION, Clip, Speech

NET_CODES = 64  # strongest columns of the codes that the nets see
LEAST_ERROR = 0.01  # squared, in deviations: a coefficient that stood still throughout may yet move
LEAST_VARIANCE = 0.3  # of the usual one: no sound is that much surer than the others
ALL_NEW = 3.0  # novelty of a sound that nothing is known of: white noise and voices far from the actor's


@dataclass(frozen=True)
class PriorTrack:
    """Of T frames, in deviations of the actor's training frames.

    lip_expression (f_exp), voice_style (f_tone), mixed (f_prior) and the variance of what mixed is off by, [T, 64]
    each; novelty [T], about 1 for the actor's own speech.
    """

    lip_expression: np.ndarray
    voice_style: np.ndarray
    mixed: np.ndarray
    variance: np.ndarray
    novelty: np.ndarray


@dataclass(frozen=True)
class Mixing:
    """What cross-validation found on the training frames, [64] each.

    lips, fused: shares of what the nets add, 0..1; enlarged: factor of the amplitude; centre: mean expression that it
    is taken around; error: mean squared error of mixed.
    """

    lips: np.ndarray
    fused: np.ndarray
    enlarged: np.ndarray
    centre: np.ndarray
    error: np.ndarray

    def track(self, reading: np.ndarray, added: Added, novelty: np.ndarray) -> PriorTrack:
        """Put together what the regressions read [T, 64], what the nets add, and novelty [T]."""
        lips = reading + self.lips * added.lips
        mixed = lips + self.fused * added.fused
        lips, mixed = (self.centre + self.enlarged * (series - self.centre) for series in (lips, mixed))
        series = (lips, added.tone, mixed, self.variance(novelty), novelty)
        return PriorTrack(*(part.astype(np.float32) for part in series))

    def variance(self, novelty: np.ndarray) -> np.ndarray:
        """[T, 64]: the usual error for usual speech, on a line to the expression's own variance (1) for a sound that
        nothing is known of."""
        beyond = np.minimum((novelty - 1) / (ALL_NEW - 1), 1)
        line = self.error + np.maximum(1 - self.error, 0) * beyond[:, None]
        return np.maximum(line, LEAST_VARIANCE * self.error)


@dataclass(frozen=True)
class PriorReader:
    """Everything that new speech needs.

    ridge_share []: weight of the ridge regression beside the kernel; code_scale [NET_CODES] brings the nets' codes to
    unit deviation.
    """

    ear: Ear
    kernel: KernelReader
    ridge: Ridge
    ridge_share: np.ndarray
    code_scale: np.ndarray
    nets: tuple[PriorNets, ...]
    mixing: Mixing
    novelty: Novelty

    def read(self, speech: Speech, clips: Sequence[Clip]) -> PriorTrack:
        """Priors of every frame of the clips' speech."""
        frames = np.arange(clips[-1].end)
        codes = self.ear.hear(speech, clips, frames)
        reading = blend(self.kernel.read(codes), self.ridge.read(speech, clips, frames), float(self.ridge_share))
        material = net_material(self.ear, speech, clips, codes, self.code_scale, reading)
        added = apply(self.nets, material, [(clip.first, clip.end) for clip in clips])
        return self.mixing.track(reading, added, self.novelty(self.ear.mel_windows(speech, clips, frames)))


def blend(kernel: np.ndarray, ridge: np.ndarray, share: float) -> np.ndarray:
    """The mean of both readings [T, 64]; their errors differ, so it is better than either."""
    return (1 - share) * kernel + share * ridge


def net_material(
    ear: Ear,
    speech: Speech,
    clips: Sequence[Clip],
    codes: np.ndarray,
    code_scale: np.ndarray,
    reading: np.ndarray,
    targets: np.ndarray | None = None,
) -> Material:
    """Inputs of the nets; targets [T, 64] only for training."""
    wanted = np.zeros((len(codes), 0)) if targets is None else targets
    series = (codes[:, : len(code_scale)] * code_scale, ear.voice(speech), reading, wanted)
    nets_see, mel, read, true = (torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in series)
    return Material(nets_see, mel, read, true, clips)


def fit_mixing(reading: np.ndarray, added: Added, truth: np.ndarray, centre: np.ndarray, amplitude: float) -> Mixing:
    """From frames that no model saw.

    Args:
        reading, added, truth: [n, 64] each, blocks without their means.
        centre: [64] mean expression of the training frames.
        amplitude: share of the opening's shrinking that is undone.
    """
    lips = _shares(added.lips, truth - reading)
    expression = reading + lips * added.lips
    fused = _shares(added.fused, truth - expression)
    mixed = expression + fused * added.fused
    enlarged = np.ones(truth.shape[1])
    enlarged[LIPS_IN_EXPRESSION] = _enlarged(mixed[:, LIPS_IN_EXPRESSION], truth[:, LIPS_IN_EXPRESSION], amplitude)
    error = np.maximum(((enlarged * mixed - truth) ** 2).mean(0), LEAST_ERROR)
    return Mixing(lips, fused, enlarged, centre, error)


def _shares(added: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Share [K] in 0..1 of what is added [n, K] that brings it nearest to what is missing [n, K]."""
    share: np.ndarray = np.clip((added * missing).sum(0) / ((added**2).sum(0) + 1e-9), 0, 1)
    return share


def _enlarged(read: np.ndarray, truth: np.ndarray, amplitude: float) -> float:
    """Factor for a series [n] that a regression has shrunk towards its mean.

    A prediction of correlation r that has the least squared error moves r times as much as the truth; a mouth that
    opens too little looks wrong before its error grows.
    """
    r = float((read * truth).sum() / np.sqrt((read**2).sum() * (truth**2).sum() + 1e-9))
    return float(r**-amplitude) if r > LEAST_CORRELATION else 1.0
