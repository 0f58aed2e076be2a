"""What a picture of a branch is asked to be. Weights come from the settings; no iteration number enters here.

Source: TalkingGaussian and UA-3DTalk's released schedule (method: stages mouth, face, fuse).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.field.branch import Edits
from ua3dtalk.perceptual import PerceptualDistance
from ua3dtalk.training.ssim import l1_ssim


def photometric(picture: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """L1 + weight (1 - SSIM) of pictures [h, w, 3]."""
    return l1_ssim(picture, target, 1.0, ssim_weight)


def perceptual_patch(
    distance: PerceptualDistance, picture: Tensor, target: Tensor, side: int, rng: np.random.Generator
) -> Tensor:
    """Perceptual distance of one random patch of at most `side` px of pictures [h, w, 3].

    The released code cuts the whole picture into patches of 32 to 96 px; one patch a step asks the same on average.
    """
    height, width = picture.shape[:2]
    top = int(rng.integers(0, max(height - side, 0) + 1))
    left = int(rng.integers(0, max(width - side, 0) + 1))
    rows, columns = slice(top, top + side), slice(left, left + side)
    return distance.loss(picture[rows, columns], target[rows, columns])


def residual_likelihood(residual: Tensor, variance: Tensor) -> Tensor:
    """Mean negative log likelihood, without its constant, of squared residuals under a variance, both [h, w, 1].

    Source: Kendall and Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?", 2017,
    equation 5.
    """
    return 0.5 * (residual / variance + torch.log(variance)).mean()


def silhouette(alpha: Tensor, mask: Tensor) -> Tensor:
    """Alpha [h, w, 1] should be 1 within the mask [h, w] and 0 outside of it."""
    inside = mask[..., None]
    return torch.where(inside, 1 - alpha, alpha).mean()


def motion_size(edits: Edits) -> Tensor:
    """Mean absolute edits: small motions first."""
    parts = [edit.abs().mean() for edit in (edits.position, edits.rotation, edits.scale) if edit is not None]
    return torch.stack(parts).sum()


def misplaced_attention(edits: Edits, means2d: Tensor, regions: Tensor, forbidden: dict[str, list[int]]) -> Tensor:
    """How strongly a view reaches Gaussians that lie where it has nothing to say.

    Args:
        edits: with gates [N] per view.
        means2d: centres on the picture [N, 2] px.
        regions: labels [h, w].
        forbidden: labels per view, e.g. hair for the audio and lips for the action units.
    Returns:
        the mean gate over those Gaussians, summed over the views. TalkingGaussian rasterises the gates and averages
        over pixels; the centres' own pixels say the same at no cost.
    """
    height, width = regions.shape
    columns = means2d[:, 0].detach().long().clamp(0, width - 1)
    rows = means2d[:, 1].detach().long().clamp(0, height - 1)
    labels = regions[rows, columns]
    total = means2d.new_zeros(())
    for view, wrong in forbidden.items():
        if view in edits.gates:
            there = torch.isin(labels, torch.tensor(wrong, device=labels.device))
            total = total + (edits.gates[view] * there).sum() / len(labels)
    return total
