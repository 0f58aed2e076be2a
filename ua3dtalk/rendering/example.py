"""An emotion shown by example: what the face of a clip looks like it feels is asked of the actor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ua3dtalk.assets import fetch
from ua3dtalk.errors import InputError
from ua3dtalk.face.emotion import FACIAL_EMOTIONS, facial_emotions, load_net
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.wishes import Wish, parse_example, parse_wish
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import say

# The net's names where they are not those of `ua3dtalk.rendering.transfer`.
NAMES = {"disgust": "disgusted", "surprise": "surprised"}
LEAST = 0.1  # mean probability under which an emotion is none of the clip's


def wished(text: str | None, folder: Path) -> Wish | None:
    """What is asked for in words, or by a clip or an actor's folder; folder: empty, for a clip's files.

    Raises:
        UserError: one line for whatever cannot be meant.
    """
    example = None if text is None else parse_example(text)
    if example is None:
        return parse_wish(text)
    name, strength = example
    shown = emotions_of(open_guest(name, folder))
    said = ", ".join(f"{label} {share:.2f}" for label, share in shown.items()) or "nothing in particular"
    say(f"ua3dtalk: note: {name} looks like {said}")
    if not shown:
        raise InputError(f"--emotion {text}: no emotion is seen in it; name one, such as happy:0.8")
    return Wish(tuple(shown), np.zeros(1), strength * np.array([list(shown.values())]))


def emotions_of(guest: Subject) -> dict[str, float]:
    """Mean probability of each emotion that the frames show, the strongest first, without the neutral face."""
    found = np.nanmean(facial_emotions(load_net(fetch("fer")), guest.video, guest.landmarks), 0)
    named = {NAMES.get(label, label): float(share) for label, share in zip(FACIAL_EMOTIONS, found, strict=True)}
    kept = {label: share for label, share in named.items() if label != "neutral" and share >= LEAST}
    return dict(sorted(kept.items(), key=lambda item: -item[1]))
