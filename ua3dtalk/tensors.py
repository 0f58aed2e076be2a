"""Tensors of files that others may have written (safetensors), and whether they are those of a net."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ua3dtalk.reading import open_regular
from ua3dtalk.workflow import atomic

MOST_HEADER = 16 << 20  # bytes of names and shapes
TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Finite tensors and texts of a safetensors file; to be called inside `ua3dtalk.reading.reading`.

    Raises:
        ValueError, SafetensorError: cut off, of other types, or with values that are not numbers.
    """
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, os.fstat(file.fileno()).st_size - 8):
            raise ValueError(f"its header announces {length} bytes of names")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = file.metadata() or {}
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES:
            raise ValueError(f"{name} is {tensor.dtype}, which is not read")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} has values that are not finite")
    return tensors, texts


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Write a safetensors file, atomically; equal content gives equal bytes.

    The library leaves the order of the texts to chance, and with it the digest by which films name their model.
    """
    data = save({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, dict(texts))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(texts.items()))
    words = json.dumps(header, separators=(",", ":")).encode()
    words += b" " * (-len(words) % 8)  # tensors begin at a multiple of eight
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(len(words).to_bytes(8, "little") + words)
        file.write(memoryview(data)[end:])


def facts_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """The json that stands beside tensors as `facts`."""
    facts = json.loads(texts["facts"])
    if not isinstance(facts, dict):
        raise ValueError("its facts are no object")
    return facts


def check_fit(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Whether tensors are the state of the net that `build` makes, found without memory for that net.

    Numbers in a file say how large the net is; they are compared with the tensors that are there before they are
    believed.

    Raises:
        ValueError: a tensor is missing, too many, or has another shape or type.
    """
    with torch.device("meta"):
        wanted = build().state_dict()
    if missing := sorted(wanted.keys() ^ tensors.keys()):
        raise ValueError(f"{missing[0]} is {'missing' if missing[0] in wanted else 'of another net'}")
    for name, value in wanted.items():
        found = tensors[name]
        if found.shape != value.shape or found.dtype != value.dtype:
            shapes = f"{found.dtype} {list(found.shape)}, not {value.dtype} {list(value.shape)}"
            raise ValueError(f"{name} is {shapes}")
