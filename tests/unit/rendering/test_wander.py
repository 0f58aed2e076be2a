"""Head motion of its own order, made of the actor's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_subject import corrupted, smooth

from ua3dtalk.face.geometry import rigid, rotation_angle, rotation_matrix
from ua3dtalk.rendering.wander import FADE, LEAST_RUN, Course, Wander
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")
RUNS = ((0, 260), (300, 500))  # training frames; those in between and after are held out


def nodding() -> Any:
    """An actor of two clips whose head moves smoothly; held-out frames are nowhere near it."""
    rng = np.random.default_rng(4)
    turns, shifts = 0.2 * smooth(rng, 540, 3, 12.0), 0.02 * smooth(rng, 540, 3, 12.0) + [0, 0, 0.8]
    poses = rigid(rotation_matrix(turns), shifts)
    held = np.ones(540, bool)
    for run in RUNS:
        held[slice(*run)] = False
    poses[held, 0, 3] += 5
    clips = [SimpleNamespace(first=first, test_first=stop) for first, stop in RUNS]
    torso = np.full((540, 32, 32, 4), 128, np.uint8)
    return SimpleNamespace(clips=clips, tracking=SimpleNamespace(world_to_camera=poses), torso=torso)


@pytest.fixture(scope="module")
def shown() -> tuple[Any, list[Any], np.ndarray]:
    subject = nodding()
    course = Course(subject, 0)
    steps = [course[k] for k in range(3000)]
    return subject, steps, np.stack([course.pose(step) for step in steps])


def test_two_minutes_show_training_frames_alone_and_most_of_them(shown: Any) -> None:
    _, steps, poses = shown
    seen = {step.frame for step in steps}
    assert all(any(first <= frame < stop for first, stop in RUNS) for frame in seen)
    assert len(seen) > 0.6 * sum(stop - first for first, stop in RUNS)
    assert np.abs(poses[:, 0, 3]).max() < 1  # no drift, nothing held out


def test_motion_is_as_quick_as_the_actor_s_and_never_jumps(shown: Any) -> None:
    subject, _, poses = shown
    own = subject.tracking.world_to_camera
    for measure in (
        lambda a, b: rotation_angle(a[:, :3, :3], b[:, :3, :3]),
        lambda a, b: np.linalg.norm(a[:, :3, 3] - b[:, :3, 3], axis=1),
    ):
        usual = np.concatenate([measure(own[first : stop - 1], own[first + 1 : stop]) for first, stop in RUNS])
        found = measure(poses[:-1], poses[1:])
        assert found.max() < 1.5 * usual.max()
        assert np.median(found) == pytest.approx(np.median(usual), rel=0.25)


def test_it_does_not_repeat_itself(shown: Any) -> None:
    _, steps, _ = shown
    frames = np.array([step.frame for step in steps])
    for period in range(100, 1500):
        assert (frames[period:] == frames[:-period]).mean() < 0.9
    changes = np.flatnonzero([step.share == 1 for step in steps])
    assert len(changes) > 10 and np.diff(changes).min() > FADE
    assert np.median(np.diff(changes)) >= LEAST_RUN


def test_the_seed_decides_and_the_order_of_asking_does_not() -> None:
    subject = nodding()
    forwards, jumping, other = Course(subject, 1), Course(subject, 1), Course(subject, 2)
    last = jumping[400].frame
    frames = [forwards[k].frame for k in range(401)]
    assert frames[-1] == last and frames == [jumping[k].frame for k in range(401)]
    assert frames != [other[k].frame for k in range(401)]


def test_a_clip_of_a_second_is_enough() -> None:
    subject = nodding()
    subject.clips = [SimpleNamespace(first=0, test_first=20)]
    course = Course(subject, 0)
    assert {course[k].frame for k in range(200)} <= set(range(20))


def test_nothing_held_out_is_seen(tiny_subject: Subject, tmp_path: Path) -> None:
    spoiled = corrupted(tiny_subject, tmp_path)
    for k in (0, 30, 90):
        one, other = Wander(tiny_subject, CPU, 3)(k), Wander(spoiled, CPU, 3)(k)
        assert torch.equal(one.camera.viewmat, other.camera.viewmat)
        assert torch.equal(one.background, other.background)
