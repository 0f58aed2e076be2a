"""The stages of training as the rules call them: listen, mouth, face, fuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ua3dtalk.device import choose_device
from ua3dtalk.field.branch import BranchShape, Edit
from ua3dtalk.field.uncertain import UncertainShape
from ua3dtalk.perceptual import PerceptualDistance, load_perceptual
from ua3dtalk.rendering.controls import ControlTrack, heard
from ua3dtalk.rendering.head import BranchNet, Head, TrainedBranch, load_branch, save_branch, save_head
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.subject import Subject
from ua3dtalk.training.branch import BranchTrainer, Example
from ua3dtalk.training.checkpoint import Checkpoint
from ua3dtalk.training.curriculum import Curriculum, curriculum_of, face_frame, mouth_frame
from ua3dtalk.training.doubt import DoubtTrainer
from ua3dtalk.training.examples import face_example, mouth_example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.fuse import FuseTrainer
from ua3dtalk.training.initial import face_points, mouth_points
from ua3dtalk.training.landmark_motion import fit_landmark_motion
from ua3dtalk.training.listening import Listening, fit_listening, load_listening, save_listening
from ua3dtalk.training.picture import Curve, branch_picture, fuse_picture, listening_picture
from ua3dtalk.training.poses import PoseCorrections
from ua3dtalk.training.settings import BranchTraining, TrainingSettings
from ua3dtalk.workflow import progress

Name = Literal["face", "mouth"]


def train_audio(*, subject: Subject, out: Path, picture: Path, settings: TrainingSettings, state: str) -> None:
    """Fit the reader of lip shapes (`ua3dtalk.training.listening`); the mouth and the face branch both use it."""
    listening = fit_listening(subject, settings.audio)
    save_listening(listening, out, state)
    listening_picture(subject, listening, picture)


@dataclass(frozen=True)
class BranchKind:
    """What differs between the two branches."""

    shape: Callable[[TrainingSettings], BranchShape | UncertainShape]
    points: Callable[[Subject, int, int], tuple[np.ndarray, np.ndarray]]
    frame: Callable[[Curriculum, int, BranchTraining, np.random.Generator], int]
    example: Callable[[Frames, int, int, BranchTraining], Example]
    landmarks: bool  # whether they lie on it


def face_shape(settings: TrainingSettings) -> BranchShape | UncertainShape:
    """The net of the face: all views, all edits."""
    return _shape(settings, settings.views, ("position", "rotation", "scale"), "anchors")


def mouth_shape(settings: TrainingSettings) -> BranchShape | UncertainShape:
    """The net of the mouth: the views that come from speech, position only."""
    views = tuple(view for view in settings.views if view not in ("action_units", "emotion"))
    return _shape(settings, views, ("position",), "mouth_anchors")


def _shape(
    settings: TrainingSettings, views: tuple[str, ...], edits: tuple[Edit, ...], anchors: str
) -> BranchShape | UncertainShape:
    common: dict[str, Any] = {
        "edits": edits,
        "plane_sides": settings.plane_sides,
        "plane_channels": settings.plane_channels,
        "combine": settings.plane_combine,
        "audio_code": settings.audio.mouth_coefficients + settings.audio.free_code,
        "hidden": settings.hidden,
    }
    beliefs = settings.beliefs
    if beliefs is None:
        return BranchShape(views=views, **common)  # type: ignore[arg-type]
    return UncertainShape(
        views=tuple(view for view in views if view != "action_units"),  # type: ignore[misc]
        action_units="action_units" in views,
        members=beliefs.members,
        state=beliefs.state,
        learned_variance=beliefs.learned_variance,
        anchors=getattr(beliefs, anchors),
        neighbours=beliefs.neighbours,
        emotion_sides=beliefs.emotion_sides,
        emotion_channels=beliefs.emotion_channels,
        released_memory=beliefs.released_memory,
        **common,
    )


KINDS: dict[Name, BranchKind] = {
    "face": BranchKind(face_shape, face_points, face_frame, face_example, True),
    "mouth": BranchKind(mouth_shape, mouth_points, mouth_frame, mouth_example, False),
}


def train_branch(
    *,
    subject: Subject,
    branch: Name,
    audio: Path,
    perceptual: Path | None,
    out: Path,
    picture: Path,
    losses: Path,
    settings: TrainingSettings,
    seed: int,
    state: str,
    checkpoint: Path,
) -> None:
    """Train one branch from the actor's bundle; a killed run goes on from its checkpoint with the same result.

    Args:
        losses: json of the training curve.
    """
    own = settings.face if branch == "face" else settings.mouth
    kind, device = KINDS[branch], choose_device(settings.device)
    trainer = _start(
        subject, branch, load_listening(audio), settings, _network(settings, perceptual, device), seed, device
    )
    frames, curriculum = Frames(subject, device), curriculum_of(subject)
    saved, curve = Checkpoint(checkpoint, state, settings.checkpoint_seconds), Curve()
    content = saved.load()
    if content is not None:
        trainer.load_state_dict(content)
        curve = Curve.from_list(content["curve"])
    for iteration in progress(range(trainer.iteration, own.iterations), f"train {branch}"):
        # Every step's choice depends on the seed and its number alone, so a run that goes on draws the same frames.
        rng = np.random.default_rng((seed, iteration))
        frame = kind.frame(curriculum, iteration, own, rng)
        curve.add(trainer.step(kind.example(frames, frame, iteration, own)), len(trainer.cloud))
        if saved.due():
            saved.save({**trainer.state_dict(), "curve": curve.to_list()})
    trained = TrainedBranch(trainer.cloud, trainer.net)
    save_branch(trained, out, state)
    curve.write(losses, state)
    branch_picture(frames, trainer, kind.example, own, curve, picture)


def train_fuse(
    *,
    subject: Subject,
    audio: Path,
    face: Path,
    mouth: Path,
    perceptual: Path | None,
    out: Path,
    picture: Path,
    losses: Path,
    settings: TrainingSettings,
    seed: int,
    state: str,
    checkpoint: Path,
) -> None:
    """Join the branches into one head and write it."""
    device = choose_device(settings.device)
    listening = load_listening(audio)
    head = Head(load_branch(face), load_branch(mouth), listening.reader, settings.sh_degree).to(device)
    controls = _controls(subject, listening, settings, seed, device)
    trainer = FuseTrainer(
        head, controls, Frames(subject, device), settings, _network(settings, perceptual, device), seed
    )
    saved, curve = Checkpoint(checkpoint, state, settings.checkpoint_seconds), Curve()
    content = saved.load()
    if content is not None:
        trainer.load_state_dict(content)
        curve = Curve.from_list(content["curve"])
    train = curriculum_of(subject)
    for iteration in progress(range(trainer.iteration, settings.fuse.iterations), "train fuse"):
        curve.add(trainer.step(train.any(np.random.default_rng((seed, iteration)))))
        if saved.due():
            saved.save({**trainer.state_dict(), "curve": curve.to_list()})
    if head.uncertain and settings.beliefs is not None and settings.beliefs.doubt_weight > 0:
        doubt = _doubt_trainer(subject, trainer, settings, device)
        if content is not None and "doubt" in content:
            doubt.load_state_dict(content["doubt"])
        for iteration in progress(range(doubt.iteration, settings.fuse.doubt_iterations), "train doubt"):
            doubt.step(train.any(np.random.default_rng((seed, iteration, 3))))
            if saved.due():
                saved.save({**trainer.state_dict(), "curve": curve.to_list(), "doubt": doubt.state_dict()})
        head = doubt.head
    save_head(head, out, state)
    curve.write(losses, state)
    fuse_picture(subject, trainer, curve, picture)


def _doubt_trainer(
    subject: Subject, trainer: FuseTrainer, settings: TrainingSettings, device: torch.device
) -> DoubtTrainer:
    """Fits what the beliefs' variance means in pixels, on training frames driven as new speech would drive them."""
    head = trainer.head
    track = heard(subject, head.reader, settings.views, subject.expression.action_units)
    controls = ControlTrack(subject, track, settings.audio.free_code > 0, device)
    return DoubtTrainer(head, controls, trainer.frames, settings)


def _controls(
    subject: Subject, listening: Listening, settings: TrainingSettings, seed: int, device: torch.device
) -> ControlTrack:
    """What drives the training frames: their true lip shapes, a little shaken, their action units, and what is heard.

    The picture learns from the mouth that it shows; what speech does not tell of it is the reader's to answer for. The
    other views hear what they will hear in use: priors of a training frame come from models that did not see it.
    """
    noise = np.random.default_rng(seed).standard_normal(listening.teacher.shape)
    lips = listening.teacher + settings.audio.teacher_noise * noise
    track = heard(subject, listening.reader, settings.views, subject.expression.action_units)
    return ControlTrack(subject, replace(track, lips=lips, novelty=None), settings.audio.free_code > 0, device)


def _start(
    subject: Subject,
    branch: Name,
    listening: Listening,
    settings: TrainingSettings,
    perceptual: PerceptualDistance | None,
    seed: int,
    device: torch.device,
) -> BranchTrainer:
    """A branch before its first step."""
    own, kind = settings.face if branch == "face" else settings.mouth, KINDS[branch]
    torch.manual_seed(seed)
    points, colours = kind.points(subject, own.initial_gaussians, seed)
    cloud = Cloud.from_points(points, colours, settings.sh_degree).to(device).requires_grad_()
    motion = fit_landmark_motion(subject, listening.teacher) if kind.landmarks and settings.landmark_motion else None
    token_width = subject.speech.features.shape[1]
    net = BranchNet(kind.shape(settings), token_width, settings.audio.free_code, motion).to(device)
    if net.uncertain is not None:
        net.uncertain.place(cloud.means)
    controls = _controls(subject, listening, settings, seed, device)
    if net.encoder is not None:
        _normalise(net, subject)
    poses = PoseCorrections(subject.frame_count, own.pose_rate, device) if own.pose_rate else None
    return BranchTrainer(cloud, net, controls, settings, own, scene_extent(subject), poses, perceptual, seed)


def _network(settings: TrainingSettings, weights: Path | None, device: torch.device) -> PerceptualDistance | None:
    """The network of the perceptual loss, if the settings have one."""
    if settings.perceptual == "none" or weights is None:
        return None
    return load_perceptual(settings.perceptual, weights, device)


def _normalise(net: BranchNet, subject: Subject) -> None:
    """Give the encoder the mean and deviation of the training tokens."""
    assert net.encoder is not None
    tokens = subject.speech.features.reshape(subject.frame_count, 2, -1)[subject.train_frames].astype(np.float32)
    net.encoder.mean.copy_(torch.from_numpy(tokens.mean((0, 1))))
    net.encoder.deviation.copy_(torch.from_numpy(tokens.std((0, 1)) + 1e-6))


def scene_extent(subject: Subject) -> float:
    """1.1 times the largest distance of a training camera from their mean, m (3D Gaussian splatting).

    A head that keeps still would give nearly nothing; a tenth of its own size is the least.
    """
    poses = subject.tracking.world_to_camera[subject.train_frames]
    centres = -np.einsum("tji,tj->ti", poses[:, :3, :3], poses[:, :3, 3])
    return max(1.1 * float(np.linalg.norm(centres - centres.mean(0), axis=1).max()), 0.1)
