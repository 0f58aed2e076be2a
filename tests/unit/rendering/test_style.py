"""The manner of another person: how far and around what the face moves, not when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.rendering.controls import Track
from ua3dtalk.rendering.curves import Curves
from ua3dtalk.rendering.style import LEFT_ALONE, Manner, Style, parse_style
from ua3dtalk.subject import Subject

VIEWS = ("audio", "action_units", "lip_expression", "voice_style", "emotion")
JAW, SMILE = NAMES.index("jawOpen"), NAMES.index("mouthSmileLeft")


@pytest.fixture
def curves(linear: Subject) -> Curves:
    return Curves(linear, VIEWS, 8)


@pytest.fixture
def own(linear: Subject, curves: Curves) -> Track:
    """What would drive the actor's own frames if speech told everything."""
    return curves.track(linear.expression.coefficients)


def guest_of(subject: Subject, coefficients: np.ndarray) -> Subject:
    """Somebody with these coefficients in the actor's training frames, whom the others do not show."""
    guest = Subject(subject.root)
    seen = np.isin(np.arange(subject.frame_count), subject.train_frames)
    guest.__dict__["landmarks"] = replace(subject.landmarks, valid=seen)
    guest.__dict__["expression"] = replace(subject.expression, coefficients=coefficients)
    return guest


def lively(subject: Subject) -> Subject:
    """Moves half as much again, smiles all the time."""
    own = subject.expression.coefficients
    moved = own.mean(0) + 1.5 * (own - own.mean(0))
    moved[:, SMILE] += 0.1
    return guest_of(subject, np.clip(moved, 0, 1).astype(np.float32))


def test_strength_0_changes_nothing(linear: Subject, curves: Curves, own: Track) -> None:
    style = Style(curves, own, lively(linear), 0.0)
    same = style(own, np.ones(len(own.lips)))
    for name in ("lips", "action_units", "lip_expression"):
        np.testing.assert_allclose(getattr(same, name), getattr(own, name), atol=1e-5)
    assert not style.displacement.any()


def test_the_actor_s_own_manner_changes_nothing(linear: Subject, curves: Curves, own: Track) -> None:
    before = curves.coefficients(own)
    after = Style(curves, own, guest_of(linear, before), 1.0).moved(before)
    assert np.abs(after - before)[curves.train].max() < 0.03


def test_a_lively_guest_makes_the_face_lively(linear: Subject, curves: Curves, own: Track) -> None:
    before = curves.coefficients(own)
    opened = []
    for strength in (0.5, 1.0):
        style = Style(curves, own, lively(linear), strength)
        lips, as_told = style(own, np.ones(len(before))).lips[curves.train, 0], own.lips[curves.train, 0]
        assert np.corrcoef(lips, as_told)[0, 1] > 0.98, "what is said stays"
        opened.append(lips.std() / as_told.std())
        assert np.abs(style.displacement[[61, 291]]).max() > 1e-4, "the corners of the mouth"
    assert 1.05 < opened[0] < opened[1]
    wanted = Manner.of([lively(linear).expression.coefficients[curves.train]])
    moved = Style(curves, own, lively(linear), 1.0).moved(before)
    near, far = (Manner.of([each[curves.train]]).distances(wanted)[1] for each in (moved, before))
    assert near < 0.6 * far


def test_gaze_and_blinks_stay(linear: Subject, curves: Curves, own: Track) -> None:
    before = curves.coefficients(own)
    moved = Style(curves, own, lively(linear), 1.0).moved(before)
    np.testing.assert_array_equal(moved[:, LEFT_ALONE], before[:, LEFT_ALONE])


def test_who_is_silent_keeps_the_mouth_as_it_is(linear: Subject, curves: Curves, own: Track) -> None:
    agape = linear.expression.coefficients.copy()
    agape[:, JAW] = np.clip(agape[:, JAW] + 0.3, 0, 1)
    style = Style(curves, own, guest_of(linear, agape), 1.0)
    silent, loud = style(own, np.zeros(len(agape))), style(own, np.ones(len(agape)))
    np.testing.assert_array_equal(silent.lips, own.lips)
    np.testing.assert_allclose(silent.lip_expression, own.lip_expression)
    assert loud.lips[curves.train, 0].mean() > own.lips[curves.train, 0].mean() + 0.1


def test_a_guest_whose_face_is_hardly_seen_is_refused(linear: Subject, curves: Curves, own: Track) -> None:
    hidden = Subject(linear.root)
    hidden.__dict__["landmarks"] = replace(linear.landmarks, valid=np.arange(linear.frame_count) < 20)
    with pytest.raises(InputError, match="20 frames show a face"):
        Style(curves, own, hidden, 1.0)


def test_slow_and_quick_motion_are_told_apart() -> None:
    time = np.arange(1000)
    mood, talk = 0.2 * np.sin(time / 80), 0.1 * np.sin(time / 2)
    found = Manner.of([np.stack([0.5 + mood, 0.3 + talk], 1)])
    assert found.usual == pytest.approx([0.5, 0.3], abs=0.02)
    assert found.slow == pytest.approx([0.2 / np.sqrt(2), 0], abs=0.01)
    assert found.quick == pytest.approx([0, 0.1 / np.sqrt(2)], abs=0.01)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("a.mp4", ("a.mp4", 1.0)), ("a.mp4:0.5", ("a.mp4", 0.5)), ("C:/a.mp4", ("C:/a.mp4", 1.0)), ("b:1.5", ("b", 1.5))],
)
def test_a_clip_and_a_strength(text: str, meant: tuple[str, float]) -> None:
    assert parse_style(text) == meant


@pytest.mark.parametrize("text", ["a.mp4:2", "a.mp4:-1", "a.mp4:nan"])
def test_a_strength_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"from 0 to 1\.5"):
        parse_style(text)
