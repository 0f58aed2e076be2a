"""Training of the nets on top of the kernel's reading: full batches of crops, members, stopping by cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.speech.priors.blocks import Blocks, correlation
from ua3dtalk.speech.priors.nets import PriorNets
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.subject import Clip
from ua3dtalk.workflow import progress

STOPS = 4  # points of training among which cross-validation chooses
LEAST_WEIGHT = 0.1  # of a coefficient that speech does not tell
DECAY = 1e-2


@dataclass(frozen=True)
class Material:
    """codes [T, P], mel [T, M], the kernel's reading [T, 64] by models that did not see the frame, targets [T, 64]."""

    codes: Tensor
    mel: Tensor
    reading: Tensor
    targets: Tensor
    clips: Sequence[Clip]


class Added(NamedTuple):
    """What the nets add, [T, 64] each: to the lip expression, as style, and to the mixed expression."""

    lips: np.ndarray
    tone: np.ndarray
    fused: np.ndarray


def train_by_blocks(
    material: Material, blocks: Blocks, settings: PriorsSettings, seed: int
) -> tuple[Added, list[PriorNets]]:
    """Nets for every block and for the held-out frames.

    Returns:
        what they add to frames that they did not see, and the nets of all fitted frames.
    """
    weight = _column_weights(material, blocks)
    shape = material.targets.shape
    read = np.zeros((STOPS, 3, *shape), np.float32)
    final: list[list[PriorNets]] = [[] for _ in range(STOPS)]
    work = [(rows, frames, member) for rows, frames in blocks for member in range(settings.members)]
    for rows, frames, member in progress(work, "priors"):
        last = len(rows) == len(blocks.fitted)
        spans = [(clip.first, clip.end) for clip in material.clips] if last else _apart(material.clips, blocks)
        for stop, nets in enumerate(train(material, rows, weight, settings, seed + member)):
            read[stop][:, frames] += np.stack(apply([nets], material, spans))[:, frames] / settings.members
            if last:
                final[stop].append(nets)
    truth, reading = blocks.centred(material.targets.numpy()), blocks.centred(material.reading.numpy())
    mixed = [reading + blocks.centred(lips) + blocks.centred(fused) for lips, _, fused in read]
    best = int(np.argmin([(weight.numpy() * (guess - truth) ** 2).mean() for guess in mixed]))
    return Added(*read[best]), final[best]


def train(
    material: Material, rows: np.ndarray, weight: Tensor, settings: PriorsSettings, seed: int
) -> Iterator[PriorNets]:
    """Copies of the nets at `STOPS` points of training on frames `rows`, ascending.

    L_recon of the mixed expression, and beside it of the lip expression alone (so that it is an expression, not a code)
    and of lip expression plus style (so that the style is what the lip expert misses).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    nets = _new(material, settings)
    optimiser = torch.optim.AdamW(nets.parameters(), settings.learning_rate, weight_decay=DECAY)
    stretches = runs(rows, material.clips)
    distance = torch.abs if settings.loss == "l1" else torch.square
    stops = np.linspace(0, settings.steps, STOPS + 1).round().astype(int)[1:]
    for step in range(1, settings.steps + 1):
        index, inside = (torch.from_numpy(part) for part in crops(stretches, settings.crop, rng))
        reading, wanted = material.reading[index], material.targets[index]
        added, tone, fused = nets(material.codes[index], material.mel[index], reading)
        lips = reading + added
        share = (inside[..., None] * weight) / inside.sum()
        parts = (lips + fused, lips, lips.detach() + tone)
        loss = sum(((distance(part - wanted)) * share).sum() for part in parts)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimiser.step()
        if step in stops:
            copy = _new(material, settings)
            copy.load_state_dict(nets.state_dict())
            for _ in range(int((stops == step).sum())):
                yield copy.eval().requires_grad_(False)


def apply(nets: Sequence[PriorNets], material: Material, spans: Sequence[tuple[int, int]]) -> Added:
    """Means over the members, [T, 64] each: spans of frames (first, one past the last) one by one, 0 elsewhere."""
    found = np.zeros((3, len(material.codes), material.reading.shape[1]), np.float32)
    with torch.no_grad():
        for first, end in spans:
            inputs = [values[first:end][None] for values in (material.codes, material.mel, material.reading)]
            found[:, first:end] = torch.stack([torch.cat(net(*inputs)) for net in nets]).mean(0).numpy()
    return Added(*found)


def _apart(clips: Sequence[Clip], blocks: Blocks) -> list[tuple[int, int]]:
    """Of each clip the frames up to the last fitted one, and the training frames after it by themselves.

    The windows of these reach into held-out speech, of which what chooses settings hears nothing.
    """
    spans = []
    for clip in clips:
        inside = blocks.fitted[(blocks.fitted >= clip.first) & (blocks.fitted < clip.end)]
        cut = int(inside[-1]) + 1 if len(inside) else clip.first
        spans += [(clip.first, cut), (cut, clip.test_first)]
    return [(first, end) for first, end in spans if first < end]


def _new(material: Material, settings: PriorsSettings) -> PriorNets:
    return PriorNets(material.codes.shape[1], material.mel.shape[1], settings.hidden, settings.dropout)


def _column_weights(material: Material, blocks: Blocks) -> Tensor:
    """Weight [64] of each coefficient: how well the kernel reads it, so noise does not teach."""
    reading, truth = (blocks.centred(values.numpy()) for values in (material.reading, material.targets))
    return torch.from_numpy(np.clip(correlation(reading, truth), LEAST_WEIGHT, 1)).float()


def runs(rows: np.ndarray, clips: Sequence[Clip]) -> list[tuple[int, int]]:
    """First and one past the last of every unbroken stretch of frames, none across a clip's border."""
    found = []
    for clip in clips:
        inside = rows[(rows >= clip.first) & (rows < clip.end)]
        if len(inside):
            parts = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
            found += [(int(part[0]), int(part[-1]) + 1) for part in parts]
    return found


def crops(stretches: Sequence[tuple[int, int]], length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All stretches cut into crops with a random first cut.

    Returns:
        frames [B, length], ends repeated where a stretch has no more, and [B, length] bool: which are not repeats.
    """
    index = []
    for first, end in stretches:
        starts = np.arange(first - rng.integers(length), end, length)
        index.append(starts[:, None] + np.arange(length))
    bounds = np.concatenate([np.tile(s, (len(i), 1)) for s, i in zip(stretches, index, strict=True)])
    frames = np.concatenate(index)
    inside = (frames >= bounds[:, :1]) & (frames < bounds[:, 1:])
    return np.clip(frames, bounds[:, :1], bounds[:, 1:] - 1), inside
