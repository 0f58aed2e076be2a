"""Whether a face that is asked for an emotion shows it: blendshapes of renders against those of the true clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

# Brows and corners of the mouth: what carries emotion and does not belong to a sound.
CARRIERS = ("brow", "mouthSmile", "mouthFrown", "noseSneer", "eyeSquint")


def emotion_figures(
    rendered: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, Any]:
    """Differences between emotions, rendered on the same speech, against differences between the true clips.

    Args:
        rendered, true: mean blendshapes [52] per label.
    Returns:
        per pair of labels the cosine of the two differences over the carriers, how large the rendered one is along the
        true one (1: as large), and the carriers' differences one by one; `means` per label.
    """
    chosen = [k for k, name in enumerate(names) if name.startswith(CARRIERS)]
    pairs = {}
    for a, b in combinations(rendered, 2):
        shown, wanted = (rendered[a] - rendered[b])[chosen], (true[a] - true[b])[chosen]
        length = float(np.linalg.norm(wanted))
        pairs[f"{a} - {b}"] = {
            "cosine": float(shown @ wanted / max(np.linalg.norm(shown) * length, 1e-9)),
            "gain": float(shown @ wanted / max(length**2, 1e-9)),
            "rendered": {names[k]: round(float(v), 4) for k, v in zip(chosen, shown, strict=True)},
            "true": {names[k]: round(float(v), 4) for k, v in zip(chosen, wanted, strict=True)},
        }
    return {"pairs": pairs}


def true_means(blendshapes: np.ndarray, valid: np.ndarray, labels: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Mean blendshapes of the frames of each label.

    Args: blendshapes [T, 52], valid [T], labels of the T frames (None: no label).
    """
    found: dict[str, np.ndarray] = {}
    for label in dict.fromkeys(labels):
        if label is not None:
            there = np.array([other == label for other in labels]) & valid
            found[label] = blendshapes[there].mean(0)
    return found
