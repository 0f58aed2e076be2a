"""How each control moves the actor's landmarks: a ridge regression on the training frames."""

from __future__ import annotations

import numpy as np
import torch

from ua3dtalk.face.geometry import project
from ua3dtalk.field.landmark_motion import LandmarkMotion
from ua3dtalk.rendering.controls import action_unit_input
from ua3dtalk.subject import Subject

PENALTY = (
    0.02  # of a control's variance; what pictures hardly show, motion in depth of a head seen from the front, is 0
)


def landmark_offsets(subject: Subject, frames: np.ndarray) -> np.ndarray:
    """How landmarks stand off from the neutral head, in the image's plane: [n, 478, 2] m along the camera's axes.

    Args: frames [n] in which a face is seen.
    """
    tracking = subject.tracking
    poses, K = tracking.world_to_camera[frames], tracking.K[frames]
    seen = project(tracking.neutral[None], poses, K)
    depth = np.einsum("lk,tk->tl", tracking.neutral, poses[:, 2, :3]) + poses[:, 2, 3, None]
    return (subject.landmarks.points[frames, :, :2] - seen) * depth[..., None] / K[:, None, [0, 1], [0, 1]]


def fit_landmark_motion(subject: Subject, lips: np.ndarray) -> LandmarkMotion:
    """Fit the motion on the training frames.

    Args: lips [T, K]: the true lip shapes, which are the first controls; action units follow.
    """
    frames = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    controls = np.concatenate([lips, action_unit_input(subject.expression.action_units)], 1)[frames].astype(float)
    axes = subject.tracking.world_to_camera[frames, :2, :3]
    offsets = landmark_offsets(subject, frames)
    # What is usual is where the Gaussians begin. The neutral head is off from it by the same in all frames.
    usual = np.median(controls, 0)
    at_rest = np.median(np.einsum("tli,tij->tlj", offsets, axes), 0)
    offsets = offsets - np.einsum("lj,tij->tli", at_rest, axes)
    scale = controls.std(0) + 1e-6
    inputs = (controls - usual) / scale
    # Unknowns are three numbers per control, the same equations for all landmarks: offset_t = axes_t sum_c x_tc d_c.
    design = np.einsum("tc,tij->tcij", inputs, axes).transpose(0, 2, 1, 3).reshape(-1, 3 * inputs.shape[1])
    targets = offsets.transpose(0, 2, 1).reshape(len(design), -1)
    normal = design.T @ design + PENALTY * len(frames) * np.eye(design.shape[1])
    directions = np.linalg.solve(normal, design.T @ targets).reshape(inputs.shape[1], 3, -1) / scale[:, None, None]
    motion = LandmarkMotion(offsets.shape[1], inputs.shape[1])
    motion.places.copy_(torch.from_numpy(subject.tracking.neutral))
    motion.usual.copy_(torch.from_numpy(usual))
    motion.directions.copy_(torch.from_numpy(directions.transpose(0, 2, 1)))
    return motion
