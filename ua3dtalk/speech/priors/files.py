"""The fitted priors as a file: safetensors, nothing that runs code when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.reading import check_shape, floats, reading
from ua3dtalk.speech.priors.hearing import Ear, Sense
from ua3dtalk.speech.priors.kernel import KernelReader
from ua3dtalk.speech.priors.nets import WIDTH, PriorNets
from ua3dtalk.speech.priors.novelty import Novelty
from ua3dtalk.speech.priors.reader import Mixing, PriorReader
from ua3dtalk.speech.priors.ridge import Ridge
from ua3dtalk.tensors import check_fit, read_tensors, write_tensors

_SENSE: dict[str, tuple[int | str, ...]] = {
    "mean": ("D",),
    "deviation": ("D",),
    "axes": ("D", "P"),
    "taps": ("W",),
    "centre": ("W", "P"),
    "scale": (1,),
}
_SHAPES: dict[str, dict[str, tuple[int | str, ...]]] = {
    "tokens": _SENSE,
    "mel": _SENSE,
    "ear": {"axes": ("F", "C")},
    "kernel": {"supports": ("n", "C"), "weights": ("n", WIDTH), "bias": (WIDTH,), "spread": ()},
    "ridge": {"mean": ("F",), "scale": ("F",), "weights": ("F", WIDTH), "bias": (WIDTH,)},
    "share": {"ridge": ()},
    "codes": {"scale": ("K",)},
    "mixing": dict.fromkeys(("lips", "fused", "enlarged", "centre", "error"), (WIDTH,)),
    "novelty": {"supports": ("n", "F"), "usual": ()},
}
Part = TypeVar("Part", Sense, KernelReader, Ridge, Mixing, Novelty)


def save_priors(reader: PriorReader, out: Path, state: str) -> None:
    """Write what `load_priors` reads, float32."""
    parts = {
        "tokens": reader.ear.tokens,
        "mel": reader.ear.mel,
        "kernel": reader.kernel,
        "ridge": reader.ridge,
        "mixing": reader.mixing,
        "novelty": reader.novelty,
    }
    arrays = {f"{name}.{field}": value for name, part in parts.items() for field, value in vars(part).items()}
    arrays |= {"ear.axes": reader.ear.axes, "codes.scale": reader.code_scale, "share.ridge": reader.ridge_share}
    tensors = {name: torch.from_numpy(np.array(value, np.float32, order="C")) for name, value in arrays.items()}
    for number, nets in enumerate(reader.nets):
        tensors |= {f"nets.{number}.{name}": value for name, value in nets.state_dict().items()}
    write_tensors(out, tensors, {"state": state})


def load_priors(path: Path) -> PriorReader:
    """The reader of a `model/priors.safetensors`.

    Raises:
        DataError: the file is missing, truncated or of another kind.
    """
    with reading(path):
        tensors, _ = read_tensors(path)
        for part, shapes in _SHAPES.items():
            known: dict[str, int] = {}
            for field, shape in shapes.items():
                value = tensors[f"{part}.{field}"].numpy()
                check_shape(f"{part}.{field}", value.shape, value.dtype, floats(*shape), known)
        ear = Ear(_part(Sense, "tokens", tensors), _part(Sense, "mel", tensors), tensors["ear.axes"].numpy())
        members = {int(name.split(".")[1]) for name in tensors if name.startswith("nets.")}
        return PriorReader(
            ear,
            _part(KernelReader, "kernel", tensors),
            _part(Ridge, "ridge", tensors),
            tensors["share.ridge"].numpy(),
            tensors["codes.scale"].numpy(),
            tuple(_nets(_below(f"nets.{number}.", tensors)) for number in sorted(members)),
            _part(Mixing, "mixing", tensors),
            _part(Novelty, "novelty", tensors),
        )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _part(kind: type[Part], name: str, tensors: Mapping[str, Tensor]) -> Part:
    return kind(**{field: value.numpy() for field, value in _below(f"{name}.", tensors).items()})


def _nets(tensors: Mapping[str, Tensor]) -> PriorNets:
    hidden, codes = tensors["lips.into.0.weight"].shape
    mel = tensors["style.into.0.weight"].shape[1]

    def build() -> PriorNets:
        return PriorNets(codes, mel, hidden, dropout=0.0)

    check_fit(build, tensors)
    nets = build()
    nets.load_state_dict(dict(tensors))
    return nets.eval().requires_grad_(False)
