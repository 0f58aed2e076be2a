"""Fitting Prior Extraction on an actor's training frames, every choice by cross-validation over blocks of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.speech.priors.blocks import BLOCKS, GAP, Blocks, correlation, cut_blocks
from ua3dtalk.speech.priors.hearing import Ear, Heard, evenly, fit_ears
from ua3dtalk.speech.priors.kernel import Examples, KernelProblem, cross_validated, typical_spread
from ua3dtalk.speech.priors.nets import WIDTH
from ua3dtalk.speech.priors.novelty import fit_novelty
from ua3dtalk.speech.priors.reader import (
    NET_CODES,
    Mixing,
    PriorReader,
    PriorTrack,
    blend,
    fit_mixing,
    net_material,
)
from ua3dtalk.speech.priors.ridge import ridge_by_blocks
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.priors.targets import Targets, expression_targets
from ua3dtalk.speech.priors.train import Added, train_by_blocks
from ua3dtalk.speech.windows import heard_alone
from ua3dtalk.subject import Subject

STILL = 1e-3


@dataclass(frozen=True)
class Priors:
    """targets, the track of all frames (training frames by models that did not see them), the reader for new speech,
    what ridge regression reads [T, 64], the blocks, and which frames test [m]: held out, with a face."""

    targets: Targets
    track: PriorTrack
    reader: PriorReader
    ridge: np.ndarray
    blocks: Blocks
    test: np.ndarray

    def correlations(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a series [T, 64] with the truth: on held-out frames and by blocks on training frames, [64] each."""
        truth = self.targets.values
        held_out = correlation(series[self.test], truth[self.test])
        return held_out, correlation(self.blocks.centred(series), self.blocks.centred(truth))


def fit_priors(
    subject: Subject, pooled: Sequence[Subject], settings: PriorsSettings, seed: int, targets: Targets | None = None
) -> Priors:
    """Fit lip expert, style net and mixer.

    Args:
        subject: reads clips.json, landmarks.npz, tracking.npz, expression.npz, speech.npz.
        pooled: other actors, whose training frames support the lip expert.
        settings, seed: of the stage.
        targets: what is to be read of the actor's speech; the open expression unless given.
    Raises:
        DataError: too few training frames with a face, or speech of different encoders.
    """
    _check_encoders(subject, pooled)
    train = _with_face(subject, subject.train_frames)
    fitted = heard_alone(train, subject.clips, settings.reach)
    if len(fitted) < 2 * BLOCKS + 2 * GAP:
        raise DataError(
            f"{subject.root}: {len(fitted)} training frames show a face, at least {2 * BLOCKS + 2 * GAP} are needed: "
            "give a longer clip"
        )
    blocks = cut_blocks(subject.frame_count, train, fitted)
    targets = targets or expression_targets(subject, train)
    ears, others = _ears_and_others(subject, fitted, pooled, settings)
    ear, frames = ears[0], np.arange(subject.frame_count)
    codes = ear.hear(subject.speech, subject.clips, frames)
    spread = typical_spread(codes[fitted], settings.kernel_width)
    supports = evenly(fitted, settings.own_frames)
    problem = KernelProblem(codes, targets.values, supports, others, spread, settings)
    by_kernel, kernel = cross_validated(problem, blocks)
    by_ridge, ridge = ridge_by_blocks(subject.speech, subject.clips, targets.values, blocks, settings.own_frames)
    reading = blend(by_kernel, by_ridge, settings.ridge_share)
    code_scale = 1 / (codes[fitted][:, :NET_CODES].std(0) + STILL)
    material = net_material(ear, subject.speech, subject.clips, codes, code_scale, reading, targets.values)
    added, nets = train_by_blocks(material, blocks, settings, seed)
    mixing = _mix(reading, added, targets.values, blocks, settings.amplitude)
    novelty, new = fit_novelty(ear.mel_windows(subject.speech, subject.clips, frames), blocks)
    share = np.array(settings.ridge_share, np.float32)
    reader = PriorReader(ear, kernel, ridge, share, code_scale, tuple(nets), mixing, novelty)
    test = _with_face(subject, subject.test_frames)
    return Priors(targets, mixing.track(reading, added, new), reader, by_ridge, blocks, test)


def _with_face(subject: Subject, frames: np.ndarray) -> np.ndarray:
    return frames[subject.landmarks.valid[frames]]


def _check_encoders(subject: Subject, pooled: Sequence[Subject]) -> None:
    for other in pooled:
        if other.speech.encoder != subject.speech.encoder:
            raise DataError(
                f"{other.root}: speech of {other.speech.encoder} cannot be pooled with {subject.speech.encoder} of "
                f"{subject.root}: use one encoder or take {other.name} out of priors.pool"
            )


def _ears_and_others(
    subject: Subject, fitted: np.ndarray, pooled: Sequence[Subject], settings: PriorsSettings
) -> tuple[list[Ear], Examples]:
    """Ears of all actors, the own first, and the pooled actors' frames as examples."""
    trains = [_with_face(other, other.train_frames) for other in pooled]
    frames = [heard_alone(train, other.clips, settings.reach) for other, train in zip(pooled, trains, strict=True)]
    everyone = [Heard(subject.speech, subject.clips, fitted)]
    everyone += [
        Heard(other.speech, other.clips, rows) for other, rows in zip(pooled, frames, strict=True) if len(rows)
    ]
    ears = fit_ears(everyone, settings)
    width = ears[0].axes.shape[1] + 1
    examples = [Examples(np.zeros((0, width), np.float32), np.zeros((0, WIDTH)), np.zeros(0, int))]
    useful = [(other, train, rows) for other, train, rows in zip(pooled, trains, frames, strict=True) if len(rows)]
    for number, (other, train, all_rows) in enumerate(useful, 1):
        rows = evenly(all_rows, settings.pooled_frames)
        codes = ears[number].hear(other.speech, other.clips, rows)
        examples.append(Examples(codes, expression_targets(other, train).values[rows], np.full(len(rows), number)))
    return ears, Examples(*(np.concatenate(parts) for parts in zip(*map(_fields, examples), strict=True)))


def _fields(examples: Examples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return examples.codes, examples.expressions, examples.actor


def _mix(reading: np.ndarray, added: Added, truth: np.ndarray, blocks: Blocks, amplitude: float) -> Mixing:
    centred = Added(*(blocks.centred(part) for part in added))
    centre = truth[blocks.fitted].mean(0)
    return fit_mixing(blocks.centred(reading), centred, blocks.centred(truth), centre, amplitude)
