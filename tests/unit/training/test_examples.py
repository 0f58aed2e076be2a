"""What a step is shown: windows, targets and what counts in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ua3dtalk.face.lips import OUTER_LIPS
from ua3dtalk.rendering.compose import Layer
from ua3dtalk.splat.camera import Window
from ua3dtalk.subject import HEAD_REGIONS, Region, Subject
from ua3dtalk.training.examples import face_example, ground, mouth_example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.initial import face_points, lift, mouth_points
from ua3dtalk.training.settings import BranchTraining

OWN = BranchTraining(iterations=100, warmup=10, hair_interval=4, hair_until=80, freeze_from=90, silhouette_weight=1.0)
FRAME = 20


@pytest.fixture(scope="module")
def frames(tiny_subject: Subject) -> Frames:
    return Frames(tiny_subject, torch.device("cpu"))


def test_window_of_a_camera_sees_the_same_rays(frames: Frames) -> None:
    camera, window = frames.camera(0), Window(10, 20, 30, 25)
    part = camera.window(window)
    point = torch.tensor([0.01, -0.02, 0.5])
    whole, cut = (c.K @ point / point[2] for c in (camera, part))
    torch.testing.assert_close(whole - cut, torch.tensor([10.0, 20, 0]))
    assert (part.width, part.height) == (30, 25)
    assert np.zeros((64, 64))[window.rows, window.columns].shape == (25, 30)


def test_head_window_holds_the_head_and_no_more_than_its_margin(frames: Frames) -> None:
    for frame in (0, FRAME, 39):
        window = frames.head_window(frame, 3)
        head = np.isin(frames.subject.regions[frame], [*HEAD_REGIONS, Region.MOUTH])
        assert head[window.rows, window.columns].sum() == head.sum()
        rows, columns = np.nonzero(head)
        assert window.top == max(rows.min() - 3, 0) and window.left == max(columns.min() - 3, 0)


def test_lips_window_is_a_square_around_the_lips(frames: Frames) -> None:
    window = frames.lips_window(FRAME, 2)
    lips = frames.subject.landmarks.points[FRAME, list(OUTER_LIPS), :2]
    assert (lips.min(0) >= [window.left, window.top]).all()
    assert (lips.max(0) <= [window.left + window.width, window.top + window.height]).all()
    assert abs(window.width - window.height) <= 1


@pytest.mark.parametrize("shift", [(-500, 0), (500, 0), (0, 500), (0, -500), (900, 900)])
def test_lips_beside_the_picture_still_give_a_window_in_it(tiny_subject: Subject, shift: tuple[int, int]) -> None:
    subject = Subject(tiny_subject.root)
    subject.landmarks.points[FRAME, :, :2] += shift
    beside = Frames(subject, torch.device("cpu"))
    window = beside.lips_window(FRAME, 2)
    assert window.width >= 1 and window.height >= 1
    assert 0 <= window.left < beside.width and window.left + window.width <= beside.width
    assert mouth_example(beside, FRAME, 0, OWN).target.numel() > 0


def test_a_frame_without_a_head_is_shown_whole(tiny_subject: Subject) -> None:
    subject = Subject(tiny_subject.root)
    subject.__dict__["regions"] = np.zeros_like(subject.regions)
    assert Frames(subject, torch.device("cpu")).head_window(0, 5) == Window(0, 0, 64, 64)


def test_face_target_is_the_head_with_a_hole_for_the_mouth(frames: Frames) -> None:
    example = face_example(frames, FRAME, 0, OWN)
    window = frames.head_window(FRAME, 6)
    regions = frames.regions(FRAME, window)
    empty = (example.target == example.background).all(2)
    for region in (Region.MOUTH, Region.BACKGROUND, Region.CLOTH):
        assert (regions == int(region)).any() and empty[regions == int(region)].all()
    for region in (Region.SKIN, Region.LIPS, Region.HAIR):
        assert not empty[regions == int(region)].any()
    torch.testing.assert_close(example.target[~empty], frames.picture(FRAME, window)[~empty])


def test_the_ground_changes_from_step_to_step_and_is_the_same_again() -> None:
    colours = torch.stack([ground(iteration) for iteration in range(2000)])
    assert ((colours >= 0) & (colours <= 1)).all() and len(colours.unique(dim=0)) == 2000
    torch.testing.assert_close(colours.mean(0), torch.full((3,), 0.5), atol=0.03, rtol=0)
    assert torch.equal(ground(7), colours[7])


def test_hair_counts_in_warm_up_at_the_end_and_every_so_often(frames: Frames) -> None:
    counts = [it for it in range(100) if face_example(frames, FRAME, it, OWN).ignore is None]
    assert counts == [*range(11), *range(12, 80, 4), *range(80, 100)]
    example = face_example(frames, FRAME, 13, OWN)
    assert example.ignore is not None
    hair = frames.regions(FRAME, frames.head_window(FRAME, 6)) == int(Region.HAIR)
    assert torch.equal(example.ignore, hair)
    assert (example.target[hair] == example.background).all()


def test_mouth_target_leaves_open_what_lips_hide(frames: Frames) -> None:
    example = mouth_example(frames, FRAME, 0, OWN)
    inside = ~(example.target == example.background).all(2)
    assert example.ignore is not None and inside.any() and not (inside & example.ignore).any()
    near = inside | example.ignore
    assert (~near).any(), "a frame around the lips' square must stay empty"
    alpha = torch.rand(*near.shape, 1)
    layer = Layer(torch.zeros(*near.shape, 3), alpha, {})
    wanted = torch.where(near[..., None], 1 - alpha, alpha).mean()
    torch.testing.assert_close(example.penalties(layer, None), wanted)


def test_mouth_ends_before_black(frames: Frames) -> None:
    assert mouth_example(frames, FRAME, 89, OWN).background.any()
    last = mouth_example(frames, FRAME, 90, OWN)
    assert not last.background.any() and last.ignore is not None and not last.target[last.ignore].any()


def test_lifted_pixels_project_back(tiny_subject: Subject) -> None:
    pixels = np.random.default_rng(0).uniform(5, 60, (50, 2))
    for behind in (0.0, 0.02):
        points = lift(tiny_subject, FRAME, pixels, np.full(50, behind))
        pose, K = tiny_subject.tracking.world_to_camera[FRAME], tiny_subject.tracking.K[FRAME]
        seen = (points @ pose[:3, :3].T + pose[:3, 3]) @ K.T
        np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], pixels, atol=1e-6)


def test_gaussians_start_on_the_face_with_its_colours(tiny_subject: Subject) -> None:
    points, colours = face_points(tiny_subject, 300, 0)
    assert points.shape == colours.shape == (300, 3)
    assert np.abs(points).max() < 0.2 and colours.min() >= 0 and colours.max() <= 1
    again, _ = face_points(tiny_subject, 300, 0)
    assert np.array_equal(points, again)
    assert not np.array_equal(points, face_points(tiny_subject, 300, 1)[0])


def test_a_mouth_that_never_opens_starts_dark_behind_the_lips(tiny_subject: Subject, tmp_path: Path) -> None:
    subject = Subject(tiny_subject.root)
    closed = np.where(subject.regions == int(Region.MOUTH), np.uint8(Region.LIPS), subject.regions)
    subject.__dict__["regions"] = closed
    points, colours = mouth_points(subject, 40, 0)
    lips = subject.tracking.neutral[[13, 14]].mean(0)
    assert points.shape == (40, 3) and (colours < 0.3).all()
    assert np.linalg.norm(points - lips, axis=1).max() < 0.06
