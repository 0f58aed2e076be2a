"""The motion of landmarks that the face's begins with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ua3dtalk.face.geometry import project, rigid, rotation_matrix
from ua3dtalk.face.landmarker import LEFT_EYE, RIGHT_EYE
from ua3dtalk.field.landmark_motion import REACH, LandmarkMotion, within
from ua3dtalk.subject import Expression, Landmarks, Subject, Tracking
from ua3dtalk.training.landmark_motion import fit_landmark_motion

FRAMES, LANDMARKS, LIPS = 400, 478, 3


def known_subject() -> tuple[Any, np.ndarray, np.ndarray]:
    """A turning head whose landmarks move along known directions [C, 478, 3] m, and its lips [T, K]."""
    rng = np.random.default_rng(3)
    neutral = rng.uniform(-0.07, 0.07, (LANDMARKS, 3))
    poses = rigid(rotation_matrix(rng.normal(0, 0.3, (FRAMES, 3))), np.tile([0.0, 0.0, 0.8], (FRAMES, 1)))
    K = np.tile(np.array([[900.0, 0, 128], [0, 950.0, 120], [0, 0, 1]]), (FRAMES, 1, 1))
    lips = rng.normal(0, 1, (FRAMES, LIPS))
    units = rng.uniform(0, 2, (FRAMES, 6))
    directions = rng.normal(0, 2e-3, (LIPS + 6, LANDMARKS, 3))
    controls = np.concatenate([lips, units], 1)
    moved = np.einsum("tc,clj->tlj", controls - np.median(controls, 0), directions)
    pixels = np.stack([project(neutral + moved[t], poses[t], K[t]) for t in range(FRAMES)])
    valid = np.arange(FRAMES) != 7
    pixels[7] = 0
    points = np.concatenate([pixels, np.zeros((FRAMES, LANDMARKS, 1))], -1)
    subject = SimpleNamespace(
        landmarks=Landmarks(points, np.zeros((FRAMES, 52)), valid, ()),
        tracking=Tracking(K, poses, neutral, np.zeros(FRAMES)),
        expression=Expression(np.zeros((FRAMES, 52)), units, np.zeros(FRAMES), np.zeros(FRAMES), ()),
        train_frames=np.arange(FRAMES - 40),
    )
    return subject, directions, lips


def test_directions_are_found_from_the_pictures_of_a_head_that_turns() -> None:
    subject, directions, lips = known_subject()
    found = fit_landmark_motion(subject, lips).directions.numpy()
    assert np.abs(found - directions)[..., :2].mean() < 0.1 * np.abs(directions).mean()
    assert np.corrcoef(found[..., 2].ravel(), directions[..., 2].ravel())[0, 1] > 0.95  # in depth, too


def test_held_out_frames_and_frames_without_a_face_do_not_matter() -> None:
    subject, _, lips = known_subject()
    before = fit_landmark_motion(subject, lips).directions
    for frame in (7, *range(FRAMES - 40, FRAMES)):
        subject.landmarks.points[frame] = np.nan
    assert torch.equal(before, fit_landmark_motion(subject, lips).directions)


def made_motion() -> LandmarkMotion:
    """One control that moves every landmark of a flat face by 1 cm to the right; its lids are two rings."""
    torch.manual_seed(1)
    motion = LandmarkMotion(LANDMARKS, 2)
    motion.places[:, :2] = torch.rand(LANDMARKS, 2) * 0.1
    turn = torch.linspace(0, 2 * np.pi, 17)[:-1]
    for ring, centre in ((RIGHT_EYE, 0.02), (LEFT_EYE, 0.08)):
        circle = torch.stack([torch.cos(turn), torch.sin(turn)], 1) * 0.01
        motion.places[list(ring), :2] = circle + torch.tensor([centre, 0.05])
    motion.usual[:] = torch.tensor([0.5, 0.0])
    motion.directions[0, :, 0] = 0.01
    return motion


def test_gaussians_on_the_face_follow_and_those_far_from_it_or_on_an_eyeball_keep_still() -> None:
    motion = made_motion()
    cheek, eyeball, hair = [0.05, 0.09, 0.0], [0.02, 0.05, 0.0], [0.05, 0.05, 5 * REACH]
    motion.attach(torch.tensor([cheek, eyeball, hair]))
    moved = motion(torch.tensor([[1.5, 3.0]]))
    assert moved[0].numpy() == pytest.approx([0.01, 0, 0], rel=0.1, abs=1e-6)
    assert moved[1].abs().max() == 0
    assert moved[2].abs().max() < 1e-6
    assert motion(torch.tensor([[0.5, 3.0]])).abs().max() == 0  # as usual


def test_motion_wants_gaussians_first() -> None:
    with pytest.raises(ValueError, match="attach"):
        LandmarkMotion(5, 2)(torch.zeros(1, 2))


def test_inside_of_a_ring_is_what_a_known_test_says() -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    turn = np.sort(rng.uniform(0, 2 * np.pi, 16))
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(16)], 1) * rng.uniform(0.3, 1, (16, 1))
    points = rng.uniform(-1, 1, (500, 3))
    expected = [cv2.pointPolygonTest(ring[:, :2].astype(np.float32), tuple(p[:2]), False) > 0 for p in points]
    found = within(torch.from_numpy(points.astype(np.float32)), torch.from_numpy(ring.astype(np.float32)))
    assert found.tolist() == expected


def test_lids_of_the_built_in_actor_fall_when_it_blinks(tiny_subject: Subject) -> None:
    """Rows of the picture grow downwards, and so does y of the head's frame."""
    lips = np.zeros((tiny_subject.frame_count, 1))
    motion = fit_landmark_motion(tiny_subject, lips)
    blink = motion.directions[-1]
    upper, lower = blink[[159, 386], 1], blink[[145, 374], 1]
    assert (upper > lower).all()
