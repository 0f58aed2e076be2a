"""Training of the local sync net: which lips belong to which speech, told apart from other moments of the same clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ua3dtalk.sync.examples import in_deviations, piece, scales
from ua3dtalk.sync.net import LocalSync
from ua3dtalk.sync.talk import Talk
from ua3dtalk.workflow import progress

BATCH = 6
RATE = 2e-3
DECAY = 1e-3
SHARPNESS, SHARPEST = 10.0, 30.0  # what similarities are multiplied with: at the start, at most
TOO_NEAR = 1  # frames: neighbours are neither right nor wrong
TRIES = 50  # for a piece that is long enough


def train(talks: Sequence[Talk], iterations: int, seed: int) -> tuple[LocalSync, list[float]]:
    """A net trained on clips, in inference mode, and its loss at each iteration.

    Args:
        talks: clips of at least 3.6 s; a longer one is drawn more often.
    Source: InfoNCE (van den Oord et al. 2018), in both directions, negatives from the same piece of 3.6 s.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = LocalSync(talks[0].tokens.shape[1])
    lip_scale, token_axes = scales(talks, net.token_axes.shape[1])
    net.lip_scale.copy_(torch.from_numpy(lip_scale))
    net.token_axes.copy_(torch.from_numpy(token_axes))
    scaled = [in_deviations(talk, lip_scale, token_axes) for talk in talks]
    sharpness = nn.Parameter(torch.tensor(float(np.log(SHARPNESS))))
    optimiser = torch.optim.AdamW([*net.parameters(), sharpness], RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=iterations)
    share = np.array([len(talk) for talk in talks], float)
    losses = []
    net.train()
    for _ in progress(range(iterations), "train_sync"):
        lips, tokens = _batch(scaled, share / share.sum(), rng)
        loss = contrast(net.see(lips), net.hear(tokens), sharpness.exp().clamp(max=SHARPEST))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return net.eval().requires_grad_(False), losses


def contrast(seen: Tensor, heard: Tensor, sharpness: Tensor) -> Tensor:
    """How badly lips find their speech, and speech its lips, among all moments of the same piece.

    Args:
        seen, heard: [b, n, D], rows of length 1.
    """
    similarity = torch.einsum("bid,bjd->bij", seen, heard) * sharpness
    moments = torch.arange(similarity.shape[1])
    apart = (moments[:, None] - moments).abs()
    similarity = similarity.masked_fill((apart > 0) & (apart <= TOO_NEAR), float("-inf"))
    target = moments.expand(len(similarity), -1)
    by_lips = functional.cross_entropy(similarity.transpose(1, 2), target)
    by_speech = functional.cross_entropy(similarity, target)
    return (by_lips + by_speech) / 2


def _batch(talks: Sequence[Talk], share: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    pieces: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(TRIES):
        found = piece(talks[rng.choice(len(talks), p=share)], rng)
        if found is not None:
            pieces.append(found)
        if len(pieces) == BATCH:
            break
    lips, tokens = zip(*pieces, strict=True)
    return torch.from_numpy(np.stack(lips)), torch.from_numpy(np.stack(tokens))
