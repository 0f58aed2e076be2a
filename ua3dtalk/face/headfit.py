"""A head of points fitted to landmarks: shared focal length and neutral shape, pose and expression per frame.

Landmark p of frame t is seen at  u = f_t * (Y_x, Y_y) / Y_z + c_t  with  Y = R_t (n_p + sum_e w_te B_ep) + T_t:
n the neutral points, B the expression shapes, f_t the focal length of the frame's camera in its pixels. All
unknowns are found by Levenberg-Marquardt on the joint least-squares problem; in the calibration the frames'
unknowns are eliminated block by block (Schur complement), as in bundle adjustment. Outliers lose weight by
Geman-McClure's function, iteratively reweighted.

Arrays: T frames, P points, E shapes, D directions, G cameras; per-frame unknowns are
ordered rotation (3), translation (3), w.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ua3dtalk.face.geometry import rotation_matrix, similarity, skew

CHUNK = 64  # frames whose Jacobians are in memory together


@dataclass(frozen=True)
class Problem:
    """What is seen and what is believed before.

    points [T, P, 2] px; centre [T, 2] px; camera [T] index of the frame's focal length; zoom [T] frame px per px of
    that camera; trust [T, P] in 0..1; noise [T] px standard deviation; shapes [E, P, 3] m; guess [T, E] expected w;
    mean [P, 3] m of the neutral shape and directions [D, P, 3] m in which it departs, each with standard deviation 1;
    tightness [E]: 1 / standard
    deviation of w about the guess; log_focal: mean and standard deviation of log focal length;
    fields [5, P, 2] m: how landmarks err with `directions_of` the nose, in the upright image at the head's distance
    (`landmark_errors.npz`).
    """

    points: np.ndarray
    centre: np.ndarray
    camera: np.ndarray
    zoom: np.ndarray
    trust: np.ndarray
    noise: np.ndarray
    shapes: np.ndarray
    guess: np.ndarray
    tightness: np.ndarray
    mean: np.ndarray
    directions: np.ndarray
    log_focal: tuple[np.ndarray, float]
    fields: np.ndarray

    def frames(self, index: np.ndarray | slice) -> Problem:
        """The same problem on some frames."""
        cut = {
            name: getattr(self, name)[index]
            for name in ("points", "centre", "camera", "zoom", "trust", "noise", "guess")
        }
        return replace(self, **cut)


@dataclass(frozen=True)
class State:
    """rotation [T, 3, 3], translation [T, 3] m, weights [T, E], neutral [P, 3] m, identity [D] (how much of
    each direction the neutral shape holds), log_focal [G] (camera px)."""

    rotation: np.ndarray
    translation: np.ndarray
    weights: np.ndarray
    neutral: np.ndarray
    identity: np.ndarray
    log_focal: np.ndarray

    def frames(self, index: np.ndarray | slice) -> State:
        """The same state on some frames."""
        cut = {name: getattr(self, name)[index] for name in ("rotation", "translation", "weights")}
        return replace(self, **cut)


def surface(problem: Problem, state: State) -> np.ndarray:
    """Points of the head frame [T, P, 3]: neutral and expression."""
    count, points, _ = problem.shapes.shape
    return state.neutral + (state.weights @ problem.shapes.reshape(count, -1)).reshape(-1, points, 3)


def focal(problem: Problem, state: State) -> np.ndarray:
    """Focal length of each frame in its own pixels [T]."""
    return np.exp(state.log_focal)[problem.camera] * problem.zoom


def residuals(problem: Problem, state: State) -> np.ndarray:
    """Observed minus predicted px [T, P, 2]."""
    seen = surface(problem, state) @ np.swapaxes(state.rotation, -1, -2) + state.translation[:, None]
    flat = seen[..., :2] / seen[..., 2:] * focal(problem, state)[:, None, None]
    return problem.points - flat - problem.centre[:, None] - slide(problem, state)


def upright(rotation: np.ndarray) -> np.ndarray:
    """[T, 2, 2] that turn image vectors (as rows, from the right) so that the head stands upright."""
    angle = np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c, -s, s, c], -1).reshape(-1, 2, 2)


def directions_of(nose: np.ndarray) -> np.ndarray:
    """What the landmarker's error depends on [..., 5]: x, y, x^2, x y, y^2 of the nose's direction [..., 2]."""
    x, y = nose[..., 0], nose[..., 1]
    return np.stack([x, y, x * x, x * y, y * y], -1)


def _directions_slope(nose: np.ndarray) -> np.ndarray:
    """Derivative [T, 5, 2] of `directions_of`."""
    x, y = nose[:, 0], nose[:, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    return np.stack([one, zero, zero, one, 2 * x, zero, y, x, zero, 2 * y], -1).reshape(-1, 5, 2)


def slide(problem: Problem, state: State) -> np.ndarray:
    """How the landmarker errs with the direction of the nose, px [T, P, 2]."""
    roll = upright(state.rotation)
    nose = (-state.rotation[:, None, :2, 2] @ roll)[:, 0]
    error = np.tensordot(directions_of(nose), problem.fields, 1)
    return (focal(problem, state) / state.translation[:, 2])[:, None, None] * (error @ np.swapaxes(roll, 1, 2))


def _slide_by_rotation(problem: Problem, state: State) -> np.ndarray:
    """Derivative [T, P, 2, 3] of `slide` by a rotation from the left, through the nose's direction and the roll."""
    r = state.rotation
    roll = upright(r)
    back = np.swapaxes(roll, 1, 2)
    zero = np.zeros(len(r))
    turn = np.stack(
        [r[:, 1, 0] * r[:, 2, 1] - r[:, 1, 1] * r[:, 2, 0], zero, r[:, 1, 1] * r[:, 0, 0] - r[:, 1, 0] * r[:, 0, 1]], -1
    ) / (r[:, 1, :2] ** 2).sum(-1, keepdims=True)  # d roll / d rotation [T, 3]
    nose = (-r[:, None, :2, 2] @ roll)[:, 0]
    by_nose = back @ skew(r[:, :, 2])[:, :2] + np.stack([nose[:, 1], -nose[:, 0]], -1)[..., None] * turn[:, None]
    fields = np.moveaxis(problem.fields[:, None] @ back, 0, -1)  # [T, P, 2, 5]
    size = (focal(problem, state) / state.translation[:, 2])[:, None, None]
    error = slide(problem, state)
    quarter = np.stack([-error[..., 1], error[..., 0]], -1)
    return (
        size[..., None] * (fields @ (_directions_slope(nose) @ by_nose)[:, None])
        + quarter[..., None] * turn[:, None, None]
    )


def robust_weights(problem: Problem, off: np.ndarray, width: float = 3.0) -> np.ndarray:
    """Geman-McClure's weight times trust [T, P]; `width` in standard deviations of the noise."""
    distance = (off**2).sum(-1) / problem.noise[:, None] ** 2
    return problem.trust / (1 + distance / width**2) ** 2


def cost(problem: Problem, state: State, weights: np.ndarray) -> float:
    """The objective under fixed robust weights [T, P]: half the weighted squares of data and priors."""
    off = residuals(problem, state)
    data = (weights[..., None] * off**2 / problem.noise[:, None, None] ** 2).sum()
    prior = (((state.weights - problem.guess) * problem.tightness) ** 2).sum()
    prior += (state.identity**2).sum()
    lens = (((state.log_focal - problem.log_focal[0]) / problem.log_focal[1]) ** 2).sum()
    return 0.5 * float(data + prior + lens)


@dataclass(frozen=True)
class Linear:
    """Jacobians of predicted px, divided by the noise and weighted: frame [T, 2P, 6+E], point [T, P, 2, 3],
    lens [T, 2P] by log focal length; off [T, 2P] the residuals alike.

    A longer lens moves the head away in proportion, so that its size stays: without that the focal length and all
    distances form one steep valley, in which damped steps creep.
    """

    frame: np.ndarray
    point: np.ndarray
    lens: np.ndarray
    off: np.ndarray


def linearise(problem: Problem, state: State, weights: np.ndarray) -> Linear:
    """First-order model of the data term about a state."""
    frames, points = weights.shape
    head = surface(problem, state)
    turned = head @ np.swapaxes(state.rotation, -1, -2)
    seen = turned + state.translation[:, None]
    f, z = focal(problem, state)[:, None], seen[..., 2]
    flat = seen[..., :2] / z[..., None] * f[..., None]
    scale = np.sqrt(weights) / problem.noise[:, None]
    lens = np.zeros((frames, points, 2, 3))  # d px / d Y
    lens[..., 0, 0] = lens[..., 1, 1] = f / z
    lens[..., 2] = -flat / z[..., None]
    lens *= scale[..., None, None]
    to_point = lens @ state.rotation[:, None]
    rotate = -lens @ skew(turned) + scale[..., None, None] * _slide_by_rotation(problem, state)
    error = slide(problem, state)
    shift = lens.copy()
    shift[..., 2] -= scale[..., None] * error / state.translation[:, None, 2:]
    express = np.einsum("tpij,epj->tpie", to_point, problem.shapes, optimize=True)
    frame = np.concatenate([rotate, shift, express], -1).reshape(frames, 2 * points, -1)
    off = (problem.points - flat - problem.centre[:, None] - error) * scale[..., None]
    zoomed = flat * scale[..., None] + lens[..., 2] * state.translation[:, None, 2:]
    return Linear(frame, to_point, zoomed.reshape(frames, -1), off.reshape(frames, -1))


def _move(state: State, step: np.ndarray) -> State:
    """Apply per-frame steps [T, 6+E]; weights stay in 0..1."""
    return replace(
        state,
        rotation=rotation_matrix(step[:, :3]) @ state.rotation,
        translation=state.translation + step[:, 3:6],
        weights=np.clip(state.weights + step[:, 6:], 0, 1),
    )


def _normal(problem: Problem, state: State, linear: Linear, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrices [T, 6+E, 6+E] and right sides [T, 6+E] of the frames, weights at their bounds held.

    free [T, 6+E] comes out as 0 for unknowns that are held.
    """
    matrix = np.swapaxes(linear.frame, -1, -2) @ linear.frame
    right = np.einsum("tij,ti->tj", linear.frame, linear.off)
    index = np.arange(6, matrix.shape[-1])
    matrix[:, index, index] += problem.tightness**2
    right[:, 6:] += (problem.guess - state.weights) * problem.tightness**2
    free[:] = 1
    free[:, 6:] = ~(((state.weights <= 0) & (right[:, 6:] < 0)) | ((state.weights >= 1) & (right[:, 6:] > 0)))
    matrix *= free[:, :, None] * free[:, None, :]
    every = np.arange(matrix.shape[-1])
    matrix[:, every, every] += 1 - free
    return matrix, right * free


def _damp(matrix: np.ndarray, damping: float) -> np.ndarray:
    every = np.arange(matrix.shape[-1])
    out = matrix.copy()
    out[..., every, every] *= 1 + damping
    return out


def fit_frames(problem: Problem, state: State, iterations: int = 8, width: float = 3.0, pose: bool = True) -> State:
    """Expression and (unless held) pose of every frame with the shared unknowns held; frames are independent."""
    parts = []
    for start in range(0, len(problem.points), CHUNK):
        part = slice(start, start + CHUNK)
        few, now = problem.frames(part), state.frames(part)
        free = np.ones((len(few.points), 6 + len(few.shapes)))
        for step in range(iterations):
            weights = robust_weights(few, residuals(few, now), width * (3 if step < 2 else 1))
            matrix, right = _normal(few, now, linearise(few, now, weights), free)
            if pose:
                move = np.linalg.solve(_damp(matrix, 1e-4), right[..., None])[..., 0]
            else:
                move = np.zeros_like(right)
                move[:, 6:] = np.linalg.solve(matrix[:, 6:, 6:], right[:, 6:, None])[..., 0]
            now = _move(now, move)
        parts.append(now)
    return replace(
        state,
        rotation=np.concatenate([p.rotation for p in parts]),
        translation=np.concatenate([p.translation for p in parts]),
        weights=np.concatenate([p.weights for p in parts]),
    )


def calibrate(problem: Problem, state: State, iterations: int = 12, width: float = 3.0) -> tuple[State, np.ndarray]:
    """Everything jointly: focal lengths and neutral shape together with the frames' pose and expression.

    Returns the state and the standard deviation of each log focal length [G] that the linear model gives.
    """
    damping, deviation = 1e-4, np.full(len(state.log_focal), np.inf)
    for step in range(iterations):
        weights = robust_weights(problem, residuals(problem, state), width * (3 if step < 3 else 1))
        before = cost(problem, state, weights)
        for _ in range(5):
            trial, deviation = _joint_step(problem, state, weights, damping)
            after = cost(problem, trial, weights)
            if after < before:
                state, damping = trial, max(damping / 4, 1e-6)
                break
            damping *= 8
        if before - after < 1e-5 * before and step > 4:
            break
    return state, deviation


def _joint_step(problem: Problem, state: State, weights: np.ndarray, damping: float) -> tuple[State, np.ndarray]:
    """One damped Gauss-Newton step of all unknowns by the Schur complement of the frames' blocks."""
    frames = len(weights)
    linear = linearise(problem, state, weights)
    free = np.ones((frames, 6 + len(problem.shapes)))
    matrix, right = _normal(problem, state, linear, free)
    matrix = _damp(matrix, damping)
    shared = _shared_jacobian(problem, linear)  # [T, 2P, D + G]
    count = shared.shape[-1]
    sizes = len(state.identity), len(state.log_focal)
    tight = np.repeat([1.0, problem.log_focal[1] ** -2], sizes)
    aim = np.concatenate([-state.identity, problem.log_focal[0] - state.log_focal])
    flat = shared.reshape(-1, count)
    big = flat.T @ flat + np.diag(tight)
    side = flat.T @ linear.off.reshape(-1) + aim * tight
    coupling = np.swapaxes(linear.frame * free[:, None], -1, -2) @ shared  # [T, 6+E, D + G]
    big = _damp(big, damping)
    root = np.linalg.inv(np.linalg.cholesky(matrix))
    whitened = root @ np.concatenate([coupling, right[..., None]], -1)  # [T, 6+E, shared + 1]
    flat = whitened.reshape(-1, count + 1)
    reduced = big - flat[:, :-1].T @ flat[:, :-1]
    step = np.linalg.solve(reduced, side - flat[:, :-1].T @ flat[:, -1])
    inner = (np.swapaxes(root, -1, -2) @ (whitened[..., -1] - whitened[..., :-1] @ step)[..., None])[..., 0]
    deviation = np.sqrt(np.diag(np.linalg.inv(reduced))[sizes[0] :])
    shape, longer = step[: sizes[0]], np.clip(step[sizes[0] :], -0.3, 0.3)
    moved = _move(state, inner * free)
    distance = moved.translation[:, 2] + state.translation[:, 2] * np.expm1(longer)[problem.camera]
    moved = replace(
        moved,
        translation=np.column_stack([moved.translation[:, :2], distance]),
        neutral=state.neutral + np.tensordot(shape, problem.directions, 1),
        identity=state.identity + shape,
        log_focal=state.log_focal + longer,
    )
    return moved, deviation


def _shared_jacobian(problem: Problem, linear: Linear) -> np.ndarray:
    """Jacobian [T, 2P, D + G] by the shared unknowns: directions of the neutral shape, log focal lengths."""
    frames, points = linear.point.shape[:2]
    shape = np.einsum("tpij,dpj->tpid", linear.point, problem.directions, optimize=True).reshape(frames, 2 * points, -1)
    lens = np.zeros((frames, 2 * points, len(problem.log_focal[0])))
    lens[np.arange(frames), :, problem.camera] = linear.lens
    return np.concatenate([shape, lens], -1)


def add_detail(problem: Problem, state: State, spread: float) -> State:
    """Move each neutral point by what its residuals have in common, a prior of `spread` m standard deviation.

    The directions are smooth; this catches where the landmarker puts a point on this very face. Poses are held.
    """
    weights = robust_weights(problem, residuals(problem, state))
    linear = linearise(problem, state, weights)
    frames, points = weights.shape
    matrix = np.einsum("tpij,tpik->pjk", linear.point, linear.point) + np.eye(3) / spread**2
    side = np.einsum("tpij,tpi->pj", linear.point, linear.off.reshape(frames, points, 2))
    return replace(state, neutral=state.neutral + np.linalg.solve(matrix, side[..., None])[..., 0])


def start(problem: Problem, depth: np.ndarray, points: np.ndarray, log_focal: np.ndarray) -> State:
    """Poses from a similarity between each frame's landmarks with their depth [T, P] px and the mean shape."""
    rotation, translation = [], []
    f = np.exp(log_focal)[problem.camera] * problem.zoom
    for frame, cloud in enumerate(np.concatenate([problem.points - problem.centre[:, None], depth[..., None]], -1)):
        scale, turn, shift = similarity(problem.mean[points], cloud[points])
        rotation.append(turn)
        translation.append((*(shift[:2] / scale), f[frame] / scale))
    return State(
        np.array(rotation),
        np.array(translation),
        problem.guess.copy(),
        problem.mean.copy(),
        np.zeros(len(problem.directions)),
        log_focal,
    )


def regauge(state: State, canonical: np.ndarray, points: np.ndarray) -> State:
    """Lay the neutral shape on the canonical one (similarity over some points) and move the poses along.

    Scale, position and axes of the head frame cannot be seen in the images; this is their definition.
    """
    scale, turn, shift = similarity(state.neutral[points], canonical[points])
    rotation = state.rotation @ turn.T
    return replace(
        state,
        neutral=scale * state.neutral @ turn.T + shift,
        rotation=rotation,
        translation=scale * state.translation - (rotation @ shift[:, None])[..., 0],
    )
