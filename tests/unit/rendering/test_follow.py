"""Head motion of another person's clip: theirs, as far as the actor's torso can go with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from tiny_subject import corrupted, smooth

from ua3dtalk.face.geometry import rigid, rotation_angle, rotation_matrix
from ua3dtalk.rendering.follow import FARTHEST, JUMP, Follow, smooth_path
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")


def poses_of(stances: Follow, count: int) -> np.ndarray:
    return np.stack([stances(frame).camera.viewmat.numpy() for frame in range(count)])


def test_the_cheapest_path_is_found() -> None:
    rng = np.random.default_rng(0)
    poses, wanted, torsos = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(4, 2))
    looks = np.concatenate([poses, torsos], 1)

    def cost(path: tuple[int, ...]) -> float:
        near = sum(np.linalg.norm(poses[i] - want) for i, want in zip(path, wanted, strict=True))
        steps = sum(np.linalg.norm(looks[a] - looks[b]) for a, b in pairwise(path))
        return float(near + JUMP * steps)

    best = min(product(range(4), repeat=5), key=cost)
    assert tuple(smooth_path(poses, wanted, torsos)) == best


def test_an_actor_who_follows_itself_moves_as_it_did(tiny_subject: Subject) -> None:
    actor = Subject(tiny_subject.root)
    turns, shifts = (smooth(np.random.default_rng(k), actor.frame_count, 3, 12.0) for k in (1, 2))
    poses = rigid(rotation_matrix(0.1 * turns), np.array([0, 0, 0.6]) + 0.01 * shifts)
    actor.__dict__["tracking"] = replace(tiny_subject.tracking, world_to_camera=poses)
    train = actor.train_frames
    seen = np.isin(np.arange(actor.frame_count), train)
    actor.__dict__["landmarks"] = replace(tiny_subject.landmarks, valid=seen)  # its usual pose is of these
    found = poses_of(Follow(actor, actor, CPU), len(train))
    off = rotation_angle(poses[train, :3, :3], found[:, :3, :3])
    assert np.median(off) < 1 and off.max() < 4, "degrees"
    assert np.corrcoef(poses[train, 0, 3], found[:, 0, 3])[0, 1] > 0.95


def test_a_wild_guest_does_not_tear_the_neck(tiny_subject: Subject) -> None:
    guest = Subject(tiny_subject.root)
    wild = tiny_subject.tracking.world_to_camera.copy()
    wild[:, :3, 3] += np.random.default_rng(0).normal(size=(len(wild), 3))
    guest.__dict__["tracking"] = replace(tiny_subject.tracking, world_to_camera=wild)
    found = poses_of(Follow(tiny_subject, guest, CPU), tiny_subject.frame_count)
    own = tiny_subject.tracking.world_to_camera[tiny_subject.train_frames]
    nearest = np.abs(found[:, None, :3, 3] - own[None, :, :3, 3]).max(-1).min(1)
    assert 0.001 < nearest.max() <= FARTHEST[3] + 1e-6


def test_the_clip_goes_to_and_fro(tiny_subject: Subject) -> None:
    stances, count = Follow(tiny_subject, tiny_subject, CPU), tiny_subject.frame_count
    last, after, first = stances(count - 1), stances(count), stances(2 * count)
    assert torch.equal(last.camera.viewmat, after.camera.viewmat)
    assert torch.equal(first.camera.viewmat, stances(0).camera.viewmat)
    assert first.background.shape == tiny_subject.plate.shape


def test_nothing_held_out_is_seen(tiny_subject: Subject, tmp_path: Path) -> None:
    guest, spoilt = Subject(tiny_subject.root), corrupted(tiny_subject, tmp_path)
    for frame in (0, 30, tiny_subject.frame_count - 1):
        one, other = Follow(tiny_subject, guest, CPU)(frame), Follow(spoilt, guest, CPU)(frame)
        assert torch.equal(one.camera.viewmat, other.camera.viewmat)
        assert torch.equal(one.background, other.background)
