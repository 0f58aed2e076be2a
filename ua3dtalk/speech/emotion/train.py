"""Training of the listener: the discriminators learn the label, the aligning net what the face shows.

L = CE(P_emo, label or the face's probabilities) + align_weight * |F_emo - the face's standardised feature|^2.
Source: UA-3DTalk, Emotion Distillation (L_stage1). Half a minute of one actor holds a handful of independent windows,
so much of the work is against learning them by heart: random loudness, noise, tokens left out, and tokens of other
windows, because the same words can be said with any emotion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ua3dtalk.errors import ConfigError
from ua3dtalk.speech.emotion.inputs import Voice, rows_at, window_frames
from ua3dtalk.speech.emotion.model import Listener, embedding
from ua3dtalk.speech.emotion.network import Taps
from ua3dtalk.speech.emotion.official import ROWS_PER_FRAME, OfficialVoice
from ua3dtalk.speech.emotion.settings import EmotionSettings
from ua3dtalk.speech.mel import BANDS
from ua3dtalk.subject import TOKENS_PER_FRAME
from ua3dtalk.workflow import progress


@dataclass(frozen=True)
class Lessons:
    """Training frames of all actors: frames [n] on the index of what was heard; targets [n, L], rows of zeros where
    nothing is known; feature [n, F], NaN where no face was seen."""

    frames: np.ndarray
    targets: np.ndarray
    feature: np.ndarray


def join(voices: Sequence[Voice]) -> Voice:
    """Several actors' voices end to end."""
    widths = sorted({heard.tokens.shape[1] for heard in voices})
    if len(widths) > 1:
        raise ConfigError(f"emotion.pool: the actors' speech features have different widths {widths}: use one encoder")
    clips, first = [], 0
    for heard in voices:
        clips += [replace(clip, first=clip.first + first, test_first=clip.test_first + first) for clip in heard.clips]
        first += len(heard.spectrum)
    spectrum, tokens = (np.concatenate([getattr(heard, name) for heard in voices]) for name in ("spectrum", "tokens"))
    return Voice(spectrum, tokens, tuple(clips))


def standardise(listener: Listener, heard: Sequence[Voice | OfficialVoice], feature: np.ndarray) -> None:
    """Set the listener's scales from training frames: those that lie in the clips of `heard`."""
    rows = torch.from_numpy(_inside(heard, "spectrum", ROWS_PER_FRAME if listener.official else 1))
    if listener.official:  # the published pictures go from the least to the largest dB, its tokens are as they are
        _set(listener, "spectrum", rows.amin(0), rows.amax(0) - rows.amin(0))
    else:
        _set(listener, "spectrum", rows.mean(0), rows.std(0))
        tokens = _inside(heard, "tokens", TOKENS_PER_FRAME)
        # one scale for all columns, and no mean taken off: what all tokens share carries the attention's strength
        listener.tokens_scale.fill_(max(float(np.sqrt((tokens**2).mean())), 1e-4))
    seen = torch.from_numpy(feature[np.isfinite(feature).all(1)])
    if len(seen) > 1:
        _set(listener, "feature", seen.mean(0), seen.std(0))


def _inside(heard: Sequence[Voice | OfficialVoice], name: str, per_frame: int) -> np.ndarray:
    """The rows of one array that lie in the clips."""
    found = [(getattr(each, name), clip) for each in heard for clip in each.clips]
    return np.concatenate([rows[clip.first * per_frame : clip.end * per_frame] for rows, clip in found])


def _set(listener: Listener, name: str, mean: torch.Tensor, scale: torch.Tensor) -> None:
    getattr(listener, f"{name}_mean").copy_(mean)
    getattr(listener, f"{name}_scale").copy_(torch.where(scale > 1e-4, scale, torch.ones_like(scale)))


def train_small(listener: Listener, heard: Voice, lessons: Lessons, settings: EmotionSettings, seed: int) -> None:
    """Train the small net from its initial weights.

    Args:
        heard: the training parts of all clips. lessons: of frames inside them.
    """
    rng = torch.Generator().manual_seed(seed)
    targets, feature = _tensors(listener, lessons)
    optimiser = _optimiser(listener, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, settings.iterations))
    listener.train()
    torch.manual_seed(seed)  # dropout draws from torch's own generator
    for _ in progress(range(settings.iterations), "emotion"):
        pick = torch.randint(len(lessons.frames), (settings.batch,), generator=rng)
        spectrum, tokens = rows_at(heard, window_frames(heard.clips, lessons.frames[pick.numpy()]))
        taps = listener(*augment(spectrum, tokens, listener, settings, rng))
        loss = _loss(listener, taps, targets[pick], feature[pick], settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    listener.eval()


def train_heads(listener: Listener, taps: Taps, lessons: Lessons, settings: EmotionSettings, seed: int) -> None:
    """Train discriminator and aligning net on the taps [n, ...] of a net that stays as it is."""
    torch.manual_seed(seed)
    targets, feature = _tensors(listener, lessons)
    listener.requires_grad_(False)
    listener.net.logits.requires_grad_(True)
    listener.align.requires_grad_(True)
    listener.discriminator.requires_grad_(True)
    optimiser = _optimiser(listener, settings)
    attended, joint = taps.attended.clone(), taps.joint.clone()  # made in inference mode
    for _ in progress(range(settings.head_iterations), "emotion's heads"):
        heads = replace(taps, attended=attended, logits=listener.net.logits(joint))
        loss = _loss(listener, heads, targets, feature, settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    listener.requires_grad_(True).eval()


def _tensors(listener: Listener, lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets [n, L] and the standardised feature [n, F]."""
    feature = (torch.from_numpy(lessons.feature) - listener.feature_mean) / listener.feature_scale
    return torch.from_numpy(lessons.targets), feature


def _optimiser(listener: Listener, settings: EmotionSettings) -> torch.optim.Optimizer:
    learning = [parameter for parameter in listener.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(learning, settings.learning_rate, weight_decay=settings.weight_decay)


def _rate(step: int, total: int) -> float:
    """Share of the learning rate: up over the first tenth, then down a half cosine."""
    warm = max(total // 10, 1)
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


def _loss(
    listener: Listener, taps: Taps, targets: torch.Tensor, feature: torch.Tensor, settings: EmotionSettings
) -> torch.Tensor:
    """Cross-entropy where something is known, squared error of the feature where a face was seen."""
    known = targets.sum(1).clamp_min(1e-6).reciprocal() * (targets.sum(1) > 0)
    embedded = embedding(taps.attended)
    # Detached: labels that pull at F1 itself tie it to the words of one actor's few sentences.
    said = listener.discriminator(embedded.detach()).log_softmax(1) + taps.logits.log_softmax(1)
    entropy = -(targets * said).sum(1) * known
    seen = feature.isfinite()
    error = (listener.align(embedded) - torch.where(seen, feature, 0.0)) ** 2
    return entropy.mean() + settings.align_weight * (error * seen).mean()


def augment(
    spectrum: torch.Tensor, tokens: torch.Tensor, listener: Listener, settings: EmotionSettings, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows that never were: another loudness, noise, other words, missing tokens.

    Args:
        spectrum [B, 75, 170], tokens [B, 150, D]: raw windows.
    Returns:
        the same shapes.
    """
    count = len(spectrum)
    spectrum = spectrum + settings.noise * listener.spectrum_scale * torch.randn(spectrum.shape, generator=rng)
    spectrum[:, :, :BANDS] += settings.gain * torch.randn((count, 1, 1), generator=rng)
    others = torch.rand((count,), generator=rng) < settings.other_words
    tokens = tokens[torch.where(others, torch.randint(count, (count,), generator=rng), torch.arange(count))]
    heard = torch.rand(tokens.shape[:2], generator=rng)[..., None] >= settings.token_dropout
    return spectrum, tokens * heard
