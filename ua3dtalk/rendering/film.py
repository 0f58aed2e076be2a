"""What all films of a head have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ua3dtalk.rendering.aside import from_aside
from ua3dtalk.rendering.fast import fast
from ua3dtalk.rendering.follow import Follow
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.head import Head, load_head
from ua3dtalk.rendering.orbit import Orbit, parse_camera
from ua3dtalk.rendering.replay import Replay, Stance, Still
from ua3dtalk.rendering.wander import Wander
from ua3dtalk.settings import POSES
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import sha256_of

FILM_RATE = 48_000  # Hz of the film's sound; the head hears 16 kHz


def head_of(subject: Subject, model: Path, aside: bool, device: torch.device, folded: bool = False) -> Head:
    """A trained head on its device; with colours that hold aside from where its clip saw it, or with the clip's own;
    with its ensembles, or folded as `fast` does."""
    head = load_head(model)
    head = (fast(head, subject) if folded else head).to(device)
    return from_aside(head, subject) if aside else head


def own_motion(subject: Subject, pose: str, seed: int, device: torch.device) -> Callable[[int], Stance]:
    """Where the head is in each frame: a pose of `POSES`."""
    if pose == "wander":
        return Wander(subject, device, seed)
    return Replay(subject, device) if pose == "replay" else Still(subject, device)


def stances_of(
    subject: Subject, pose: str, camera: str, seed: int, device: torch.device, folder: Path
) -> Callable[[int], Stance]:
    """Where the head is in each frame, and where it is seen from.

    Args:
        pose: of `POSES`, or whose head motion it is, as `open_guest` takes it; camera: as `parse_camera` takes it.
        folder: empty, for the guest's files.
    """
    angles = parse_camera(camera)
    own = pose in POSES
    stances = own_motion(subject, pose, seed, device) if own else Follow(subject, open_guest(pose, folder), device)
    return stances if angles is None else Orbit.around(subject, stances, angles, device)


def synthetic(subject: Subject, model: Path, transferred: Sequence[str] = (), folded: bool = False) -> dict[str, str]:
    """What the film says of itself.

    Args: transferred: emotions in it that the actor never showed; folded: whether the head was.
    """
    comment = f"synthetic: rendered by ua3dtalk from the head {subject.name}, model sha256 {sha256_of(model)}"
    if transferred:
        comment += f"; emotions that the actor never showed: {', '.join(transferred)}"
    if folded:
        comment += "; fast: one net for each view in place of its ensemble"
    return {"comment": comment}
