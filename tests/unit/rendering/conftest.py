"""An actor that can hear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hearing import babble, hearing_subject, make_head

from ua3dtalk.face.lips import lip_coefficients
from ua3dtalk.subject import Subject

__all__ = ["babble", "hearing_subject", "make_head"]


@pytest.fixture
def linear(tiny_subject: Subject) -> Subject:
    """The drawn actor, whose coefficients tell its lip shapes linearly."""
    rng = np.random.default_rng(5)
    subject = Subject(tiny_subject.root)
    train = tiny_subject.train_frames[tiny_subject.landmarks.valid[tiny_subject.train_frames]]
    shapes = lip_coefficients(tiny_subject, train, 12)
    coefficients = np.clip(0.5 + 0.03 * shapes @ rng.standard_normal((12, 52)), 0, 1)
    subject.__dict__["expression"] = replace(tiny_subject.expression, coefficients=coefficients)
    return subject
