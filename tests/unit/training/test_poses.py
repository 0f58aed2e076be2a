"""Corrections of the cameras."""

from __future__ import annotations

import numpy as np
import torch

from ua3dtalk.face.geometry import rigid, rotation_matrix
from ua3dtalk.rendering.compose import draw
from ua3dtalk.splat.camera import Camera
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.training.poses import PoseCorrections, corrected

RNG = np.random.default_rng(0)
POSE = torch.from_numpy(rigid(rotation_matrix(np.array([0.2, -0.1, 0.05])), np.array([0.01, 0.02, 0.6])))
K = torch.tensor([[60.0, 0, 16], [0, 60, 12], [0, 0, 1]])


def test_no_correction_is_the_camera_itself() -> None:
    torch.testing.assert_close(corrected(POSE, torch.zeros(6, dtype=torch.float64)), POSE)


def test_a_correction_is_a_rigid_motion_of_the_head() -> None:
    for _ in range(10):
        vector = RNG.normal(0, 0.3, 6)
        wanted = POSE.numpy() @ rigid(rotation_matrix(vector[:3]), vector[3:])
        found = corrected(POSE, torch.from_numpy(vector))
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)


def test_gradient_of_the_picture_is_that_of_finite_differences() -> None:
    points = RNG.uniform(-0.05, 0.05, (30, 3))
    cloud = Cloud.from_points(points, RNG.uniform(0, 1, (30, 3)), 0, opacity=0.5)
    weights = torch.from_numpy(RNG.standard_normal((24, 32, 3)))
    cloud = Cloud(**{key: value.double() for key, value in cloud.tensors().items()})

    def loss(vector: torch.Tensor) -> torch.Tensor:
        camera = Camera(corrected(POSE, vector), K.double(), 32, 24)
        return (draw(cloud, None, camera, 0, "reference").colour * weights).sum()

    vector = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(vector), vector)
    step = 1e-7
    with torch.no_grad():
        wanted = [float(loss(step * axis) - loss(-step * axis)) / (2 * step) for axis in torch.eye(6).double()]
    np.testing.assert_allclose(gradient, wanted, rtol=2e-3, atol=1e-3 * np.abs(wanted).max())


def test_only_the_frame_that_was_shown_moves_and_towards_less_loss() -> None:
    poses = PoseCorrections(5, 1e-3, torch.device("cpu"))
    camera = Camera(POSE.float(), K, 32, 24)
    for _ in range(3):
        (poses.correct(camera, 2).viewmat[0, 3] * 7).backward()
        poses.step()
    moved = poses.corrections.detach().abs().sum(1)
    assert moved[2] > 0 and not moved[[0, 1, 3, 4]].any()
    assert corrected(POSE.float(), poses.corrections[2])[0, 3] < POSE[0, 3]


def test_a_step_without_a_gradient_does_nothing() -> None:
    poses = PoseCorrections(2, 1e-3, torch.device("cpu"))
    poses.step()
    poses.correct(Camera(POSE.float(), K, 32, 24), 1)
    poses.step()
    assert not poses.corrections.any()
