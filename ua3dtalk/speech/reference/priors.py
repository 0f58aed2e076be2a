"""The published priors, from their authors' nets: f_exp, f_tone, f_prior and the expression that they stand for.

Lip expert: Wav2Lip makes the speaking face, Deep3DFaceRecon reads its expression. Style: NeRF-3DTalker's bi-LSTM over
mel. Its FuseNet mixes both. As published, the lip expert sees the upper half of the real frame, and the clip's first
frame whole. It does not see the frame's mouth, not even by way of the crop: crop and alignment follow the tracked head
at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ua3dtalk.device import choose_device
from ua3dtalk.errors import DataError
from ua3dtalk.face.deep3d import ReconNet, expressions, load_deep3d
from ua3dtalk.face.geometry import project
from ua3dtalk.face.points68 import five_points, to_68
from ua3dtalk.speech.clips import clip_samples
from ua3dtalk.speech.reference.audio2style import (
    FuseNet,
    holds_fuse_net,
    load_audio2style,
    load_fuse_net,
    train_fuse_net,
    voice_style,
)
from ua3dtalk.speech.reference.wav2lip import (
    CHUNK,
    SIDE,
    Wav2Lip,
    load_wav2lip,
    mel_chunks,
    speaking_faces,
    wav2lip_mel,
)
from ua3dtalk.subject import Clip, Subject
from ua3dtalk.workflow import progress, say

BELOW_CHIN = 0.08  # of the face's height: the published 10 px of padding, and room for a jaw that opens
MESH_POINTS = 468  # of the 478, without the irises
FOLDS = 5
GAP = 12  # frames on either side of a block that its mixer does not see either: lips are alike over half a second


class ReferencePriors(NamedTuple):
    """Rows are frames, float32 [T, 64] each, in the space of Deep3DFaceRecon's expression.

    Attributes:
        lip_expression: f_exp, of the lip expert's face.
        voice_style: f_tone.
        mixed: f_prior; where the mixer is trained here, training frames are read by one that did not see their block.
        expression: of the real frames, the mixer's target.
    """

    lip_expression: np.ndarray
    voice_style: np.ndarray
    mixed: np.ndarray
    expression: np.ndarray


def reference_priors(
    subject: Subject,
    wav2lip: Path | str,
    audio2style: Path | str,
    fuse_net: Path | str | None,
    deep3d: Path | str,
    *,
    seed: int = 0,
    device: str = "auto",
) -> ReferencePriors:
    """The priors of every frame of an actor.

    Args:
        subject: reads clips.json, video.npy, audio.wav and tracking.npz.
        wav2lip, audio2style, deep3d: the authors' checkpoints.
        fuse_net: the mixer's; without it the one in audio2style's file, and failing that one trained on the actor's
            training frames.
    Errors: AssetError, one line, for a file that is missing or belongs to another net.
    """
    where = choose_device(device)
    generator, style = load_wav2lip(wav2lip).to(where), load_audio2style(audio2style).to(where)
    recon = load_deep3d(deep3d).to(where)
    mixer_file = fuse_net or (audio2style if holds_fuse_net(audio2style) else None)
    mixer = load_fuse_net(mixer_file) if mixer_file else None

    at_rest = project(subject.tracking.neutral[:MESH_POINTS], subject.tracking.world_to_camera, subject.tracking.K)
    points = five_points(to_68(at_rest))
    samples = subject.audio()
    lips, tones = [], []
    for clip in subject.clips:
        mel = wav2lip_mel(clip_samples(samples, clip))
        if len(mel) < CHUNK:
            raise DataError(f"{clip.path} is shorter than the 0.2 s that the lip expert hears: use a longer clip")
        lips.append(_lip_expression(subject, clip, mel, at_rest, points, generator, recon))
        tones.append(voice_style(style, mel_chunks(mel, np.arange(clip.length))))
    lip_expression, tone = np.concatenate(lips), np.concatenate(tones)
    expression = expressions(recon, progress(subject.video, "expression of the real frames"), points)
    if mixer is None:
        say("no FuseNet given: one is trained on the training frames")
        mixed = _mixed_by_blocks(tone, lip_expression, expression, subject.train_frames, seed)
    else:
        mixed = _mix(mixer, tone, lip_expression)
    return ReferencePriors(lip_expression, tone, mixed, expression)


def face_boxes(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where the lip expert's face lies: int [n, 4] left, top, right, bottom px inside the picture.

    Args:
        points: [n, P, 2] px of the head at rest.
    """
    low, high = points.min(axis=1), points.max(axis=1)
    high[:, 1] += BELOW_CHIN * (high[:, 1] - low[:, 1])
    boxes = np.rint(np.concatenate([low, high], axis=1)).astype(int)
    boxes = np.clip(boxes, 0, [width, height, width, height])
    if (boxes[:, 2:] - boxes[:, :2] < 2).any():
        raise DataError("the tracked head lies outside the picture in some frame: look at pictures/tracking.png")
    return boxes


def _lip_expression(
    subject: Subject,
    clip: Clip,
    mel: np.ndarray,
    at_rest: np.ndarray,
    points: np.ndarray,
    generator: Wav2Lip,
    recon: ReconNet,
) -> np.ndarray:
    """f_exp of one clip: float32 [n, 64]."""
    frames = range(clip.first, clip.end)
    boxes = face_boxes(at_rest[clip.first : clip.end], *subject.video.shape[1:3])
    faces = np.stack(
        [
            cv2.resize(subject.video[i][y0:y1, x0:x1], (SIDE, SIDE))
            for i, (x0, y0, x1, y1) in zip(frames, boxes, strict=True)
        ]
    )
    spoken = speaking_faces(generator, faces, mel)
    pasted = _pasted(subject.video, frames, boxes, spoken)
    total = clip.length
    return expressions(recon, progress(pasted, f"lip expert {clip.path}", total), points[clip.first : clip.end])


def _pasted(video: np.ndarray, frames: range, boxes: np.ndarray, faces: np.ndarray) -> Iterator[np.ndarray]:
    """The frames with the lip expert's faces in their place."""
    for i, (x0, y0, x1, y1), face in zip(frames, boxes, faces, strict=True):
        frame = np.array(video[i])
        frame[y0:y1, x0:x1] = cv2.resize(face, (int(x1 - x0), int(y1 - y0)))
        yield frame


def _mix(mixer: FuseNet, tone: np.ndarray, lip_expression: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        mixed: np.ndarray = mixer(torch.from_numpy(tone), torch.from_numpy(lip_expression)).numpy()
    return mixed


def _mixed_by_blocks(
    tone: np.ndarray, lip_expression: np.ndarray, target: np.ndarray, train: np.ndarray, seed: int
) -> np.ndarray:
    """f_prior of a mixer trained here: no frame is read by a mixer that saw its target."""
    mixed = _mix(train_fuse_net(tone[train], lip_expression[train], target[train], seed), tone, lip_expression)
    for block in np.array_split(train, min(FOLDS, len(train) // 2)):
        others = train[(train < block[0] - GAP) | (train > block[-1] + GAP)]
        if not len(others):  # a clip of seconds
            others = np.setdiff1d(train, block)
        net = train_fuse_net(tone[others], lip_expression[others], target[others], seed)
        mixed[block] = _mix(net, tone[block], lip_expression[block])
    return mixed
