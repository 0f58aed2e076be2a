"""Which device the nets run on."""

from __future__ import annotations

import torch

from ua3dtalk.errors import ConfigError


def choose_device(wanted: str) -> torch.device:
    """The device of `backends.device`: auto takes CUDA where it is, the CPU elsewhere.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"backends.device: {wanted} is not available here: set it to auto or cpu")
    return torch.device(wanted)
