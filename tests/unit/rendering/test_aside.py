"""Colours seen from where no training frame was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ua3dtalk.face.geometry import rotation_matrix
from ua3dtalk.rendering.aside import from_aside, least_harmonics
from ua3dtalk.rendering.head import Head
from ua3dtalk.splat import sh
from ua3dtalk.subject import Subject


def directions(degrees: float, count: int = 200) -> np.ndarray:
    """Unit vectors within so many degrees of straight ahead."""
    turns = np.radians(np.random.default_rng(0).uniform(-degrees, degrees, (count, 2)))
    return rotation_matrix(np.pad(turns, ((0, 0), (0, 1))))[:, :, 2]


def colours(harmonics: torch.Tensor, seen_from: np.ndarray, degree: int) -> np.ndarray:
    """[n, N] of one channel, before any is clamped."""
    return (sh.basis(degree, torch.from_numpy(seen_from)).float() @ harmonics).numpy()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_what_was_seen_stays_and_the_rest_is_calm(degree: int) -> None:
    harmonics = torch.randn(sh.coefficients(degree), 500, generator=torch.Generator().manual_seed(0))
    kept = least_harmonics(directions(25), degree) @ harmonics
    seen, aside = directions(20), directions(20) @ rotation_matrix(np.radians([0.0, 60.0, 0.0]))
    before, after = (colours(each, seen, degree) for each in (harmonics, kept))
    mean = before.mean(0)
    assert ((after - before) ** 2).mean() < 0.05 * ((before - mean) ** 2).mean()
    wild, calm = (np.abs(colours(each, aside, degree) - mean).mean() for each in (harmonics, kept))
    assert calm < wild


def test_who_never_turned_has_one_colour() -> None:
    harmonics = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    kept = least_harmonics(np.tile([0.0, 0.0, 0.7], (10, 1)), 1) @ harmonics
    ahead, aside = (colours(kept, directions(0, 1) @ rotation_matrix(np.radians([0.0, d, 0.0])), 1) for d in (0, 60))
    straight = colours(harmonics, directions(0, 1), 1)
    assert np.abs(ahead - straight).max() < 0.01
    assert np.abs(aside - ahead).max() < 0.02


def test_only_colours_change(tiny_subject: Subject, make_head: Callable[..., Head]) -> None:
    head = make_head(tiny_subject)
    found = from_aside(head, tiny_subject)
    for one, other in ((head.face, found.face), (head.mouth, found.mouth)):
        assert one.net is other.net and one.cloud.sh.shape == other.cloud.sh.shape
        assert torch.equal(one.cloud.means, other.cloud.means)
