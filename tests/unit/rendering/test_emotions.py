"""A head asked for an emotion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.rendering.controls import Track, evened, told
from ua3dtalk.rendering.emotions import ask, shown_emotions
from ua3dtalk.subject import Subject


@pytest.fixture
def moody(tiny_subject: Subject) -> Subject:
    """The drawn head with a neutral and a happy clip; happy frames have raised brows and a wide mouth."""
    subject = Subject(tiny_subject.root)
    whole = tiny_subject.clips[0]
    subject.__dict__["clips"] = (
        replace(whole, length=30, test_first=20, emotion="neutral"),
        replace(whole, first=30, length=30, test_first=50, emotion="happy"),
    )
    expression = tiny_subject.priors.expression.copy()
    expression[30:, 3] += 2.0
    subject.__dict__["priors"] = replace(tiny_subject.priors, expression=expression)
    units = tiny_subject.expression.action_units.copy()
    units[30:, 0] += 2.0
    subject.__dict__["expression"] = replace(tiny_subject.expression, action_units=np.clip(units, 0, 5))
    probabilities = np.zeros((60, 2), np.float32)
    probabilities[:, 0] = 1  # everything sounds neutral
    subject.__dict__["emotion"] = replace(tiny_subject.emotion, probabilities=probabilities)
    return subject


def track(subject: Subject) -> Track:
    priors = subject.priors
    return Track(
        priors.mixed[:, 52:55],
        np.ones((60, 6)),
        priors.mixed,
        priors.voice_style,
        subject.emotion.embedding,
        priors.novelty,
    )


def test_asking_moves_everything_towards_the_label_and_keeps_what_is_said(moody: Subject) -> None:
    heard = track(moody)
    happy = ask(moody, heard, "happy", seed=0)
    prototype = evened(moody, moody.emotion.prototypes[[1]], like=moody.emotion.embedding)
    assert happy.emotion is not None and np.allclose(happy.emotion, prototype, atol=1e-5)
    assert happy.lip_expression is not None and heard.lip_expression is not None
    shift = happy.lip_expression - heard.lip_expression
    assert np.allclose(shift, shift[0], atol=1e-5), "the same for every frame that sounds the same"
    expected = told(moody)[30:50].mean(0) - told(moody)[:20].mean(0)
    assert np.allclose(shift[0], expected, atol=1e-4)
    lips = moody.priors.expression[:, 52:55]
    assert np.allclose(happy.lips - heard.lips, lips[30:50].mean(0) - lips[:20].mean(0), atol=1e-4)
    neutral = ask(moody, heard, "neutral", seed=0)
    assert happy.action_units[:, 0].mean() > neutral.action_units[:, 0].mean() + 1
    assert np.allclose(neutral.lip_expression, heard.lip_expression, atol=1e-5), "it sounds neutral already"
    assert np.array_equal(happy.voice_style, heard.voice_style)


def test_strength_goes_from_nothing_to_more(moody: Subject) -> None:
    heard = track(moody)
    none, half, whole = (ask(moody, heard, "happy", seed=0, strength=s) for s in (0.0, 0.5, 1.0))
    assert none.lip_expression is not None and half.lip_expression is not None and whole.lip_expression is not None
    assert np.allclose(none.lip_expression, heard.lip_expression) and np.allclose(none.action_units, heard.action_units)
    assert np.allclose(2 * half.lip_expression, none.lip_expression + whole.lip_expression, atol=1e-5)


def test_the_same_seed_gives_the_same_face(moody: Subject) -> None:
    a, b, c = (ask(moody, track(moody), "happy", seed=s).action_units for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_labels_in_their_order_and_mistakes_in_one_line(moody: Subject, tiny_subject: Subject) -> None:
    assert shown_emotions(moody) == ("neutral", "happy")
    assert shown_emotions(tiny_subject) == ()
    with pytest.raises(InputError, match=r"no clip labelled 'sad' \(labels: neutral, happy\)"):
        ask(moody, track(moody), "sad", seed=0)
    with pytest.raises(InputError, match="no view of emotion"):
        ask(moody, replace(track(moody), emotion=None), "happy", seed=0)
