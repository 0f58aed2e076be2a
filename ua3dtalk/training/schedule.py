"""Learning rates over the iterations, as pure functions."""

from __future__ import annotations


def net_factor(iteration: int, halve_until: int, iterations: int) -> float:
    """Factor of the nets' rates: halves over `halve_until` iterations, then follows a fall to a tenth at the end.

    Source: TalkingGaussian (0.5^(it / S) before S, 0.1^(it / B) from there).
    """
    if iteration < halve_until:
        return float(0.5 ** (iteration / halve_until))
    return float(0.1 ** (iteration / iterations))


def log_linear(iteration: int, start: float, stop: float, steps: int) -> float:
    """From start to stop on a straight line of logarithms over `steps` iterations, constant afterwards.

    Source: 3D Gaussian splatting, position learning rate.
    """
    share = min(iteration / max(steps, 1), 1.0)
    return float(start ** (1 - share) * stop**share)


def linear(iteration: int, start: float, stop: float, steps: int) -> float:
    """From start to stop on a straight line over `steps` iterations, constant afterwards."""
    share = min(iteration / max(steps, 1), 1.0)
    return start + (stop - start) * share
