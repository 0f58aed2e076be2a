"""A head says any sound: every frame, in an actor's own poses, without a look at what is held out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_subject import corrupted

from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.replay import Replay, Stance, to_and_fro
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject

CPU = torch.device("cpu")
Babble = Callable[[int], np.ndarray]
MakeHead = Callable[..., Head]
NO_WEIGHTS = Path("nowhere")  # the stand-in for the encoder needs none


def driver(subject: Subject, head: Head, seed: int = 0) -> Driver:
    head = head.to(CPU)
    return Driver(subject, head, Ears(subject, head, NO_WEIGHTS), Replay(subject, CPU), seed, CPU)


def pictures(of: Driver, samples: np.ndarray) -> np.ndarray:
    return np.stack([shown.picture for shown in of(samples)])


def test_to_and_fro_never_jumps_and_shows_all() -> None:
    shown = [to_and_fro(100, 104, frame) for frame in range(10)]
    assert shown == [100, 101, 102, 103, 103, 102, 101, 100, 100, 101]
    assert [to_and_fro(7, 8, frame) for frame in range(3)] == [7, 7, 7]


def test_poses_are_those_of_training_frames(hearing_subject: Subject) -> None:
    stances = Replay(hearing_subject, CPU)
    clip = hearing_subject.clips[0]
    poses = hearing_subject.tracking.world_to_camera[clip.first : clip.test_first].astype(np.float32)
    for frame in (0, 5, clip.test_first, 3 * clip.length):
        viewmat = stances(frame).camera.viewmat.numpy()
        assert (np.abs(poses - viewmat).max((1, 2)) == 0).any()
    first = stances(0)
    assert first.background.shape == (64, 64, 3)
    np.testing.assert_array_equal(first.camera.viewmat.numpy(), poses[0])


def test_a_frame_for_every_frame_of_sound(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    shown = list(driver(hearing_subject, make_head(hearing_subject))(babble(9)))
    assert len(shown) == 9
    assert shown[0].picture.shape == (64, 64, 3) and shown[0].picture.dtype == np.uint8
    np.testing.assert_allclose(
        [each.heard.loudness for each in shown], np.sqrt((babble(9).reshape(9, -1) ** 2).mean(1)), rtol=1e-5
    )


def test_it_says_what_it_hears(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    one = driver(hearing_subject, make_head(hearing_subject))
    samples = babble(6)
    again, other = pictures(one, samples), pictures(one, samples[::-1].copy())
    assert np.array_equal(pictures(one, samples), again), "the same sound, the same frames"
    assert np.abs(again.astype(int) - other.astype(int)).max() > 10


def test_the_seed_moves_eyes_not_lips(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    head = make_head(hearing_subject)
    one, other = driver(hearing_subject, head, 1), driver(hearing_subject, head, 2)
    assert np.array_equal(one.upper_face(80), driver(hearing_subject, head, 1).upper_face(80))
    assert not np.array_equal(one.upper_face(80), other.upper_face(80))
    for a, b in zip(one(babble(5)), other(babble(5)), strict=True):
        assert torch.equal(a.controls.lips, b.controls.lips)


def test_nothing_held_out_is_seen(
    hearing_subject: Subject, make_head: MakeHead, babble: Babble, tmp_path: Path
) -> None:
    spoilt = corrupted(hearing_subject, tmp_path)
    spoilt.speech = hearing_subject.speech
    head = make_head(hearing_subject).to(CPU)
    samples = babble(70)[: 70 * SAMPLES_PER_FRAME]
    found = []
    for subject in (hearing_subject, spoilt):
        one = Driver(subject, head, Ears(subject, head, NO_WEIGHTS), Replay(subject, CPU), 0, CPU)
        found.append(pictures(one, samples)[::7])
    assert np.array_equal(*found)


def test_frames_come_before_the_sound_has_been_heard_to_its_end(
    hearing_subject: Subject, make_head: MakeHead, babble: Babble
) -> None:
    heard = []

    class Long:
        def __len__(self) -> int:
            return 100_000 * SAMPLES_PER_FRAME

        def __getitem__(self, part: slice) -> np.ndarray:
            heard.append(part.stop)
            return np.resize(babble(50), part.stop - part.start)

    shown = list(islice(driver(hearing_subject, make_head(hearing_subject))(Long()), 3))
    assert len(shown) == 3 and max(heard) <= 1000 * SAMPLES_PER_FRAME


def test_a_head_that_listens_to_tokens_gets_those_of_the_new_sound(
    hearing_subject: Subject, make_head: MakeHead, babble: Babble
) -> None:
    one = driver(hearing_subject, make_head(hearing_subject, free_code=4))
    shown = list(one(babble(30)))
    passage = one.ears.hear(babble(30), 0, 30)
    tokens = shown[20].controls.tokens
    assert tokens is not None
    np.testing.assert_allclose(tokens[0, 4, 7:9].numpy(), passage.speech.features[40:42].astype(np.float32))


def test_another_way_to_move_takes_the_place_of_the_replay(
    hearing_subject: Subject, make_head: MakeHead, babble: Babble
) -> None:
    still = Replay(hearing_subject, CPU)(3)
    asked: list[int] = []

    def stand(frame: int) -> Stance:
        asked.append(frame)
        return still

    head = make_head(hearing_subject).to(CPU)
    one = Driver(hearing_subject, head, Ears(hearing_subject, head, NO_WEIGHTS), stand, 0, CPU)
    assert {id(shown.stance) for shown in one(babble(4))} == {id(still)}
    assert asked == [0, 1, 2, 3]


def test_a_plain_head_has_no_deviation(hearing_subject: Subject, make_head: MakeHead, babble: Babble) -> None:
    one = driver(hearing_subject, make_head(hearing_subject))
    shown = next(one(babble(2)))
    with pytest.raises(ValueError, match="no beliefs"):
        one.deviation(shown)
