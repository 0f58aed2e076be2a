"""Official checkpoints of other projects: read safely, checked against the architecture, refused in one line."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ua3dtalk.errors import AssetError
from ua3dtalk.reading import MOST_BESIDES, limited_memory, open_regular
from ua3dtalk.tensors import read_tensors

# Counters that torch wrote into state dicts from 0.4.1 on; inference does not read them.
_COUNTER = "num_batches_tracked"


def load_official(
    net: nn.Module,
    path: Path | str,
    *,
    source: str,
    entries: Sequence[str] = (),
    prefixes: Sequence[str] = ("module.",),
) -> None:
    """Fill a net from an official file and switch it to inference.

    Args:
        net: its names and shapes are those of the official state dict.
        path: a torch file that `weights_only` accepts, or safetensors.
        source: where the file comes from and on what terms; ends every message.
        entries: keys under which the state dict may lie in the file, tried in order; a bare one is taken as well.
        prefixes: what the official names may begin with; where one occurs, names without it are other nets'.
    Errors: AssetError, one line, when the file is missing, cannot be read safely, or belongs to another net.
    """
    path = Path(path)
    state = without_prefix(_pick(read_official(path, source), entries, path, source), prefixes)
    _check(net, state, path, source)
    net.load_state_dict({name: state[name] for name in net.state_dict() if name in state}, strict=False)
    net.eval().requires_grad_(False)


def read_official(path: Path, source: str) -> Mapping[str, Any]:
    """What the file holds, without running what a pickle may hold."""
    if not path.is_file():
        raise AssetError(f"{path} is missing: {source}")
    try:
        if path.suffix == ".safetensors":
            return read_tensors(path)[0]
        # A pickle may ask for gigabytes in a few bytes; a real one takes what it has, once more while it is turned.
        with open_regular(path) as file, limited_memory(MOST_BESIDES + 3 * path.stat().st_size):
            document = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle, zip and safetensors each raise kinds of their own
        raise AssetError(f"{path} cannot be read as weights ({_cause(error)}): {source}") from error
    if not isinstance(document, Mapping):
        raise AssetError(f"{path} holds {type(document).__name__} instead of named weights: {source}")
    return document


def without_prefix(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """The state dict without the names' common beginnings, as wrappers for several GPUs put them there."""
    names = dict(state)
    for prefix in prefixes:
        if any(name.startswith(prefix) for name in names):
            names = {name[len(prefix) :]: value for name, value in names.items() if name.startswith(prefix)}
    return names


def _pick(document: Mapping[str, Any], entries: Sequence[str], path: Path, source: str) -> dict[str, Tensor]:
    for entry in entries:
        if isinstance(document.get(entry), Mapping):
            document = document[entry]
            break
    state = {str(name): value for name, value in document.items() if isinstance(value, Tensor)}
    if not state:
        held = ", ".join(sorted(map(str, document))[:4])
        wanted = " or ".join(entries) if entries else "a state dict"
        raise AssetError(f"{path} holds {held or 'nothing'} where {wanted} is looked for: {source}")
    return state


def _check(net: nn.Module, state: Mapping[str, Tensor], path: Path, source: str) -> None:
    expected = net.state_dict()
    missing = [name for name in expected if name not in state and not name.endswith(_COUNTER)]
    foreign = [name for name in state if name not in expected]
    if missing or foreign:
        example = f"no {missing[0]}" if missing else f"{foreign[0]} too many"
        raise AssetError(f"{path} belongs to another net ({example}, {len(missing) + len(foreign)} in all): {source}")
    for name, value in expected.items():
        if name in state and state[name].shape != value.shape:
            found, wanted = list(state[name].shape), list(value.shape)
            raise AssetError(f"{path} belongs to another net ({name} is {found}, not {wanted}): {source}")
        if name in state and not torch.isfinite(state[name]).all():
            raise AssetError(f"{path} is damaged ({name} has values that are not finite): {source}")


def _cause(error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text or "torch.jit" in text:
        return "a TorchScript archive, not a state dict"
    if isinstance(error, pickle.UnpicklingError):
        return "its pickle asks for more than tensors"
    return text.splitlines()[0][:120] if text else type(error).__name__
