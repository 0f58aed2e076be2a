"""Settings under which a branch trains in a second, and heads for tests that only render."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ua3dtalk.field.branch import BranchShape
from ua3dtalk.field.conditioners import LipReader
from ua3dtalk.field.uncertain import Decoder, UncertainShape
from ua3dtalk.rendering.head import BranchNet, Head, TrainedBranch
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.subject import Subject
from ua3dtalk.training.initial import face_points, mouth_points
from ua3dtalk.training.landmark_motion import fit_landmark_motion
from ua3dtalk.training.settings import AudioSettings, BranchTraining, DensifySettings, FuseTraining, TrainingSettings

LIPS, RADIUS = 3, 1


def tiny_settings(**changed: Any) -> TrainingSettings:
    """Everything that a long run does, within 40 iterations: warm-up, growth, poses, hair, freezing."""
    branch: dict[str, Any] = {
        "iterations": 40,
        "warmup": 10,
        "initial_gaussians": 150,
        "densify": DensifySettings(start=6, stop=30, interval=8, gradient_threshold=1e-5, max_gaussians=300),
        "halve_until": 30,
        "curriculum_until": 30,
        "curriculum_interval": 3,
        "hair_interval": 2,
        "hair_until": 35,
        "pose_rate": 1e-4,
    }
    given = {
        "audio": AudioSettings(mouth_coefficients=LIPS, radius=RADIUS),
        "face": BranchTraining(**branch),
        "mouth": BranchTraining(**branch, freeze_from=36),
        "fuse": FuseTraining(iterations=30, perceptual_from=None),
        "sh_degree": 1,
        "plane_sides": (5, 8),
        "plane_channels": 2,
        "hidden": 16,
        "perceptual": "none",
    }
    return TrainingSettings(**{**given, **changed})


def tiny_head(
    subject: Subject, seed: int = 0, free_code: int = 0, motion: float = 0.5, uncertain: bool = False
) -> Head:
    """A head that nobody trained, but one that moves: decoders and reader hold random numbers;
    with beliefs, if asked for."""
    torch.manual_seed(seed)
    width = subject.speech.features.shape[1]
    shapes: dict[str, BranchShape | UncertainShape] = {
        "face": BranchShape(plane_sides=(5, 8), plane_channels=2, audio_code=LIPS + free_code, hidden=16),
        "mouth": BranchShape(("audio",), ("position",), (5, 8), 2, audio_code=LIPS + free_code, hidden=16),
    }
    if uncertain:
        kept = {"plane_sides": (5, 8), "plane_channels": 2, "audio_code": LIPS, "hidden": 16, "members": 3, "state": 6}
        shapes = {
            "face": UncertainShape(
                ("audio", "emotion"), True, anchors=40, emotion_sides=(4, 6), emotion_channels=3, **kept
            ),
            "mouth": UncertainShape(("audio",), False, ("position",), anchors=20, **kept),
        }
    branches = []
    for name, points in (("face", face_points(subject, 400, seed)), ("mouth", mouth_points(subject, 60, seed))):
        net = BranchNet(shapes[name], width, free_code)
        decoder = net.field.decoder
        for parameter in (decoder.out if isinstance(decoder, Decoder) else decoder[-1]).parameters():
            torch.nn.init.normal_(parameter, std=motion)
        cloud = Cloud.from_points(*points, sh_degree=1, opacity=0.8)
        if net.uncertain is not None:
            net.uncertain.place(cloud.means)
        net.attach(cloud.means)
        branches.append(TrainedBranch(cloud, net))
    reader = LipReader((2 * RADIUS + 1) * (2 * width + 4 * 80), 4, 6, LIPS, RADIUS)
    for buffer in (reader.projection, reader.supports, reader.weights):
        torch.nn.init.normal_(buffer, std=0.1 if buffer is reader.projection else 1.0)
    reader.spread.fill_(20.0)
    return Head(branches[0], branches[1], reader, 1)


def with_motion(subject: Subject, head: Head) -> Head:
    """The head with a face that begins with the motion of landmarks."""
    head.face.net.motion = fit_landmark_motion(subject, np.zeros((subject.frame_count, head.lip_count)))
    head.face.net.attach(head.face.cloud.means)
    return head
