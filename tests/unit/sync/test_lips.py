"""Measures do not see where the head stands and who it is; bundles become talk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ua3dtalk.face.basis import expression_basis
from ua3dtalk.subject import SAMPLES_PER_FRAME, Speech, Subject
from ua3dtalk.sync.figures import LOCAL, PUBLISHED, local_figures, official_figures, stretches
from ua3dtalk.sync.lips import MEASURES, lip_measures, visible
from ua3dtalk.sync.net import LocalSync
from ua3dtalk.sync.stage import basis_columns
from ua3dtalk.sync.syncnet import SyncNet
from ua3dtalk.sync.talk import talk


def opening(weights: np.ndarray) -> np.ndarray:
    basis = expression_basis()
    moved: np.ndarray = basis.canonical + weights[:, None, None] * basis.shapes[basis.names.index("jawOpen")]
    return moved


def test_a_turned_moved_and_larger_face_measures_the_same() -> None:
    points = opening(np.linspace(0, 1, 5))
    turns = Rotation.random(5, rng=np.random.default_rng(0)).as_matrix()
    other = 900 * points @ turns.transpose(0, 2, 1) + np.random.default_rng(1).normal(size=(5, 1, 3))
    np.testing.assert_allclose(lip_measures(other), lip_measures(points), atol=1e-9)


def test_the_first_measure_is_the_inner_opening() -> None:
    points = opening(np.array([0.0, 0.8]))
    eyes = expression_basis().canonical
    unit = np.linalg.norm(eyes[33] - eyes[263])
    pairs = ((82, 87), (13, 14), (312, 317))
    expected = [np.mean([np.linalg.norm(face[a] - face[b]) for a, b in pairs]) / unit for face in points]
    # jawOpen moves a rigid point or two by a little, so the fit is not exact
    np.testing.assert_allclose(lip_measures(points)[:, 0], expected, rtol=0.02)
    assert expected[1] > expected[0] + 0.1


def test_a_frame_without_a_face_repeats_the_nearest_one() -> None:
    points = opening(np.linspace(0, 1, 7))
    points[[0, 3, 4]] = np.nan
    measures = lip_measures(points)
    assert np.isnan(measures).all(axis=1).tolist() == [True, False, False, True, True, False, False]
    lips, found = visible(measures)
    assert found.tolist() == [False, True, True, False, False, True, True]
    for frame, nearest in ((0, 1), (3, 2), (4, 5)):
        assert np.array_equal(lips[frame], lips[nearest])
    np.testing.assert_allclose(np.median(lips[found], axis=0), 0, atol=1e-7)


def test_nobody_there() -> None:
    lips, found = visible(lip_measures(np.full((4, 478, 3), np.nan)))
    assert not found.any() and not lips.any() and lips.shape == (4, MEASURES)


def test_lengths_have_to_agree() -> None:
    with pytest.raises(ValueError, match="5 frames need 10 tokens, not 9"):
        talk(opening(np.zeros(5)), np.zeros((9, 8)))


def test_blendshapes_find_their_columns() -> None:
    own, basis = basis_columns(["nonsense", "jawOpen", "mouthPucker"])
    assert [expression_basis().names[column] for column in basis] == ["jawOpen", "mouthPucker"]
    assert own == [1, 2]


def test_stretches() -> None:
    assert [rows.tolist() for rows in stretches(np.array([4, 5, 6, 9, 10, 20]))] == [[0, 1, 2], [3, 4], [5]]


def speech_of(subject: Subject, encoder: str) -> Speech:
    return Speech(subject.speech.features, subject.speech.mel, encoder)


def test_figures_of_a_row(tiny_subject: Subject) -> None:
    net = LocalSync(tiny_subject.speech.features.shape[1]).eval()
    points = tiny_subject.landmarks.points
    speech = speech_of(tiny_subject, "whisper-base")
    found = local_figures(net, points, speech)
    assert tuple(found) == LOCAL and all(np.isfinite(value) for value in found.values())  # type: ignore[arg-type]
    later = local_figures(net, points[20:], speech, np.arange(20, len(points)))
    assert later != found
    assert local_figures(net, points[:8], speech) == dict.fromkeys(LOCAL), "too short"
    blind = np.full_like(points, np.nan)
    assert local_figures(net, blind, speech) == dict.fromkeys(LOCAL), "nobody is seen"
    assert local_figures(net, points, speech_of(tiny_subject, "hubert.npy")) == {}, "the net never heard such features"


def test_published_figures_take_the_longest_stretch(tiny_subject: Subject) -> None:
    net = SyncNet().eval()
    asked: list[int] = []

    def frame(k: int) -> np.ndarray:
        asked.append(k)
        return np.asarray(tiny_subject.video[k])

    points = tiny_subject.landmarks.points[:16].copy()
    points[3] = np.nan
    frames = np.array([*range(8), *range(20, 28)])
    found = official_figures(net, frame, points, np.zeros(60 * SAMPLES_PER_FRAME), frames)
    assert tuple(found) == PUBLISHED and isinstance(found["sync_offset_frames"], int)
    assert set(asked) == set(range(8, 15)), "three windows of five frames of the second stretch"
    assert official_figures(net, frame, points[:4], np.zeros(9), frames[:4]) == dict.fromkeys(PUBLISHED)
