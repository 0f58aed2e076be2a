"""A mouth that rests while nobody speaks.

What reads lips from speech falls back to its mean where it hears what it was never taught: for the noise of a room that
is a mouth half open. So where nobody speaks the lips go to what the actor's own training frames are driven by when they
are most closed. What is heard moves less than the lips did, so these rows are stretched, away from the mean, until the
heard opening is as small as the true one is in the most closed frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ua3dtalk.rendering.controls import Track

CLOSED_SHARE = 0.05  # of the training frames, those whose heard opening is least
MOST_STRETCH = 2.0
SURELY_SILENT, SURELY_SPOKEN = 0.1, 0.4  # probabilities of the voice detector; between them the lips are in between
AROUND = 3  # frames before and after speech in which lips move already, and still
SOFTNESS = 1.5  # frames, deviation of the filter that the lips come and go with
OPENING = 0  # column of the lip shapes
LIPS = ("lips", "lip_expression", "voice_style")


def resting(own: Track, train: np.ndarray, opening: np.ndarray) -> Track:
    """The rows that a resting mouth is driven by.

    Args:
        own: what the actor's own speech drives all frames by; train: the training frames.
        opening: [T], the mouth's true one.
    Returns:
        a track of one row; only what moves lips is of use in it.
    """
    count = max(round(CLOSED_SHARE * len(train)), 1)
    told = own.lips[train, OPENING]
    closed = train[np.argsort(told, kind="stable")[:count]]
    true = (np.sort(opening[train])[:count].mean() - opening[train].mean()) / max(float(opening[train].std()), 1e-6)
    stretch = np.clip(true / min(float(np.sort(told)[:count].mean() - told.mean()), -1e-6), 1, MOST_STRETCH)
    rows = {}
    for name in LIPS:
        if (values := getattr(own, name)) is not None:
            mean = values[train].mean(0, keepdims=True)
            rows[name] = mean + stretch * (values[closed].mean(0, keepdims=True) - mean)
    return replace(own, action_units=own.action_units[closed[:1]], emotion=None, novelty=None, **rows)


def at_rest(track: Track, rest: Track, spoken: np.ndarray) -> Track:
    """The track with lips at rest where nobody speaks; spoken [T]: probability that somebody does."""
    share = speaking(spoken)[:, None]
    rows = {
        name: (share * values + (1 - share) * getattr(rest, name)).astype(np.float32)
        for name in LIPS
        if (values := getattr(track, name)) is not None
    }
    return replace(track, **rows)


def speaking(spoken: np.ndarray) -> np.ndarray:
    """How much the lips follow the sound, [T] in 0..1, from the probabilities that somebody speaks."""
    around = maximum_filter1d(np.asarray(spoken, np.float64), 2 * AROUND + 1, mode="nearest")
    share = np.clip((around - SURELY_SILENT) / (SURELY_SPOKEN - SURELY_SILENT), 0, 1)
    smooth: np.ndarray = gaussian_filter1d(share, SOFTNESS, mode="nearest")
    return smooth
