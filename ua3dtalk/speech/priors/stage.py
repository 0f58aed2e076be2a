"""The stage: speech and expression of an actor in, `priors.npz` and what reads new speech out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.speech.priors.files import save_priors
from ua3dtalk.speech.priors.fit import fit_priors
from ua3dtalk.speech.priors.picture import draw_priors
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.reference.stage import fit_reference
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import atomic, say


def make_priors(
    *,
    subject: Subject,
    pooled: Sequence[Subject] = (),
    out: Path,
    out_model: Path,
    picture: Path,
    settings: PriorsSettings,
    seed: int,
    state: str,
) -> None:
    """Learn the expression from speech on the training frames, and read it in every frame.

    Args:
        subject: clips.json, landmarks.npz, tracking.npz, expression.npz and speech.npz are read.
        pooled: the same of other actors, whose training frames the lip expert also learns from.
        out: priors.npz, keys in docs/stages.md; out_model: priors.safetensors; picture: png.
        settings, seed: of the training.
        state: stored in both.
    Errors: DataError where too few training frames show a face or the actors' speech is of different encoders.
    """
    if settings.source == "reference":
        priors = fit_reference(subject, settings, seed)
    else:
        priors = fit_priors(subject, pooled, settings, seed)
    targets, track = priors.targets, priors.track
    held_out, by_blocks = priors.correlations(track.mixed)
    ridge_held_out, ridge_by_blocks = priors.correlations(priors.ridge)
    mouth = targets.mouth
    say(
        f"mouth, mean correlation on held-out frames: {held_out[mouth].mean():.3f}, ridge regression "
        f"{ridge_held_out[mouth].mean():.3f}; by blocks of training frames: {by_blocks[mouth].mean():.3f}, "
        f"{ridge_by_blocks[mouth].mean():.3f}"
    )
    save_priors(priors.reader, out_model, state)
    with atomic(out) as temporary:
        np.savez(
            temporary,
            expression=targets.values,
            lip_expression=track.lip_expression,
            voice_style=track.voice_style,
            mixed=track.mixed,
            variance=track.variance,
            novelty=track.novelty,
            names=np.array(targets.names),
            mouth=mouth,
            mean=targets.mean,
            deviation=targets.deviation,
            correlation=held_out,
            correlation_ridge=ridge_held_out,
            cv_correlation=by_blocks,
            cv_correlation_ridge=ridge_by_blocks,
            state=np.array(state),
        )
    draw_priors(picture, subject, priors)
