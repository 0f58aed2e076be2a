"""Names and shapes in official state dicts, written down from the authors' code: one `name AxBxC` a line."""

from __future__ import annotations

from pathlib import Path

import torch

Names = dict[str, tuple[int, ...]]


def read_names(path: Path) -> Names:
    lines = (line.split() for line in path.read_text().splitlines())
    return {name: () if shape == "scalar" else tuple(map(int, shape.split("x"))) for name, shape in lines}


def random_state(names: Names, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of these names; variances and scales about 1, the rest such that signals neither die nor explode."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in names.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            state[name] = 0.5 + torch.rand(shape, generator=rng)
        else:
            fan = max(1, int(torch.tensor(shape[1:]).prod())) if len(shape) > 1 else 100
            state[name] = torch.randn(shape, generator=rng) * fan**-0.5
    return state
