"""Head tracking: one focal length, one neutral shape, a pose and an expression per frame.

1. Keyframes of the training part, chosen to differ in pose and expression, calibrate focal length and neutral
   shape (`headfit.calibrate`). The neutral shape leans on mediapipe's canonical face, which also gives the metre.
2. Every frame gets pose and expression with these held fixed (`headfit.fit_frames`).
3. The poses are smoothed without lag inside each clip (`smoothing`), as strongly as the data ask for.
4. The expression is fitted once more under the smooth pose.

Held-out frames only take part in 2 to 4, and have no say in the strength of the smoothing; near the border between
training and test the smoothing itself reaches across, a few frames far.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import InputError
from ua3dtalk.face import headfit
from ua3dtalk.face.basis import EYE_CORNERS, IRISES, RIGID, Basis, expression_basis, landmark_errors
from ua3dtalk.face.geometry import rigid, rotation_matrix, rotation_vector
from ua3dtalk.face.headfit import Problem, State
from ua3dtalk.face.smoothing import best_strength, whittaker
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import Clip, Subject
from ua3dtalk.workflow import atomic

KEYFRAMES = 48
NOISE = 0.0085  # standard deviation of the best landmark, as a share of the face's width; their errors agree from
# frame to frame, so it is set far above the scatter within a clip
LEAST_NOISE = 0.0005  # m, added to the landmarks' measured errors
SHAPE_SPREAD = 0.009  # m, of a point of the neutral face about the canonical one
SHAPE_BEND = 0.0015  # m, of a point's departure against its neighbours'
SHAPE_FIELDS = 40  # smooth fields of departure, for each axis
SHAPE_DETAIL = 0.0015  # m, of a single point besides
WEIGHT_SPREAD = 0.35  # of an expression weight about the landmarker's score

# The prior of the focal length is the geometric mean of two habits: a head of canonical size is about 1 m away, and
# a talking-head lens is about 2.1 times as long as the picture is wide. It decides: the landmarker's own errors draw
# a free focal length to half of the true one on rendered heads, while the residual falls by less than a percent.
HEAD_DISTANCE = 1.0  # m
LENS_WIDTHS = 2.1  # focal length over the geometric mean of the source's sides
LENS_SPREAD = 0.25  # standard deviation of log focal length, as stated in the result
LENS_HOLD = 0.005  # the same in the fit: the data only move it slightly

FACE_SIDES = (234, 454)


def track_head(*, subject: Subject, out: Path, picture: Path, settings: FaceSettings, state: str) -> None:
    """Track the head through all clips of an actor.

    Args:
        subject: reads clips.json and landmarks.npz.
        out: tracking.npz: K float64 [T, 3, 3] px (constant within a clip), world_to_camera float64 [T, 4, 4],
            neutral float64 [478, 3] m, residual float32 [T] px (RMS over the landmarks), expression float32 [T, 52]
            (fitted weights in 0..1), focal_spread (standard deviation of log focal length: the prior's), state.
        picture: reprojection on frames, angles and residual as curves.
    Errors: InputError when fewer than 10 training frames show a face.
    """
    from ua3dtalk.face.tracking_picture import draw_tracking

    result = track(subject)
    arrays: dict[str, Any] = {"state": np.array(state), **result}
    with atomic(out) as temporary:
        np.savez(temporary, **arrays)
    draw_tracking(subject, result, picture)


def track(subject: Subject) -> dict[str, np.ndarray]:
    """All arrays of tracking.npz."""
    basis = expression_basis()
    landmarks, clips = subject.landmarks, subject.clips
    size = subject.video.shape[1]
    train = np.zeros(subject.frame_count, bool)
    train[subject.train_frames] = True
    usable = np.flatnonzero(train & landmarks.valid)
    if len(usable) < 10:
        raise InputError(f"{subject.name}: only {len(usable)} training frames show a face; tracking needs 10 or more")

    problem = make_problem(basis, landmarks.points, landmarks.blendshapes, clips, size, usable)
    now = headfit.start(problem, depth_of(landmarks.points), np.array(RIGID), problem.log_focal[0])
    keys = keyframes(now, usable, KEYFRAMES)
    fitted, _ = headfit.calibrate(problem.frames(keys), now.frames(keys))
    fitted = headfit.add_detail(problem.frames(keys), fitted, SHAPE_DETAIL)
    fitted = headfit.regauge(fitted, basis.canonical, np.array(RIGID))
    now = replace(now, neutral=fitted.neutral, log_focal=fitted.log_focal)
    nearer = np.exp(fitted.log_focal - problem.log_focal[0])[problem.camera]  # a longer lens, a longer way
    now = replace(now, translation=now.translation * np.stack([np.ones_like(nearer), np.ones_like(nearer), nearer], 1))
    now = headfit.fit_frames(problem, now)
    now = smooth_poses(problem, now, landmarks.valid, clips)
    now = headfit.fit_frames(problem, now, iterations=4, pose=False)
    return as_arrays(problem, now, landmarks.valid)


def cameras_of(clips: tuple[Clip, ...], size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of each frame's camera [T], bundle px per source px [T], principal point [T, 2] in bundle px.

    Clips with equal source size share a camera. The principal point is the middle of the source picture, which the
    crop may have moved from the middle of the bundle's frames.
    """
    kinds = sorted({(clip.width, clip.height) for clip in clips})
    camera, zoom, centre = [], [], []
    for clip in clips:
        left, top, side = clip.crop
        scale = size / side
        camera += [kinds.index((clip.width, clip.height))] * clip.length
        zoom += [scale] * clip.length
        centre += [((clip.width / 2 - left) * scale, (clip.height / 2 - top) * scale)] * clip.length
    return np.array(camera), np.array(zoom), np.array(centre)


def make_problem(
    basis: Basis, points: np.ndarray, blendshapes: np.ndarray, clips: tuple[Clip, ...], size: int, usable: np.ndarray
) -> Problem:
    """Landmarks [T, 478, 3] px and scores [T, 52] as a fitting problem; its priors look at the `usable` frames."""
    camera, zoom, centre = cameras_of(clips, size)
    sources = [np.sqrt(width * height) for width, height in sorted({(clip.width, clip.height) for clip in clips})]
    flat = points[..., :2].astype(float)
    width = np.linalg.norm(points[:, FACE_SIDES[0]] - points[:, FACE_SIDES[1]], axis=-1)  # with depth: pose-free
    errors = landmark_errors()
    lens = np.zeros(camera.max() + 1)
    metres = np.linalg.norm(basis.canonical[FACE_SIDES[0]] - basis.canonical[FACE_SIDES[1]])
    for index in range(len(lens)):
        mine = usable[camera[usable] == index]
        if not len(mine):
            raise InputError(f"no training frame of the clips of {sources[index]:.0f} px shows a face; leave them out")
        by_distance = np.log(np.median(width[mine] / zoom[mine]) / metres * HEAD_DISTANCE)
        lens[index] = (by_distance + np.log(LENS_WIDTHS * sources[index])) / 2
    return Problem(
        points=flat,
        centre=centre,
        camera=camera,
        zoom=zoom,
        trust=np.tile(landmark_trust(errors.noise), (len(flat), 1)),
        noise=np.full(len(flat), NOISE * np.median(width[usable])),
        shapes=basis.shapes[1:],
        guess=np.clip(blendshapes[:, 1:].astype(float), 0, 1),
        tightness=np.full(len(basis.names) - 1, 1 / WEIGHT_SPREAD),
        mean=basis.canonical,
        directions=shape_directions(basis),
        log_focal=(lens, LENS_HOLD),
        fields=errors.fields,
    )


def landmark_trust(noise: np.ndarray) -> np.ndarray:
    """How much each landmark counts [478], at most 1, from its measured error [478] m."""
    precision = 1 / (noise**2 + LEAST_NOISE**2)
    return precision / precision.max()


def shape_directions(basis: Basis) -> np.ndarray:
    """How faces differ from the canonical one [D, 478, 3] m: smooth departures, each of standard deviation 1.

    The strongest principal components of a prior with `SHAPE_SPREAD` for a point and `SHAPE_BEND` for a point
    against the mean of its neighbours on the mesh, the same for x, y and z.
    """
    count = len(basis.canonical)
    near = np.zeros((count, count))
    edges = np.concatenate([basis.triangles[:, [0, 1]], basis.triangles[:, [1, 2]], basis.triangles[:, [2, 0]]])
    near[edges[:, 0], edges[:, 1]] = near[edges[:, 1], edges[:, 0]] = 1
    for iris, corners in zip(IRISES, EYE_CORNERS, strict=True):
        group = [*iris, *corners]
        near[np.ix_(group, group)] = 1 - np.eye(len(group))
    bend = np.eye(count) - near / near.sum(1, keepdims=True)
    values, vectors = np.linalg.eigh(np.eye(count) / SHAPE_SPREAD**2 + bend.T @ bend / SHAPE_BEND**2)
    fields = vectors[:, :SHAPE_FIELDS].T / np.sqrt(values[:SHAPE_FIELDS, None])  # [F, 478]
    return np.einsum("fp,xy->fxpy", fields, np.eye(3)).reshape(-1, count, 3)


def depth_of(points: np.ndarray) -> np.ndarray:
    """The landmarker's relative depth [T, P] px."""
    return points[..., 2].astype(float)


def keyframes(state: State, usable: np.ndarray, count: int) -> np.ndarray:
    """Frames that differ most in pose and expression: farthest-point sampling from the median frame."""
    vectors = np.concatenate(
        [
            rotation_vector(state.rotation[usable]) / np.radians(5),
            np.log(state.translation[usable, 2:]) / 0.05,
            state.weights[usable] / 0.4,
        ],
        1,
    )
    chosen = [int(np.argmin(np.linalg.norm(vectors - np.median(vectors, 0), axis=1)))]
    distance = np.full(len(usable), np.inf)
    for _ in range(min(count, len(usable)) - 1):
        distance = np.minimum(distance, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.sort(usable[chosen])


def smooth_poses(problem: Problem, state: State, valid: np.ndarray, clips: tuple[Clip, ...]) -> State:
    """Poses smoothed inside each clip; frames without a face are interpolated.

    The six channels are the rotation vector about the clip's mean and the position of the middle of the rigid face
    (its direction and log distance): about that point an error of the rotation does not look like a translation.
    """
    pivot = state.neutral[list(RIGID)].mean(0)
    error = np.sqrt((headfit.residuals(problem, state) ** 2).sum(-1).mean(-1))
    weights = valid / (1 + (error / (3 * np.median(error[valid]) + 1e-12)) ** 2)
    channels, means = [], []
    for clip in clips:
        part = slice(clip.first, clip.end)
        turns = state.rotation[part]
        mean = turns[np.argmax(weights[part])]
        for _ in range(3):
            offset = np.average(rotation_vector(turns @ mean.T), axis=0, weights=weights[part] + 1e-9)
            mean = rotation_matrix(offset) @ mean
        where = turns @ pivot + state.translation[part]
        position = np.column_stack([where[:, :2] / where[:, 2:], np.log(where[:, 2])])
        channels.append(np.column_stack([rotation_vector(turns @ mean.T), position]))
        means.append(mean)
    weight_of = [weights[clip.first : clip.end] for clip in clips]
    trains = [slice(0, clip.test_first - clip.first) for clip in clips]  # held-out frames have no say in the strength
    known = [weight[train] for weight, train in zip(weight_of, trains, strict=True)]
    strengths = [
        best_strength([c[train, k] for c, train in zip(channels, trains, strict=True)], known) for k in range(6)
    ]
    rotation, translation = state.rotation.copy(), state.translation.copy()
    for clip, channel, weight, mean in zip(clips, channels, weight_of, means, strict=True):
        if (weight > 0).sum() < 2:
            continue
        smooth = np.column_stack([whittaker(channel[:, k], weight, strengths[k]) for k in range(6)])
        turns = rotation_matrix(smooth[:, :3]) @ mean
        distance = np.exp(smooth[:, 5:])
        rotation[clip.first : clip.end] = turns
        translation[clip.first : clip.end] = np.column_stack([smooth[:, 3:5] * distance, distance]) - turns @ pivot
    return replace(state, rotation=rotation, translation=translation)


def as_arrays(problem: Problem, state: State, valid: np.ndarray) -> dict[str, np.ndarray]:
    """The content of tracking.npz but its state hash."""
    f = headfit.focal(problem, state)
    intrinsics = np.zeros((len(f), 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = f
    intrinsics[:, :2, 2], intrinsics[:, 2, 2] = problem.centre, 1
    off = np.sqrt((headfit.residuals(problem, state) ** 2).sum(-1).mean(-1))
    expression = np.concatenate([np.zeros((len(f), 1)), state.weights], 1)
    return {
        "K": intrinsics,
        "world_to_camera": rigid(state.rotation, state.translation),
        "neutral": state.neutral,
        "residual": np.where(valid, off, np.nan).astype(np.float32),
        "expression": expression.astype(np.float32),
        "focal_spread": np.array(LENS_SPREAD),
    }
