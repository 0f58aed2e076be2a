"""The nearest training frames, found by brute force too."""

from __future__ import annotations

import numpy as np

from ua3dtalk.metrics.opponents import nearest_by_audio, nearest_by_pose, nearest_rows
from ua3dtalk.subject import Clip, Speech, Tracking


def test_nearest_rows_in_blocks_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    wanted, rows = rng.normal(size=(31, 5)), rng.normal(size=(57, 5))
    expected = [int(np.argmin(((rows - row) ** 2).sum(axis=1))) for row in wanted]
    np.testing.assert_array_equal(nearest_rows(wanted, rows, block=7), expected)


def cameras(yaw: np.ndarray, shift: np.ndarray) -> np.ndarray:
    matrices = np.tile(np.eye(4), (len(yaw), 1, 1))
    matrices[:, 0, 0] = matrices[:, 2, 2] = np.cos(yaw)
    matrices[:, 0, 2], matrices[:, 2, 0] = np.sin(yaw), -np.sin(yaw)
    matrices[:, 0, 3], matrices[:, 2, 3] = shift, 0.6
    return matrices


def test_the_frame_with_the_same_pose_is_found() -> None:
    rng = np.random.default_rng(0)
    yaw, shift = rng.uniform(-0.4, 0.4, 60), rng.uniform(-0.05, 0.05, 60)
    copies = rng.permutation(40)[:20]
    yaw[40:], shift[40:] = yaw[copies] + 1e-5, shift[copies]
    K = np.tile([[700.0, 0, 128], [0, 700, 128], [0, 0, 1]], (60, 1, 1))
    tracking = Tracking(K, cameras(yaw, shift), rng.uniform(-0.08, 0.08, (478, 3)), np.zeros(60))
    np.testing.assert_array_equal(nearest_by_pose(tracking, np.arange(40), np.arange(40, 60)), copies)


def test_only_training_frames_are_shown() -> None:
    yaw = np.linspace(-0.3, 0.3, 30)
    K = np.tile([[700.0, 0, 128], [0, 700, 128], [0, 0, 1]], (30, 1, 1))
    neutral = np.random.default_rng(0).uniform(-0.08, 0.08, (478, 3))
    tracking = Tracking(K, cameras(yaw, np.zeros(30)), neutral, np.zeros(30))
    found = nearest_by_pose(tracking, np.array([2, 5, 9, 25]), np.array([0, 6, 8, 29]))
    assert found.tolist() == [2, 5, 9, 25]


def test_the_frame_that_sounds_the_same_is_found() -> None:
    rng = np.random.default_rng(0)
    word = rng.normal(size=(60, 16))
    features = np.concatenate([rng.normal(size=(40, 16)), word, rng.normal(size=(20, 16)), word]).astype(np.float16)
    clip = Clip("c", "0", 0, 90, 60, None, 25.0, 8, 8, (0, 0, 8))
    speech = Speech(features, np.zeros((360, 80)), "test")
    test = np.arange(64, 86)  # inside the repeated word, its windows too
    found = nearest_by_audio(speech, (clip,), np.arange(60), test)
    np.testing.assert_array_equal(found, test - 40)
