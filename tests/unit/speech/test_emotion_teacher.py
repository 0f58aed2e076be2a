"""What the listener learns from: labels, and faces summed up over windows that keep to their side of the split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emotion_subject import LENGTH, TRAIN, write_two_emotions

from ua3dtalk.errors import ConfigError
from ua3dtalk.face.emotion import FACIAL_EMOTIONS
from ua3dtalk.speech.emotion.stage import prototypes
from ua3dtalk.speech.emotion.teacher import Lesson, check_targets, feature_names, label_names, lesson, targets
from ua3dtalk.subject import Clip, Landmarks

FRAMES = 2 * LENGTH


@pytest.fixture
def clips(tmp_path: Path) -> tuple[Clip, ...]:
    return write_two_emotions(tmp_path).clips


def faces(seed: int = 0) -> tuple[np.ndarray, Landmarks]:
    rng = np.random.default_rng(seed)
    facial = rng.dirichlet(np.ones(7), FRAMES).astype(np.float32)
    shapes = rng.random((FRAMES, 52)).astype(np.float32)
    return facial, Landmarks(np.zeros((FRAMES, 478, 3)), shapes, np.ones(FRAMES, bool), tuple("x" * 52))


def test_windows_are_means_and_deviations_within_their_part(clips: tuple[Clip, ...]) -> None:
    facial, landmarks = faces()
    found = lesson(facial, landmarks, clips)
    for frame, part in ((5, slice(0, 43)), (40, slice(3, 44)), (44, slice(44, 60)), (62, slice(60, 100))):
        np.testing.assert_allclose(found.probabilities[frame], facial[part].mean(0), atol=1e-5)
        shapes = landmarks.blendshapes[part]
        expected = np.concatenate([facial[part].mean(0), shapes.mean(0), shapes.std(0)])
        np.testing.assert_allclose(found.feature[frame], expected, atol=1e-4)
    assert len(feature_names(landmarks.names)) == found.feature.shape[1]


def test_held_out_faces_do_not_reach_training_frames(clips: tuple[Clip, ...]) -> None:
    facial, landmarks = faces()
    other, others = faces(1)
    held_out = np.arange(FRAMES) % LENGTH >= TRAIN
    facial2 = np.where(held_out[:, None], other, facial)
    landmarks2 = replace(landmarks, blendshapes=np.where(held_out[:, None], others.blendshapes, landmarks.blendshapes))
    one, two = lesson(facial, landmarks, clips), lesson(facial2, landmarks2, clips)
    np.testing.assert_array_equal(one.feature[~held_out], two.feature[~held_out])
    assert not np.array_equal(one.feature[held_out], two.feature[held_out])


def test_frames_without_a_face_are_left_out(clips: tuple[Clip, ...]) -> None:
    facial, landmarks = faces()
    hidden = np.arange(FRAMES) < LENGTH
    hidden[50] = False
    landmarks = replace(landmarks, valid=~hidden)
    found = lesson(np.where(hidden[:, None], np.nan, facial), landmarks, clips)
    assert np.isnan(found.feature[:TRAIN]).all()
    np.testing.assert_allclose(found.probabilities[47], facial[50], atol=1e-5)


def taught(emotions: list[str]) -> Lesson:
    probabilities = np.tile(np.arange(7, dtype=np.float32) / 21, (len(emotions), 1))
    return Lesson(probabilities, np.zeros((len(emotions), 111), np.float32), np.array(emotions))


def test_labels_are_those_of_the_clips_where_all_have_one() -> None:
    one = taught(["sad", "angry", "sad"])
    assert label_names(one.emotions) == ("sad", "angry")
    np.testing.assert_array_equal(targets(one, ("sad", "angry")), [[1, 0], [0, 1], [1, 0]])


def test_a_clip_without_a_label_is_taught_by_the_face() -> None:
    one = taught(["", "surprised", "contempt"])
    labels = label_names(one.emotions)
    assert labels == ("angry", "disgust", "fear", "happy", "sad", "surprised", "neutral", "contempt")
    rows = targets(one, labels)
    np.testing.assert_allclose(rows[0], [*one.probabilities[0], 0])
    assert rows[1].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert rows[2].argmax() == 7
    assert label_names(np.array(["", ""])) == FACIAL_EMOTIONS


def test_nothing_to_learn_is_one_line() -> None:
    with pytest.raises(ConfigError, match="training frames of anna show no face and have no label"):
        check_targets(np.zeros((4, 7)), np.arange(4), "anna")


def test_prototypes_are_means() -> None:
    embedding = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]], np.float32)
    found = prototypes(embedding, wanted)
    np.testing.assert_allclose(found[0], (embedding[0] + 0.5 * embedding[1]) / 1.5)
    np.testing.assert_allclose(found[2], embedding.mean(0))
