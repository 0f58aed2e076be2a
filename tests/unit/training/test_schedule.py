"""Rates over the iterations are those of the published schedule."""

from __future__ import annotations

import pytest

from ua3dtalk.training.schedule import linear, log_linear, net_factor
from ua3dtalk.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("iteration", "factor"), [(0, 1.0), (20_000, 0.7071), (39_999, 0.5), (40_000, 0.1585), (50_000, 0.1)]
)
def test_net_factor_of_the_release(iteration: int, factor: float) -> None:
    assert net_factor(iteration, 40_000, 50_000) == pytest.approx(factor, abs=5e-5)


def test_log_linear_meets_its_ends_and_their_geometric_mean() -> None:
    rates = [log_linear(it, 1.6e-4, 1.6e-6, 45_000) for it in (0, 22_500, 45_000, 50_000)]
    assert rates == pytest.approx([1.6e-4, 1.6e-5, 1.6e-6, 1.6e-6])


def test_linear_meets_its_ends() -> None:
    assert [linear(it, 0.05, 0.3, 100) for it in (0, 50, 100, 150)] == pytest.approx([0.05, 0.175, 0.3, 0.3])


def test_no_steps_at_all() -> None:
    assert log_linear(0, 1.0, 0.1, 0) == 1.0
    assert log_linear(1, 1.0, 0.1, 0) == pytest.approx(0.1)


def test_defaults_are_the_published_schedule() -> None:
    settings = TrainingSettings()
    face, mouth = settings.face, settings.mouth
    assert (face.iterations, face.warmup, face.initial_gaussians) == (50_000, 3_000, 2_000)
    assert (face.densify.stop, face.densify.gradient_threshold) == (49_000, 5e-4)
    assert (face.halve_until, face.curriculum_interval, face.hair_interval) == (40_000, 15, 7)
    assert (mouth.densify.stop, mouth.densify.gradient_threshold) == (45_000, 2e-4)
    assert (mouth.halve_until, mouth.curriculum_until, mouth.curriculum_interval) == (39_000, 39_000, 7)
    assert mouth.freeze_from == 49_000 and face.freeze_from is None
    assert (settings.fuse.iterations, settings.fuse.opacity_rate) == (10_000, 1e-3)
    assert settings.ssim_weight == 0.2 and settings.sh_degree == 2
