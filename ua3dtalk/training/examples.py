"""What a step of each branch is shown and asked for: targets before a ground of one colour, masks, penalties.

Source: TalkingGaussian's masked targets; the hole of the mouth is cut out of the face (AND NOT, where the release has
XOR). The ground has another colour in every step, where the published code's is green: what should be empty must let
any colour through, and no Gaussian at the rim can learn the ground, or its complement.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.field.branch import Edits
from ua3dtalk.rendering.compose import Layer
from ua3dtalk.subject import Region
from ua3dtalk.training.branch import Example
from ua3dtalk.training.frames import Frames
from ua3dtalk.training.objectives import misplaced_attention, silhouette
from ua3dtalk.training.settings import BranchTraining

HEAD_MARGIN = 6  # px around the head that must stay empty
LIPS_MARGIN = 2  # px around the outer lips
GROUND = 5  # keeps its numbers apart from those that other choices of a step draw
HAIR = [int(Region.HAIR), int(Region.HAT)]
FORBIDDEN = {"audio": HAIR, "action_units": [*HAIR, int(Region.LIPS), int(Region.MOUTH)]}


def face_example(frames: Frames, frame: int, iteration: int, settings: BranchTraining) -> Example:
    """The head before the ground, with a hole where the mouth is open; hair only at times, or its many pixels rule."""
    window = frames.head_window(frame, HEAD_MARGIN)
    regions = frames.regions(frame, window)
    head = frames.is_head(regions)
    background = ground(iteration).to(frames.device)
    target = torch.where(head[..., None], frames.picture(frame, window), background)
    skip_hair = settings.warmup < iteration < settings.hair_until and iteration % settings.hair_interval != 0
    ignore = _is(regions, HAIR) if skip_hair else None
    if ignore is not None:
        target = torch.where(ignore[..., None], background, target)

    def penalties(layer: Layer, edits: Edits | None) -> Tensor:
        if edits is None:
            return layer.alpha.new_zeros(())
        attention = misplaced_attention(edits, layer.meta["means2d"][0], regions, FORBIDDEN)
        return settings.silhouette_weight * silhouette(layer.alpha, head) + settings.attention_weight * attention

    return Example(frame, frames.camera(frame).window(window), target, background, ignore, penalties)


def mouth_example(frames: Frames, frame: int, iteration: int, settings: BranchTraining) -> Example:
    """The inside of the mouth before the ground (black at the end).

    Within the lips' square what hides behind the lips is left open; around the square there must be nothing, or it
    would show beside the face.
    """
    square = frames.lips_window(frame, LIPS_MARGIN)
    window = frames.lips_window(frame, LIPS_MARGIN + square.width // 2)
    regions = frames.regions(frame, window)
    inside = regions == int(Region.MOUTH)
    near = torch.zeros_like(inside)
    top, left = square.top - window.top, square.left - window.left
    near[top : top + square.height, left : left + square.width] = True
    last = settings.freeze_from is not None and iteration >= settings.freeze_from
    background = (torch.zeros(3) if last else ground(iteration)).to(frames.device)
    target = torch.where(inside[..., None], frames.picture(frame, window), background)

    def penalties(layer: Layer, edits: Edits | None) -> Tensor:
        return settings.silhouette_weight * silhouette(layer.alpha, near)

    return Example(frame, frames.camera(frame).window(window), target, background, near & ~inside, penalties)


def ground(iteration: int) -> Tensor:
    """The step's colour [3] of what should be empty: the same whenever the step is taken again."""
    return torch.from_numpy(np.random.default_rng((iteration, GROUND)).random(3, np.float32))


def _is(regions: Tensor, labels: list[int]) -> Tensor:
    return torch.isin(regions, torch.tensor(labels, device=regions.device))
