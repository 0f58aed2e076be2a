"""The last stage: colours and opacities of both branches agree on whole frames; nothing else moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.perceptual import PerceptualDistance
from ua3dtalk.rendering.compose import compose, draw
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.head import Head, TrainedBranch
from ua3dtalk.training.checkpoint import broken
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.objectives import perceptual_patch, photometric
from ua3dtalk.training.settings import TrainingSettings

TRAINED = ("sh", "raw_opacities")


class FuseTrainer:
    """Both branches before the frame's own torso and plate; harmonics and opacities train.

    Args:
        head: the trained branches; controls: drives every frame; frames: the actor's training material.
        perceptual: network of the perceptual loss, or None.
    Source: TalkingGaussian, fuse stage. The rates are set after a checkpoint is loaded (the release loses them there).
    """

    def __init__(
        self,
        head: Head,
        controls: ControlTrack,
        frames: Frames,
        settings: TrainingSettings,
        perceptual: PerceptualDistance | None,
        seed: int,
    ) -> None:
        self.head, self.controls, self.frames, self.settings = head, controls, frames, settings
        self.perceptual, self.seed = perceptual, seed
        self.iteration = 0
        self._branches: dict[str, TrainedBranch] = {"face": head.face, "mouth": head.mouth}
        with torch.no_grad():
            self._parts = {name: branch.net.kept_parts(branch.cloud.means) for name, branch in self._branches.items()}
        self._optimiser = self._new_optimiser()

    def _new_optimiser(self) -> torch.optim.Adam:
        rates = {"sh": self.settings.fuse.colour_rate, "raw_opacities": self.settings.fuse.opacity_rate}
        groups = [
            {"params": [getattr(branch.cloud, key).requires_grad_()], "lr": rates[key]}
            for branch in self._branches.values()
            for key in TRAINED
        ]
        return torch.optim.Adam(groups, eps=1e-15, fused=True)

    def picture(self, frame: int) -> Tensor:
        """The composed frame [H, W, 3]."""
        controls, camera = self.controls(frame), self.frames.camera(frame)
        layers = []
        for name, branch in self._branches.items():
            with torch.no_grad():
                edits = branch.net(self._parts[name], controls, with_variance=False)
            layers.append(draw(branch.cloud, edits, camera, self.settings.sh_degree, self.settings.rasteriser))
        return compose(layers[0], layers[1], self.frames.backdrop(frame))

    def step(self, frame: int) -> float:
        """One step; returns the loss.

        Raises:
            DataError: the loss is not a number.
        """
        picture, target = self.picture(frame), self.frames.picture(frame)
        loss = photometric(picture, target, self.settings.ssim_weight)
        start = self.settings.fuse.perceptual_from
        if self.perceptual is not None and start is not None and self.iteration >= start:
            window = self.frames.head_window(frame, 0)
            rng = np.random.default_rng((self.seed, self.iteration, 1))
            head = (window.rows, window.columns)
            patch = perceptual_patch(self.perceptual, picture[head], target[head], self.settings.perceptual_patch, rng)
            loss = loss + self.settings.fuse.perceptual_weight * patch
        value = float(loss.detach())
        if not np.isfinite(value):
            raise broken(self.iteration, f"the loss is {value}")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.iteration += 1
        return value

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on."""
        return {
            "iteration": self.iteration,
            "trained": {
                name: {key: getattr(branch.cloud, key).detach() for key in TRAINED}
                for name, branch in self._branches.items()
            },
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.iteration = state["iteration"]
        with torch.no_grad():
            for name, branch in self._branches.items():
                for key in TRAINED:
                    getattr(branch.cloud, key).copy_(state["trained"][name][key])
        self._optimiser.load_state_dict(state["optimiser"])
