"""What the beliefs' variance means in pixels, fitted on frames that are driven as new speech would drive them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.rendering.compose import LEAST_VARIANCE
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.head import Head, TrainedBranch
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.training.checkpoint import broken
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.objectives import residual_likelihood
from ua3dtalk.training.settings import TrainingSettings

BACKDROP_FRAMES = 40  # training frames that the backdrop's variance is taken from, evenly


class DoubtTrainer:
    """Fits the confidence of both branches to the residual of composed pictures; nothing else of the head moves.

    Args:
        head: trained, with beliefs.
        controls: what speech tells of each frame; the branches were trained on the truth, which has smaller residuals.
        frames: the actor's training material.
    Attributes:
        head: the same head, its branches with a doubt per Gaussian.
    """

    def __init__(self, head: Head, controls: ControlTrack, frames: Frames, settings: TrainingSettings) -> None:
        self.controls, self.frames, self.iteration = controls, frames, 0
        self.head = replace(
            head,
            face=_doubting(head.face),
            mouth=_doubting(head.mouth),
            backdrop_variance=self._backdrop_variance(HeadRenderer(head, frames.device, settings.rasteriser)),
        )
        self._renderer = HeadRenderer(self.head, frames.device, settings.rasteriser)
        confidence, places = [], []
        for branch in (self.head.face, self.head.mouth):
            assert branch.net.uncertain is not None and branch.doubt is not None
            confidence += list(branch.net.uncertain.confidence.requires_grad_().parameters())
            places.append(branch.doubt)
        rate = settings.fuse.doubt_rate
        self._trained = [*confidence, *places]
        self._optimiser = torch.optim.Adam([{"params": confidence, "lr": rate}, {"params": places, "lr": 10 * rate}])

    def _backdrop_variance(self, renderer: HeadRenderer) -> Tensor:
        """Mean squared residual [H, W] of training frames where torso and plate show."""
        train = self.frames.subject.train_frames
        total = weight = torch.zeros(self.frames.height, self.frames.width, device=self.frames.device)
        for frame in train[np.linspace(0, len(train) - 1, min(len(train), BACKDROP_FRAMES)).round().astype(int)]:
            seen = renderer.transmittance(self.frames.camera(frame), self.controls(frame))
            residual = (self.frames.backdrop(frame) - self.frames.picture(frame)).square().mean(-1)
            total, weight = total + seen * residual, weight + seen
        return (total / weight.clamp_min(1)).clamp_min(LEAST_VARIANCE)

    def step(self, frame: int) -> float:
        """One step on a training frame; returns the likelihood's loss.

        Raises:
            DataError: it is not a number.
        """
        controls, camera = self.controls(frame), self.frames.camera(frame)
        window = self.frames.head_window(frame, 0)
        picture = self._renderer(camera, controls, self.frames.backdrop(frame))
        residual = (picture - self.frames.picture(frame)).square().mean(-1)
        variance = self._renderer.variance(camera, controls)
        here = (window.rows, window.columns)
        loss = residual_likelihood(residual[here], variance[here])
        value = float(loss.detach())
        if not math.isfinite(value):
            raise broken(self.iteration, f"the loss of the doubt is {value}")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.iteration += 1
        return value

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on."""
        return {
            "iteration": self.iteration,
            "trained": [value.detach() for value in self._trained],
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.iteration = state["iteration"]
        with torch.no_grad():
            for value, saved in zip(self._trained, state["trained"], strict=True):
                value.copy_(saved)
        self._optimiser.load_state_dict(state["optimiser"])


def _doubting(branch: TrainedBranch) -> TrainedBranch:
    return replace(branch, doubt=torch.zeros(len(branch.cloud), device=branch.cloud.means.device, requires_grad=True))
