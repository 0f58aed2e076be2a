"""Training of one branch: static first, then moved by its net, with Gaussians added and removed on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.field.branch import Edits, PositionParts
from ua3dtalk.field.uncertain import UncertainParts
from ua3dtalk.perceptual import PerceptualDistance
from ua3dtalk.rendering.compose import LEAST_VARIANCE, Layer, draw, draw_values
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.head import BranchNet, Controls
from ua3dtalk.splat.camera import Camera
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.splat.densify import Densifier
from ua3dtalk.subject import FPS
from ua3dtalk.training.checkpoint import broken
from ua3dtalk.training.objectives import motion_size, perceptual_patch, photometric, residual_likelihood
from ua3dtalk.training.poses import PoseCorrections
from ua3dtalk.training.schedule import linear, log_linear, net_factor
from ua3dtalk.training.settings import BranchTraining, TrainingSettings


@dataclass(frozen=True)
class Example:
    """One step's material.

    camera of the window; target [h, w, 3]; background [3] behind the Gaussians; ignore [h, w] bool pixels that both
    pictures show as background; penalties: further terms from the layer, the edits and the step's number.
    """

    frame: int
    camera: Camera
    target: Tensor
    background: Tensor
    ignore: Tensor | None
    penalties: Callable[[Layer, Edits | None], Tensor]


class BranchTrainer:
    """Cloud, net and optimisers of one branch, and the step that improves them.

    Args:
        cloud, net: where training starts.
        controls: drives every frame.
        settings: all of training; own: this branch's part.
        extent: radius of the scene in m, which scales the positions' rate.
        poses: corrections of the training frames' cameras, or None.
        perceptual: network of the perceptual loss, or None.
    """

    def __init__(
        self,
        cloud: Cloud,
        net: BranchNet,
        controls: ControlTrack,
        settings: TrainingSettings,
        own: BranchTraining,
        extent: float,
        poses: PoseCorrections | None,
        perceptual: PerceptualDistance | None,
        seed: int,
    ) -> None:
        self.cloud, self.net, self.controls = cloud, net, controls
        self.settings, self.own, self.extent, self.poses = settings, own, extent, poses
        self.perceptual, self.seed = perceptual, seed
        self.iteration = 0
        self._attach(cloud.means)
        self.gaussian_optimisers = self._gaussian_optimisers()
        self.net_optimiser = self._net_optimiser()
        self.densifier = Densifier(
            own.densify.gradient_threshold,
            max_gaussians=own.densify.max_gaussians,
            extent=extent,
            generator=torch.Generator().manual_seed(seed),
        )

    def _gaussian_optimisers(self) -> dict[str, torch.optim.Adam]:
        """One Adam per parameter: densification edits their states row by row."""
        own = self.own
        rates = {
            "means": own.position_rate * self.extent,
            "quats": own.rotation_rate,
            "raw_scales": own.scale_rate,
            "raw_opacities": own.opacity_rate,
            "sh": own.colour_rate,
        }
        parameters = self.cloud.tensors()
        return {key: torch.optim.Adam([parameters[key]], lr=rate, eps=1e-15, fused=True) for key, rate in rates.items()}

    def _net_optimiser(self) -> torch.optim.AdamW:
        own, field = self.own, self.net.field
        planes = list(field.planes.parameters())
        known = {id(parameter) for parameter in planes}
        others = [parameter for parameter in self.net.parameters() if id(parameter) not in known]
        # The mean of T nets with random starts is sqrt(T) times smaller than one net, and would wake as much later.
        members = 1 if self.settings.beliefs is None else self.settings.beliefs.members
        rate = own.net_rate * math.sqrt(members)
        groups = [
            {"params": planes, "lr": own.plane_rate, "weight_decay": own.plane_decay, "base": own.plane_rate},
            {"params": others, "lr": rate, "weight_decay": own.net_decay, "base": rate},
        ]
        return torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-8, fused=True)

    @property
    def moving(self) -> bool:
        """Whether the net has begun to move the Gaussians."""
        return self.iteration >= self.own.warmup

    def step(self, example: Example) -> float:
        """One step; returns the loss.

        Raises:
            DataError: the loss is not a number.
        """
        self._set_rates()
        parts = self.net.field.position_parts(self.cloud.means) if self.moving else None
        edits = None
        if parts is not None:
            controls = self._shaken(self.controls(example.frame))
            edits = self.net(parts, controls, self._member(example.frame), self._doubts())
        camera = self.poses.correct(example.camera, example.frame) if self.poses else example.camera
        layer = draw(self.cloud, edits, camera, self._sh_degree(), self.settings.rasteriser)
        means2d = layer.meta["means2d"]
        if means2d.requires_grad:
            means2d.retain_grad()
        picture = layer.over(example.background)
        if example.ignore is not None:
            picture = torch.where(example.ignore[..., None], example.background, picture)
        loss = photometric(picture, example.target, self.settings.ssim_weight)
        loss = loss + example.penalties(layer, edits)
        if edits is not None:
            loss = loss + self.own.motion_weight * motion_size(edits)
            loss = loss + self._doubted(parts, edits, camera, picture, example)
        loss = loss + self._perceived(picture, example.target)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise broken(self.iteration, f"the loss is {value}")
        loss.backward()
        self._update(layer, example)
        self.iteration += 1
        return value

    def _perceived(self, picture: Tensor, target: Tensor) -> Tensor:
        """The weighted perceptual distance of a patch; zero before its time."""
        start = self.own.perceptual_from
        if self.perceptual is None or start is None or self.iteration < start:
            return picture.new_zeros(())
        rng = np.random.default_rng((self.seed, self.iteration, 1))
        patch = perceptual_patch(self.perceptual, picture, target, self.settings.perceptual_patch, rng)
        return self.own.perceptual_weight * patch

    def edits(self, frame: int) -> Edits:
        """What the net makes of a frame now; every member is asked."""
        found: Edits = self.net(self.net.field.position_parts(self.cloud.means), self.controls(frame))
        return found

    def _shaken(self, controls: Controls) -> Controls:
        """Controls whose views besides audio are noisy or, now and then, left out.

        A frame's prior tells which frame it is: a net that heard its exact numbers would learn frames by heart.
        """
        beliefs = self.settings.beliefs
        if beliefs is None:
            return controls
        rng = np.random.default_rng((self.seed, self.iteration, 4))
        changed: dict[str, Any] = {}
        for view in ("lip_expression", "voice_style", "emotion"):
            code: Tensor | None = getattr(controls, view)
            if code is not None:
                away = rng.random() < beliefs.view_dropout
                noise = torch.from_numpy(rng.standard_normal(tuple(code.shape)).astype(np.float32)).to(code.device)
                changed[view] = None if away else code + beliefs.view_noise * noise
        return replace(controls, **changed)

    def _member(self, frame: int) -> dict[str, int] | None:
        """The net of each ensemble that this step asks; None asks all.

        A member is not sampled in some seconds of the clip: members are to disagree where they have to guess (bagging).
        """
        beliefs, uncertain = self.settings.beliefs, self.net.uncertain
        if beliefs is None or uncertain is None or self.iteration >= self.own.ensemble_from:
            return None
        second = frame // FPS
        asked: dict[str, int] = {}
        for number, view in enumerate(uncertain.shape.views):
            away = np.random.default_rng((self.seed, number, second)).random(beliefs.members) < beliefs.bagging
            among = np.flatnonzero(~away) if not away.all() else np.arange(beliefs.members)
            asked[view] = int(np.random.default_rng((self.seed, self.iteration, number, 2)).choice(among))
        return asked

    def _doubts(self) -> bool:
        """Whether this step looks at the likelihood of the residual."""
        beliefs = self.settings.beliefs
        if beliefs is None or not beliefs.learned_variance or not beliefs.doubt_weight:
            return False
        return self.iteration % beliefs.doubt_interval == 0

    def _doubted(
        self,
        parts: PositionParts | UncertainParts | None,
        edits: Edits,
        camera: Camera,
        picture: Tensor,
        example: Example,
    ) -> Tensor:
        """The weighted likelihood of the picture's residual under the variance that the beliefs predict.

        Neither the picture nor the Gaussians learn from it, only who believes: a head that blurs where it errs would
        raise the likelihood too.
        """
        beliefs, uncertain = self.settings.beliefs, self.net.uncertain
        if beliefs is None or uncertain is None or not isinstance(parts, UncertainParts) or not self._doubts():
            return picture.new_zeros(())
        assert edits.variance is not None
        log_variance = uncertain.doubt(parts, edits.variance)
        layer = draw_values(self.cloud, edits, camera, log_variance.exp()[:, None], self.settings.rasteriser)
        variance = layer.over(log_variance.new_tensor([LEAST_VARIANCE]))
        residual = (picture.detach() - example.target).square().mean(-1, keepdim=True)
        return beliefs.doubt_weight * residual_likelihood(residual, variance)

    def _sh_degree(self) -> int:
        """One more band every 1000 iterations of the published schedule, in proportion elsewhere."""
        return min(self.settings.sh_degree, self.iteration * 50 // max(self.own.iterations, 1))

    def _set_rates(self) -> None:
        own = self.own
        steps = max(own.densify.stop, 1)
        rate = log_linear(self.iteration, own.position_rate, own.position_rate_stop, steps) * self.extent
        self.gaussian_optimisers["means"].param_groups[0]["lr"] = rate
        factor = net_factor(self.iteration, own.halve_until, own.iterations)
        for group in self.net_optimiser.param_groups:
            group["lr"] = group["base"] * factor

    def _update(self, layer: Layer, example: Example) -> None:
        own, densify = self.own, self.own.densify
        frozen = own.freeze_from is not None and self.iteration >= own.freeze_from
        if not frozen and self.iteration < densify.stop:
            self.densifier.observe(layer.meta, example.camera.width, example.camera.height)
        for key, optimiser in self.gaussian_optimisers.items():
            if not frozen or key == "sh":
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if self.moving and not frozen:
            self.net_optimiser.step()
        self.net_optimiser.zero_grad(set_to_none=True)
        if self.poses is not None:
            self.poses.step()
        due = densify.start <= self.iteration < densify.stop and self.iteration % densify.interval == 0
        if due and self.iteration and not frozen:
            threshold = linear(self.iteration, densify.opacity_start, densify.opacity_stop, densify.stop)
            self.cloud = self.densifier.refine(self.cloud, self.gaussian_optimisers, min_opacity=threshold)
            self._attach(self.cloud.means)

    def _attach(self, positions: Tensor) -> None:
        """Tie the Gaussians to their anchors, and keep where they were: a run that goes on ties them the same way."""
        self._attached = positions.detach().clone()
        self.net.attach(self._attached)

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on exactly where it was."""
        return {
            "iteration": self.iteration,
            "cloud": {key: value.detach() for key, value in self.cloud.tensors().items()},
            "net": self.net.state_dict(),
            "attached": self._attached,
            "gaussian_optimisers": {key: value.state_dict() for key, value in self.gaussian_optimisers.items()},
            "net_optimiser": self.net_optimiser.state_dict(),
            "densifier": self.densifier.state_dict(),
            "poses": None if self.poses is None else self.poses.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.iteration = state["iteration"]
        self.cloud = Cloud.from_tensors(state["cloud"]).requires_grad_()
        self.net.load_state_dict(state["net"])
        self._attach(state["attached"])
        self.gaussian_optimisers = self._gaussian_optimisers()
        for key, optimiser in self.gaussian_optimisers.items():
            optimiser.load_state_dict(state["gaussian_optimisers"][key])
        self.net_optimiser.load_state_dict(state["net_optimiser"])
        self.densifier.load_state_dict(state["densifier"])
        if self.poses is not None:
            self.poses.load_state_dict(state["poses"])
