"""A head whose colours hold where no training frame has seen it from.

Colours depend on the direction they are seen from, and a clip in which the head turns by five degrees says nothing
about thirty: what training left there by chance looks like burns. So each Gaussian's harmonics are replaced by the
least ones that tell the training frames' directions nearly the same (ridge regression; the mean colour is free).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ua3dtalk.rendering.head import Head
from ua3dtalk.splat import sh
from ua3dtalk.subject import Subject

# At 1e-3 heads that were seen from the front hold to 30 degrees and more, and lose .1 to .5 dB where they were seen; at
# 1e-4 they lose .07 dB at most, and are spotted from 20 degrees on.
PENALTY = 1e-3


def from_aside(head: Head, subject: Subject) -> Head:
    """The head for cameras that are not the clip's."""
    poses = subject.tracking.world_to_camera[subject.train_frames]
    places = -np.einsum("tji,tj->ti", poses[:, :3, :3], poses[:, :3, 3])
    kept = least_harmonics(subject.tracking.neutral.mean(0) - places, head.sh_degree)
    branches = [
        replace(branch, cloud=replace(branch.cloud, sh=torch.einsum("ij,njc->nic", kept.to(given), given)))
        for branch, given in ((branch, branch.cloud.sh) for branch in (head.face, head.mouth))
    ]
    return replace(head, face=branches[0], mouth=branches[1])


def least_harmonics(directions: np.ndarray, degree: int) -> torch.Tensor:
    """What turns harmonics [K] into the least that look the same from directions [n, 3] of any length: [K, K]."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    seen = sh.basis(degree, torch.from_numpy(unit)).numpy()
    gram = seen.T @ seen / len(seen)
    penalty = PENALTY * np.eye(len(gram))
    penalty[0, 0] = 0
    return torch.from_numpy(np.linalg.solve(gram + penalty, gram).astype(np.float32))
