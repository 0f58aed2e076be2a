"""`backends.priors: reference`: the authors' nets read the actor's own frames.

Everything else of the stage stays as it is: the open reader is fitted to Deep3DFaceRecon's expression of the real
frames. It tells how new a sound is, and reads speech for which no frames exist.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ua3dtalk.errors import ConfigError
from ua3dtalk.speech.priors.fit import Priors, fit_priors
from ua3dtalk.speech.priors.reader import PriorTrack
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.priors.targets import LEAST_DEVIATION, REFERENCE, Targets
from ua3dtalk.speech.reference import audio2style, wav2lip
from ua3dtalk.speech.reference.priors import reference_priors
from ua3dtalk.subject import Subject

NEEDED = {
    "wav2lip": wav2lip.SOURCE,
    "audio2style": audio2style.SOURCE.format(key="audio2style"),
    "deep3d": "the network of Deep3DFaceRecon_pytorch; name it in priors.deep3d (docs/licences.md)",
}


def fit_reference(subject: Subject, settings: PriorsSettings, seed: int) -> Priors:
    """The priors of an actor from the authors' files.

    Args:
        subject: reads the bundle up to speech.npz.
        settings: `wav2lip`, `audio2style`, `deep3d` and, if there is one, `fuse_net` name the files.
    Returns:
        as `fit_priors`; targets are the 64 coefficients of Deep3DFaceRecon, tracks are in their deviations.
    Errors: ConfigError for a file that is not named, AssetError for one that does not fit.
    """
    files = {key: _named(settings, key) for key in NEEDED}
    if settings.pool:
        raise ConfigError("priors.pool: the reference route learns from one actor alone; leave it empty")
    found = reference_priors(
        subject, files["wav2lip"], files["audio2style"], settings.fuse_net, files["deep3d"], seed=seed
    )
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    mean, deviation = _scale(found.expression, train)
    names = tuple(f"{REFERENCE}{k:02d}" for k in range(found.expression.shape[1]))
    targets = Targets(((found.expression - mean) / deviation).astype(np.float32), mean, deviation, names)
    # No column is the mouth's opening here, so none is made larger.
    priors = fit_priors(subject, (), settings.model_copy(update={"amplitude": 0.0}), seed, targets)

    tone_mean, tone_deviation = _scale(found.voice_style, train)
    mixed = (found.mixed - mean) / deviation
    off = priors.blocks.centred(mixed) - priors.blocks.centred(targets.values)
    mixing = replace(priors.reader.mixing, error=(off**2).mean(axis=0))
    variance = mixing.variance(priors.track.novelty)
    track = PriorTrack(
        ((found.lip_expression - mean) / deviation).astype(np.float32),
        ((found.voice_style - tone_mean) / tone_deviation).astype(np.float32),
        mixed.astype(np.float32),
        variance.astype(np.float32),
        priors.track.novelty,
    )
    return replace(priors, track=track)


def _named(settings: PriorsSettings, key: str) -> Path:
    value = getattr(settings, key)
    if not value:
        raise ConfigError(f"priors.{key} is not set and backends.priors is reference: {NEEDED[key]}")
    return Path(value)


def _scale(values: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values[train].mean(axis=0), np.maximum(values[train].std(axis=0), LEAST_DEVIATION)
