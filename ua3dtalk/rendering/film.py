"""What all films of a head have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import torch

from ua3dtalk.rendering.follow import Follow
from ua3dtalk.rendering.orbit import Angles, Orbit
from ua3dtalk.rendering.replay import Replay, Stance, Still
from ua3dtalk.rendering.wander import Wander
from ua3dtalk.settings import Pose
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import sha256_of

FILM_RATE = 48_000  # Hz of the film's sound; the head hears 16 kHz
POSES = get_args(Pose)


def stances_of(
    subject: Subject, pose: Pose | Subject, angles: Angles | None, seed: int, device: torch.device
) -> Callable[[int], Stance]:
    """Where the head is in each frame: a pose, or as a guest's head, seen from angles or as the clip saw it."""
    stances: Callable[[int], Stance]
    if isinstance(pose, Subject):
        stances = Follow(subject, pose, device)
    elif pose == "wander":
        stances = Wander(subject, device, seed)
    else:
        stances = Replay(subject, device) if pose == "replay" else Still(subject, device)
    return stances if angles is None else Orbit.around(subject, stances, angles, device)


def synthetic(subject: Subject, model: Path, transferred: Sequence[str] = ()) -> dict[str, str]:
    """What the film says of itself; transferred: emotions in it that the actor never showed."""
    comment = f"synthetic: rendered by ua3dtalk from the head {subject.name}, model sha256 {sha256_of(model)}"
    if transferred:
        comment += f"; emotions that the actor never showed: {', '.join(transferred)}"
    return {"comment": comment}
