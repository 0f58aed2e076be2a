"""Which frames the steps train on."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.subject import Subject
from ua3dtalk.training.curriculum import Curriculum, curriculum_of, face_frame, mouth_frame
from ua3dtalk.training.settings import BranchTraining

OWN = BranchTraining(iterations=1000, warmup=100, curriculum_until=800, curriculum_interval=5)
ALL = np.arange(200)
RAMP = Curriculum(ALL + 1000, np.linspace(0, 1, 200), np.linspace(1, 0, 200))


def chosen(pick: object, curriculum: Curriculum, iteration: int, times: int = 40) -> np.ndarray:
    """Rows of the curriculum that a step may draw."""
    draws = [pick(curriculum, iteration, OWN, np.random.default_rng(seed)) for seed in range(times)]  # type: ignore[operator]
    return np.searchsorted(curriculum.frames, draws)


def test_a_face_first_opens_its_mouth() -> None:
    for iteration in (0, 50, 95):
        openings = RAMP.opening[chosen(face_frame, RAMP, iteration)]
        assert np.abs(openings - iteration / OWN.warmup).max() <= 0.1 + 1e-9
        assert np.ptp(openings) > 0


def test_a_face_then_closes_its_eyes() -> None:
    for iteration in (100, 400, 700):
        share = iteration / OWN.curriculum_until
        blinks = RAMP.blink[chosen(face_frame, RAMP, iteration)]
        assert blinks.min() >= share - 0.15 - 1e-9 and blinks.max() <= share + 0.3 + 1e-9


def test_a_mouth_is_wide_open_before_it_moves_and_closes_slowly() -> None:
    assert RAMP.opening[chosen(mouth_frame, RAMP, 17)].min() >= 0.95
    lower_quarter = np.quantile(RAMP.opening, 0.25)
    for iteration in (100, 400, 795):
        least = 1 - iteration / OWN.curriculum_until * (1 - lower_quarter)
        openings = RAMP.opening[chosen(mouth_frame, RAMP, iteration)]
        assert openings.min() >= least - 1e-9


@pytest.mark.parametrize("pick", [face_frame, mouth_frame])
@pytest.mark.parametrize("iteration", [101, 800, 999])
def test_other_steps_and_the_end_draw_from_all_frames(pick: object, iteration: int) -> None:
    rows = chosen(pick, RAMP, iteration, 400)
    assert np.ptp(rows) > 180 and len(np.unique(rows)) > 120


@pytest.mark.parametrize("pick", [face_frame, mouth_frame])
@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
def test_a_subject_who_never_blinks_nor_speaks_is_trained_too(pick: object, value: float) -> None:
    """The released search for a frame in the window would go on for ever."""
    still = Curriculum(ALL, np.full(200, value), np.zeros(200))
    for iteration in range(0, OWN.iterations, 5):
        assert 0 <= chosen(pick, still, iteration, 1)[0] < 200


def test_outside_of_the_range_the_nearest_frame_is_taken() -> None:
    curriculum = Curriculum(np.array([7, 8, 9]), np.array([0.1, 0.5, 0.2]), np.zeros(3))
    rng = np.random.default_rng(0)
    assert curriculum.nearest(curriculum.opening, 0.8, 1.0, rng) == 8
    assert curriculum.nearest(curriculum.opening, -0.3, -0.1, rng) == 7
    assert curriculum.nearest(curriculum.opening, 0.15, 0.3, rng) == 9


def test_only_training_frames_that_show_a_face(tiny_subject: Subject) -> None:
    subject = Subject(tiny_subject.root)
    subject.landmarks.valid[[3, 11]] = False
    curriculum = curriculum_of(subject)
    assert set(curriculum.frames) == set(subject.train_frames) - {3, 11}
    assert curriculum.opening.min() >= 0 and curriculum.opening.max() == 1
    assert len(curriculum.opening) == len(curriculum.blink) == len(curriculum.frames)
