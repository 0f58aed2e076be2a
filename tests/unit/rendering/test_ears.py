"""A sound is heard passage by passage as it would be heard at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_training import tiny_head

from ua3dtalk.errors import ConfigError
from ua3dtalk.rendering.ears import MARGIN, PASSAGE, Ears
from ua3dtalk.rendering.head import Head
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject

Babble = Callable[[int], np.ndarray]
MakeHead = Callable[..., Head]
NO_WEIGHTS = Path("nowhere")  # the stand-in for the encoder needs none


class Watched:
    """A sound that remembers how much of it was asked for at a time."""

    def __init__(self, samples: np.ndarray) -> None:
        self.samples, self.asked = samples, [0]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> np.ndarray:
        found: np.ndarray = self.samples[part]
        self.asked.append(len(found))
        return found


@pytest.mark.parametrize("frames", [1, 2, 499, 500, 625, 626, 1300])
def test_every_frame_is_heard_once_and_in_order(
    hearing_subject: Subject, make_head: MakeHead, babble: Babble, frames: int
) -> None:
    ears = Ears(hearing_subject, make_head(hearing_subject), NO_WEIGHTS)
    sound = Watched(babble(frames))
    order = [passage.start + row for passage in ears.passages(sound) for row in passage.inner]
    assert order == list(range(frames))
    assert max(sound.asked) <= (PASSAGE + 2 * MARGIN) * SAMPLES_PER_FRAME, "memory must not grow with the length"


def test_passages_say_what_the_whole_says(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    """The stand-in for the encoder looks at one place at a time, so nothing but the passages' borders could differ."""
    ears = Ears(hearing_subject, make_head(hearing_subject), NO_WEIGHTS)
    samples = babble(1300)
    whole = ears.hear(samples, 0, 1300)
    assert whole.inner == range(1300)
    for passage in ears.passages(samples):
        rows = slice(passage.inner.start, passage.inner.stop)
        same = slice(passage.start + passage.inner.start, passage.start + passage.inner.stop)
        np.testing.assert_allclose(passage.track.lips[rows], whole.track.lips[same], atol=2e-3)
        np.testing.assert_allclose(passage.loudness[rows], whole.loudness[same], rtol=1e-6)


def test_loudness_is_that_of_each_frame(hearing_subject: Subject, make_head: MakeHead) -> None:
    ears = Ears(hearing_subject, make_head(hearing_subject), NO_WEIGHTS)
    samples = np.repeat(np.array([0.0, 0.5, 0.25], np.float32), SAMPLES_PER_FRAME)
    passage = ears.hear(samples, 0, 3)
    np.testing.assert_allclose(passage.loudness, [0, 0.5, 0.25], rtol=1e-6)
    np.testing.assert_array_equal(passage.spoken, [0, 1, 1])


def test_another_sound_is_heard_as_another(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    ears = Ears(hearing_subject, make_head(hearing_subject), NO_WEIGHTS)
    one, other = ears.hear(babble(40), 0, 40), ears.hear(babble(40)[::-1].copy(), 0, 40)
    assert np.abs(one.track.lips - other.track.lips).max() > 0.01


def test_silence_rests(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    ears = Ears(hearing_subject, make_head(hearing_subject), NO_WEIGHTS)
    samples = babble(100)
    samples[30 * SAMPLES_PER_FRAME : 70 * SAMPLES_PER_FRAME] = 0
    lips = ears.hear(samples, 0, 100).track.lips
    assert np.abs(np.diff(lips[42:58], axis=0)).max() < 1e-4, "lips at rest do not move"
    assert np.abs(np.diff(lips[:25], axis=0)).max() > 1e-3


def test_features_from_a_file_cannot_hear_new_sound(tiny_subject: Subject) -> None:
    with pytest.raises(ConfigError, match=r"features of tiny, .*backends\.speech: whisper"):
        Ears(tiny_subject, tiny_head(tiny_subject), NO_WEIGHTS)
