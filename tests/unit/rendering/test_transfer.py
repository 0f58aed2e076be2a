"""Emotions that the actor never showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import with_motion

from ua3dtalk.errors import InputError
from ua3dtalk.face.basis import expression_basis
from ua3dtalk.face.landmarker import LEFT_BROW, RIGHT_BROW
from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.replay import Still
from ua3dtalk.rendering.transfer import PROTOTYPES, displacement, split_labels
from ua3dtalk.rendering.wishes import Wish, parse_wish
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")
MOUTH_CORNERS = [61, 291]
BROWS = [*LEFT_BROW, *RIGHT_BROW]


def test_every_prototype_is_made_of_shapes_that_there_are() -> None:
    names = expression_basis().names
    for label, shapes in PROTOTYPES.items():
        for shape in shapes:
            assert shape in names or {f"{shape}Left", f"{shape}Right"} <= set(names), (label, shape)


def test_faces_move_where_everybody_s_do() -> None:
    """y of the head's frame points down."""
    surprised, angry = displacement({"surprised": 1.0}), displacement({"angry": 1.0})
    assert surprised[BROWS, 1].mean() < -0.002 < 0.001 < angry[BROWS, 1].mean()
    happy, sad = displacement({"happy": 1.0}), displacement({"sad": 1.0})
    assert happy[MOUTH_CORNERS, 1].mean() < -0.001 and sad[MOUTH_CORNERS, 1].mean() > 0.001
    one_sided = np.abs(displacement({"contempt": 1.0})[MOUTH_CORNERS]).max(1)
    assert one_sided.max() > 3 * one_sided.min()


def test_strengths_scale_and_add_up() -> None:
    both = displacement({"happy": 0.5, "surprised": 1.0})
    assert both == pytest.approx(0.5 * displacement({"happy": 1.0}) + displacement({"surprised": 1.0}))
    assert not displacement({}).any()


def test_labels_are_the_actor_s_where_it_has_shown_them(tiny_subject: Subject) -> None:
    subject = Subject(tiny_subject.root)
    subject.__dict__["clips"] = (replace(tiny_subject.clips[0], emotion="happy"),)
    assert split_labels(subject, ("happy", "sad")) == (("happy",), ("sad",))
    with pytest.raises(InputError, match="no clip labelled 'bored'"):
        split_labels(subject, ("bored",))


@pytest.fixture
def moving_head(hearing_subject: Subject, make_head: Callable[..., Head]) -> Head:
    """A head whose face begins with the landmarks' motion."""
    return with_motion(hearing_subject, make_head(hearing_subject))


def test_an_asked_emotion_raises_the_brows_and_the_doubt_by_its_strength(
    hearing_subject: Subject, moving_head: Head, babble: Callable[[int], np.ndarray]
) -> None:
    def shown(emotion: str | None) -> list:
        ears = Ears(hearing_subject, moving_head, Path("nowhere"))
        asked = parse_wish(emotion)
        stances = Still(hearing_subject, CPU)
        return list(Driver(hearing_subject, moving_head.to(CPU), ears, stances, 0, CPU, asked=asked)(babble(3)))

    motion = moving_head.face.net.motion
    assert motion is not None
    brows = torch.cdist(moving_head.face.cloud.means, motion.places[BROWS]).amin(1) < 0.005
    parts = moving_head.face.net.kept_parts(moving_head.face.cloud.means)
    heights, doubts = [], []
    for emotion in (None, "surprised:0.5", "surprised"):
        controls = shown(emotion)[1].controls
        with torch.no_grad():
            position = moving_head.face.net(parts, controls).position
        heights.append(float(position[brows, 1].mean()))
        doubts.append(controls.novelty)
    assert heights[0] - 1e-3 > heights[1] and heights[1] - 1e-3 > heights[2]
    assert doubts == pytest.approx([1.0, 2.25, 4.0])


def test_an_emotion_after_the_end_of_the_sound_is_refused(
    hearing_subject: Subject, moving_head: Head, babble: Callable[[int], np.ndarray]
) -> None:
    late = Wish(("surprised",), np.array([0.0, 0.5]), np.ones((2, 1)))
    ears = Ears(hearing_subject, moving_head, Path("nowhere"))
    driver = Driver(hearing_subject, moving_head.to(CPU), ears, Still(hearing_subject, CPU), 0, CPU, asked=late)
    with pytest.raises(InputError, match=r"asked for at 0\.5 s, the sound ends at 0\.4 s"):
        next(driver(babble(10)))
    assert len(list(driver(babble(13)))) == 13
