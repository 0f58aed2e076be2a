"""Head tracking: exact derivatives, a known camera recovered from made landmarks, outliers, gaps, held-out frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.face import headfit, tracking
from ua3dtalk.face.basis import NAMES, RIGID, expression_basis, landmark_errors
from ua3dtalk.face.geometry import (
    head_angles,
    project,
    rigid,
    rotation_angle,
    rotation_matrix,
    rotation_vector,
    similarity,
)
from ua3dtalk.face.smoothing import best_strength, whittaker
from ua3dtalk.subject import Subject

SIZE = 256


def small_problem(seed: int = 0) -> tuple[headfit.Problem, headfit.State]:
    """A random problem of 3 frames, 12 points, 4 shapes, 5 directions, 2 cameras."""
    random = np.random.default_rng(seed)
    frames, points = 3, 12
    problem = headfit.Problem(
        points=random.normal(size=(frames, points, 2)) * 50,
        centre=random.normal(size=(frames, 2)),
        camera=np.array([0, 1, 1]),
        zoom=np.array([1.0, 0.5, 0.5]),
        trust=random.uniform(0.2, 1, (frames, points)),
        noise=np.ones(frames),
        shapes=random.normal(size=(4, points, 3)) * 0.01,
        guess=np.full((frames, 4), 0.3),
        tightness=np.ones(4),
        mean=random.normal(size=(points, 3)) * 0.05,
        directions=random.normal(size=(5, points, 3)) * 0.005,
        log_focal=(np.array([6.5, 7.0]), 0.3),
        fields=random.normal(size=(5, points, 2)) * 0.01,
    )
    state = headfit.State(
        rotation=rotation_matrix(random.normal(size=(frames, 3)) * 0.2),
        translation=np.array([0, 0, 0.8]) + random.normal(size=(frames, 3)) * 0.02,
        weights=np.full((frames, 4), 0.4),
        neutral=problem.mean.copy(),
        identity=np.zeros(5),
        log_focal=np.array([6.6, 7.1]),
    )
    return problem, state


def test_derivatives_of_a_frame_equal_differences() -> None:
    problem, state = small_problem()
    linear = headfit.linearise(problem, state, np.ones((3, 12)))
    for unknown in range(linear.frame.shape[-1]):
        step = np.zeros((3, linear.frame.shape[-1]))
        step[:, unknown] = 1e-6
        ahead, behind = (headfit.residuals(problem, headfit._move(state, sign * step)) for sign in (1, -1))
        expected = -(ahead - behind).reshape(3, -1) / 2e-6
        np.testing.assert_allclose(linear.frame[..., unknown], expected, atol=1e-6 * np.abs(expected).max())


def test_derivatives_of_shared_unknowns_equal_differences() -> None:
    problem, state = small_problem(1)
    jacobian = headfit._shared_jacobian(problem, headfit.linearise(problem, state, np.ones((3, 12))))

    def moved(unknown: int, amount: float) -> headfit.State:
        if unknown < 5:
            return replace(state, neutral=state.neutral + amount * problem.directions[unknown])
        lens = np.eye(2)[unknown - 5] * amount  # the head goes away in proportion
        away = state.translation * np.stack([np.ones(3), np.ones(3), np.exp(lens[problem.camera])], 1)
        return replace(state, log_focal=state.log_focal + lens, translation=away)

    for unknown in range(7):
        ahead, behind = (headfit.residuals(problem, moved(unknown, amount)) for amount in (1e-6, -1e-6))
        expected = -(ahead - behind).reshape(3, -1) / 2e-6
        np.testing.assert_allclose(jacobian[..., unknown], expected, atol=1e-6 * np.abs(expected).max())


def test_calibration_never_raises_the_cost() -> None:
    problem, state = small_problem(2)
    ones = np.ones((3, 12))
    before = headfit.cost(problem, state, ones)
    fitted, spread = headfit.calibrate(replace(problem, noise=problem.noise * 1e6), state, iterations=6)
    assert headfit.cost(replace(problem, noise=problem.noise * 1e6), fitted, ones) <= before
    assert (spread > 0).all() and (spread <= 0.3 + 1e-6).all()  # data can only narrow the prior


# ---------------------------------------------------------------- a made actor


def made_actor(
    folder: Path, frames: int = 90, seed: int = 0, focal: float = 900.0, noise: float = 0.25
) -> dict[str, np.ndarray]:
    """A bundle (clips.json, video.npy, landmarks.npz) of landmarks projected from a head that is not the mean one."""
    random = np.random.default_rng(seed)
    basis, time = expression_basis(), np.arange(frames) / 25
    identity = random.normal(size=120) * (np.arange(120) < 45)
    neutral = basis.canonical + np.tensordot(identity, tracking.shape_directions(basis), 1) * 0.6
    _, turn, shift = similarity(neutral[list(RIGID)], basis.canonical[list(RIGID)])
    neutral = neutral @ turn.T + shift
    angles = np.stack([22 * np.sin(2.1 * time), 9 * np.sin(3.3 * time + 1), 6 * np.sin(1.7 * time)], 1)
    rotation = rotation_matrix(np.radians(angles[:, [1, 0, 2]]))
    translation = np.stack([0.03 * np.sin(time), 0.02 * np.cos(2 * time), 1.1 + 0.04 * np.sin(1.3 * time)], 1)
    weights = np.zeros((frames, 52))
    for name, speed in (
        ("jawOpen", 9),
        ("eyeBlinkLeft", 5),
        ("eyeBlinkRight", 5),
        ("mouthSmileLeft", 2),
        ("mouthSmileRight", 2),
    ):
        weights[:, NAMES.index(name)] = 0.25 * (1 + np.sin(speed * time + len(name)))
    head = neutral + np.tensordot(weights, basis.shapes, 1)
    centre = (SIZE * 0.56, SIZE * 0.45)  # the crop is not in the middle of the source
    camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    pose = rigid(rotation, translation)
    nose = -rotation[:, :2, 2]
    points = project(head, pose, camera)
    errors = (
        np.tensordot(headfit.directions_of(nose), landmark_errors().fields, 1)
        * (focal / translation[:, 2])[:, None, None]
    )
    points = points + errors + random.normal(size=points.shape) * noise
    depth = (head @ np.swapaxes(rotation, 1, 2))[..., 2] * (focal / translation[:, 2])[:, None]
    scores = np.clip(weights + random.normal(size=weights.shape) * 0.05, 0, 1)
    folder.mkdir(parents=True, exist_ok=True)
    source = 2 * SIZE
    left, top = source / 2 - centre[0], source / 2 - centre[1]
    write_clips(folder, [frames], [(left, top, SIZE)], source)
    np.save(folder / "video.npy", np.zeros((frames, SIZE, SIZE, 3), np.uint8))
    write_landmarks(folder, np.concatenate([points, depth[..., None]], -1), scores, np.ones(frames, bool))
    return {"rotation": rotation, "weights": weights, "focal": np.array(focal), "neutral": neutral, "points": points}


def write_clips(folder: Path, lengths: list[int], crops: list[tuple[float, float, float]], source: int) -> None:
    first, clips = 0, []
    for length, crop in zip(lengths, crops, strict=True):
        clips.append(
            {
                "path": "made.mp4",
                "sha256": "0",
                "first": first,
                "length": length,
                "test_first": first + length * 10 // 11,
                "emotion": None,
                "fps": 25,
                "width": source,
                "height": source,
                "crop": list(crop),
            }
        )
        first += length
    (folder / "clips.json").write_text(json.dumps({"state": "0", "clips": clips}))


def write_landmarks(folder: Path, points: np.ndarray, scores: np.ndarray, valid: np.ndarray) -> None:
    np.savez(
        folder / "landmarks.npz",
        points=points.astype(np.float32),
        blendshapes=scores.astype(np.float32),
        valid=valid,
        names=np.array(NAMES),
        state="0",
    )


def turned(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Degrees [T] between rotations, a constant offset (the definition of the head's axes) taken out."""
    left, _, right = np.linalg.svd((np.swapaxes(truth, 1, 2) @ found).mean(0))
    return rotation_angle(truth @ (left @ right), found)


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray], dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("made") / "actor"
    truth = made_actor(folder)
    return folder, truth, tracking.track(Subject(folder))


def test_known_camera_and_motion_are_recovered(actor) -> None:  # type: ignore[no-untyped-def]
    _, truth, result = actor
    off = turned(truth["rotation"], result["world_to_camera"][:, :3, :3])
    assert np.median(off) < 0.7 and np.percentile(off, 95) < 1.5
    assert result["K"][0, 0, 0] == pytest.approx(truth["focal"], rel=0.25)  # the prior's doing, see below
    np.testing.assert_allclose(result["K"][0, :2, 2], (SIZE * 0.56, SIZE * 0.45))
    assert np.nanmedian(result["residual"]) < 1.0


def test_focal_length_is_found_where_the_prior_is_weak(actor) -> None:  # type: ignore[no-untyped-def]
    folder, truth, _ = actor
    subject, basis = Subject(folder), expression_basis()
    frames = np.arange(0, 80, 2)
    marks = subject.landmarks
    problem = tracking.make_problem(basis, marks.points, marks.blendshapes, subject.clips, SIZE, frames)
    wrong = problem.log_focal[0] * 0 + np.log(1.5 * truth["focal"])
    problem = replace(problem, log_focal=(wrong, 0.5), noise=problem.noise * 0.3).frames(frames)
    begin = headfit.start(problem, marks.points[frames, :, 2], np.array(RIGID), wrong)
    fitted, spread = headfit.calibrate(problem, begin, iterations=25)
    assert np.exp(fitted.log_focal[0]) == pytest.approx(truth["focal"], rel=0.1)
    assert spread[0] < 0.1


def test_expression_follows_the_truth(actor) -> None:  # type: ignore[no-untyped-def]
    _, truth, result = actor
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"):
        column = NAMES.index(name)
        assert np.corrcoef(truth["weights"][:, column], result["expression"][:, column])[0, 1] > 0.9
    assert (result["expression"] >= 0).all() and (result["expression"] <= 1).all()


def test_nothing_shared_sees_held_out_frames(actor, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, _, result = actor
    other = tmp_path / "other"
    made_actor(other)
    marks = Subject(other).landmarks
    points = marks.points.copy()
    held_out = Subject(other).test_frames
    points[held_out] += np.random.default_rng(5).normal(size=points[held_out].shape) * 20
    write_landmarks(other, points, marks.blendshapes, marks.valid)
    again = tracking.track(Subject(other))
    np.testing.assert_array_equal(again["K"], result["K"])
    np.testing.assert_array_equal(again["neutral"], result["neutral"])


def test_outliers_and_gaps_are_survived(actor, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, truth, _ = actor
    other = tmp_path / "other"
    made_actor(other)
    marks = Subject(other).landmarks
    random, points, valid = np.random.default_rng(7), marks.points.copy(), marks.valid.copy()
    for frame in range(0, len(points), 3):  # a hand before a part of the face
        hidden = random.choice(478, 60, replace=False)
        points[frame, hidden, :2] += random.normal(size=(60, 2)) * 25
    valid[40:44] = False
    points[40:44] = 0
    write_landmarks(other, points, marks.blendshapes, valid)
    result = tracking.track(Subject(other))
    off = turned(truth["rotation"], result["world_to_camera"][:, :3, :3])
    assert np.median(off) < 0.8 and np.percentile(off, 95) < 2.0
    assert np.isnan(result["residual"][40:44]).all() and np.isfinite(result["world_to_camera"]).all()


def test_two_clips_share_the_neutral_shape_and_not_the_motion(tmp_path: Path) -> None:
    folder = tmp_path / "actor"
    made_actor(folder, frames=60)
    marks = Subject(folder).landmarks
    points = marks.points.copy()
    points[30:] *= 0.5  # the second clip was cropped twice as wide
    centre = SIZE - np.array([SIZE * 0.56, SIZE * 0.45])
    write_clips(folder, [30, 30], [(*centre, SIZE), (*centre, 2 * SIZE)], 2 * SIZE)
    write_landmarks(folder, points, marks.blendshapes, marks.valid)
    result = tracking.track(Subject(folder))
    assert result["K"][0, 0, 0] == pytest.approx(2 * result["K"][-1, 0, 0])
    assert len(np.unique(result["K"][:30, 0, 0])) == 1
    assert np.nanmax(result["residual"][:30]) < 2


def test_too_few_faces_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "actor"
    made_actor(folder, frames=20)
    marks = Subject(folder).landmarks
    write_landmarks(folder, marks.points, marks.blendshapes, np.arange(20) < 5)
    with pytest.raises(InputError, match="only 5 training frames"):
        tracking.track(Subject(folder))


# ---------------------------------------------------------------- geometry and smoothing


def test_rotation_vectors_and_matrices_are_inverse() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    vectors[0] *= 1e-9
    matrices = rotation_matrix(vectors)
    np.testing.assert_allclose(
        matrices @ np.swapaxes(matrices, 1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(rotation_vector(matrices), vectors, atol=1e-9)


def test_head_angles_have_their_signs() -> None:
    right = rotation_matrix(np.radians([0, -20, 0]))  # the nose, at -z, goes to +x
    up = rotation_matrix(np.radians([-20, 0, 0]))  # and to -y
    tilt = rotation_matrix(np.radians([0, 0, 20]))
    np.testing.assert_allclose(
        head_angles(np.stack([right, up, tilt])), [[20, 0, 0], [0, 20, 0], [0, 0, 20]], atol=1e-9
    )


def test_similarity_recovers_what_was_applied() -> None:
    random = np.random.default_rng(3)
    points, turn = random.normal(size=(20, 3)), rotation_matrix(random.normal(size=3))
    scale, rotation, shift = similarity(points, 1.7 * points @ turn.T + (1, 2, 3))
    assert scale == pytest.approx(1.7)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(shift, (1, 2, 3), atol=1e-12)


def test_whittaker_solves_its_normal_equations() -> None:
    random = np.random.default_rng(0)
    series, weights = random.normal(size=30), random.uniform(size=30)
    second = np.diff(np.eye(30), 2, axis=0)
    expected = np.linalg.solve(np.diag(weights) + 5 * second.T @ second, weights * series)
    np.testing.assert_allclose(whittaker(series, weights, 5.0), expected, atol=1e-8)


def test_smoothing_does_not_lag_and_fills_gaps() -> None:
    time = np.arange(200) / 25
    wave, weights = np.sin(4 * time), np.ones(200)
    smooth = whittaker(wave, weights, 20.0)
    lags = [np.corrcoef(wave[10:-10], np.roll(smooth, shift)[10:-10])[0, 1] for shift in (-2, -1, 0, 1, 2)]
    assert int(np.argmax(lags)) == 2
    weights[100:105] = 0
    holed = wave.copy()
    holed[100:105] = 99
    assert np.abs(whittaker(holed, weights, 0.1)[100:105] - wave[100:105]).max() < 0.05


def test_strength_follows_the_noise() -> None:
    random, time = np.random.default_rng(0), np.arange(400) / 25
    motion = np.sin(5 * time) + 0.5 * np.sin(11 * time)
    ones = np.ones(400)
    little, much = (motion + random.normal(size=400) * noise for noise in (0.01, 0.3))
    weak, strong = best_strength([little], [ones]), best_strength([much], [ones])
    assert weak < strong
    assert np.abs(whittaker(much, ones, strong) - motion).std() < 0.6 * np.abs(much - motion).std()
    assert np.abs(whittaker(little, ones, weak) - motion).std() < 0.02
