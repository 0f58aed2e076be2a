"""Rendered differences between emotions against true ones."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.metrics.emotion import emotion_figures, true_means

RNG = np.random.default_rng(0)
TRUE = {label: RNG.uniform(0, 1, 52) for label in ("angry", "sad", "happy")}


def test_half_as_strong_in_the_same_direction() -> None:
    middle = np.mean(list(TRUE.values()), 0)
    weak = {label: middle + 0.5 * (mean - middle) for label, mean in TRUE.items()}
    pairs = emotion_figures(weak, TRUE, BLENDSHAPE_NAMES)["pairs"]
    assert set(pairs) == {"angry - sad", "angry - happy", "sad - happy"}
    for figures in pairs.values():
        assert figures["cosine"] == pytest.approx(1)
        assert figures["gain"] == pytest.approx(0.5)
    assert "jawOpen" not in pairs["angry - sad"]["true"], "what sounds move says nothing of emotion"


def test_the_wrong_way_round_is_negative_and_no_difference_is_nothing() -> None:
    swapped = {"angry": TRUE["sad"], "sad": TRUE["angry"]}
    assert emotion_figures(swapped, TRUE, BLENDSHAPE_NAMES)["pairs"]["angry - sad"]["cosine"] == pytest.approx(-1)
    same = emotion_figures(dict.fromkeys(("angry", "sad"), TRUE["sad"]), TRUE, BLENDSHAPE_NAMES)
    assert same["pairs"]["angry - sad"]["gain"] == 0


def test_means_take_valid_frames_of_each_label() -> None:
    shapes = np.arange(6.0)[:, None] * np.ones(52)
    means = true_means(shapes, np.array([1, 1, 0, 1, 1, 1], bool), ["a", "a", "a", "b", "b", None])
    assert {label: mean[0] for label, mean in means.items()} == {"a": 0.5, "b": 3.5}
