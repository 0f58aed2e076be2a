"""Lip figures against their definitions, and what they must not react to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ua3dtalk.metrics.lips import (
    FAN_LIPS,
    OUTER_EYE_CORNERS,
    eye_distance,
    gain,
    head_pose,
    lip_distance,
    mouth_opening,
    partial_correlation,
)


def points(seed: int, count: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 256, (count, 478, 3))


def test_distance_equals_the_field_s_script() -> None:
    """Two loops, as the published script has them."""
    first, second = points(0), points(1)
    expected = []
    for a, b in zip(first, second, strict=True):
        lips_a, lips_b = a[list(FAN_LIPS), :2], b[list(FAN_LIPS), :2]
        moved = (lips_a - lips_a.mean(0)) - (lips_b - lips_b.mean(0))
        expected.append(np.mean([np.sqrt(x * x + y * y) for x, y in moved]))
    np.testing.assert_allclose(lip_distance(first, second), expected)


@given(seed=st.integers(0, 99), dx=st.floats(-50, 50), dy=st.floats(-50, 50), scale=st.floats(0.2, 4))
def test_distance_ignores_place_and_grows_with_size(seed: int, dx: float, dy: float, scale: float) -> None:
    first, second = points(seed), points(seed + 1)
    base = lip_distance(first, second)
    np.testing.assert_allclose(lip_distance(first + np.array([dx, dy, 3]), second), base, rtol=1e-6)
    np.testing.assert_allclose(lip_distance(first * scale, second * scale), base * scale, rtol=1e-6)
    np.testing.assert_allclose(mouth_opening(first * scale), mouth_opening(first), rtol=1e-6)


def test_lip_points_go_round_the_mouth() -> None:
    """On the canonical order of the 68 points: corners at 0, 6, 12, 16; upper lips first; mirror images pair up."""
    assert len(set(FAN_LIPS)) == 20
    assert [FAN_LIPS[k] for k in (0, 6, 12, 16)] == [61, 291, 78, 308]
    assert FAN_LIPS[3] == 0 and FAN_LIPS[9] == 17 and FAN_LIPS[14] == 13 and FAN_LIPS[18] == 14


def test_opening_by_hand() -> None:
    face = np.zeros((1, 478, 3))
    face[0, OUTER_EYE_CORNERS[0], :2], face[0, OUTER_EYE_CORNERS[1], :2] = (10, 10), (90, 70)
    for upper, lower, gap in ((82, 87, 5), (13, 14, 9), (312, 317, 4)):
        face[0, upper, 1], face[0, lower, 1] = 100, 100 + gap
    assert eye_distance(face)[0] == pytest.approx(100)
    assert mouth_opening(face)[0] == pytest.approx(0.06)


@given(yaw=st.floats(-1, 1), pitch=st.floats(-1, 1), roll=st.floats(-1, 1), z=st.floats(0.2, 3))
def test_pose_gives_the_angles_back(yaw: float, pitch: float, roll: float, z: float) -> None:
    def turn(angle: float, first: int, second: int) -> np.ndarray:
        matrix = np.eye(3)
        matrix[first, first] = matrix[second, second] = np.cos(angle)
        matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
        return matrix

    camera = np.eye(4)[None]
    camera[0, :3, :3] = turn(-yaw, 0, 2) @ turn(pitch, 1, 2) @ turn(roll, 0, 1)
    camera[0, 2, 3] = z
    np.testing.assert_allclose(head_pose(camera)[0], [yaw, pitch, roll, z], atol=1e-9)


def nodding(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Poses [n, 4] that drift, and speech [n] that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(count, 4)), axis=0), rng.normal(size=count)


def test_partial_correlation_equals_the_inverse_of_the_covariance() -> None:
    poses, speech = nodding(0)
    render = 0.6 * speech + 0.3 * poses[:, 0] + np.random.default_rng(1).normal(size=200)
    truth = speech + 0.5 * poses[:, 1]
    precision = np.linalg.inv(np.cov(np.column_stack([render, truth, poses]), rowvar=False))
    expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert partial_correlation(render, truth, poses) == pytest.approx(expected, abs=1e-9)
    plain = partial_correlation(render, truth, poses[:, :0])
    assert plain == pytest.approx(np.corrcoef(render, truth)[0, 1], abs=1e-9)


def test_a_head_that_only_nods_gets_nothing_from_nodding() -> None:
    poses, speech = nodding(2)
    nod = poses @ [0.5, -1, 0.2, 0.3]
    still_mouth = nod + 0.01 * np.random.default_rng(3).normal(size=200)
    truth = 0.5 * speech + nod
    assert partial_correlation(still_mouth, truth, poses[:, :0]) > 0.9
    assert abs(partial_correlation(still_mouth, truth, poses) or 0) < 0.2
    assert (gain(still_mouth, truth, poses) or 0) < 0.05


@given(scale=st.floats(0.05, 3), offset=st.floats(-5, 5))
def test_gain_is_the_amplitude_whatever_the_pose_adds(scale: float, offset: float) -> None:
    poses, speech = nodding(4)
    assert gain(scale * speech + offset + poses[:, 0], speech + 2 * poses[:, 1], poses) == pytest.approx(scale)
    assert partial_correlation(scale * speech + offset + poses[:, 0], speech, poses) == pytest.approx(1)


def test_what_is_not_defined_is_none() -> None:
    poses, speech = nodding(5)
    assert partial_correlation(np.ones(200), speech, poses) is None
    assert gain(speech, np.ones(200), poses) is None
    assert gain(np.ones(200), speech, poses) == pytest.approx(0, abs=1e-9)
    assert partial_correlation(speech[:7], speech[:7], poses[:7]) is None
    assert gain(speech[:7], speech[:7], poses[:7]) is None
    still = np.zeros((200, 4))
    assert partial_correlation(speech, 2 * speech, still) == pytest.approx(1)
