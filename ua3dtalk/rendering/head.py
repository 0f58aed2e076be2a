"""A trained head: two branches, the reader of speech, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ua3dtalk.errors import DataError, UserError
from ua3dtalk.field.branch import Branch, BranchShape, Edits, PositionParts
from ua3dtalk.field.conditioners import AudioEncoder, LipReader
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.workflow import atomic


@dataclass(frozen=True)
class Controls:
    """What drives one frame: lips [1, K] (main lip shapes), tokens [1, 8, 16, D] or None, action_units [1, 6]."""

    lips: Tensor
    tokens: Tensor | None
    action_units: Tensor


class BranchNet(nn.Module):
    """A branch with the part of the audio code that it learns from the picture, if it has one."""

    def __init__(self, shape: BranchShape, token_width: int, free_code: int) -> None:
        super().__init__()
        self.token_width, self.free_code = token_width, free_code
        self.field = Branch(shape)
        self.encoder = AudioEncoder(token_width, free_code) if free_code else None

    def audio_code(self, controls: Controls) -> Tensor:
        """[1, K + free code]."""
        if self.encoder is None:
            return controls.lips
        assert controls.tokens is not None
        return torch.cat([controls.lips, self.encoder(controls.tokens)], 1)

    def forward(self, parts: PositionParts, controls: Controls) -> Edits:
        edits: Edits = self.field(parts, self.audio_code(controls), controls.action_units)
        return edits


@dataclass(frozen=True)
class TrainedBranch:
    """A cloud and the net that moves it."""

    cloud: Cloud
    net: BranchNet


@dataclass(frozen=True)
class Head:
    """Everything that turns controls into pictures."""

    face: TrainedBranch
    mouth: TrainedBranch
    reader: LipReader
    sh_degree: int

    def to(self, device: torch.device) -> Head:
        """The head with everything on one device and at rest: nothing in it trains."""
        branches = [
            TrainedBranch(branch.cloud.to(device), branch.net.to(device).eval().requires_grad_(False))
            for branch in (self.face, self.mouth)
        ]
        return Head(branches[0], branches[1], self.reader.to(device), self.sh_degree)


def branch_tensors(branch: TrainedBranch, prefix: str = "") -> dict[str, Tensor]:
    """All tensors of a branch by name."""
    tensors = {f"{prefix}cloud.{key}": value for key, value in branch.cloud.tensors().items()}
    return tensors | {f"{prefix}net.{key}": value for key, value in branch.net.state_dict().items()}


def branch_facts(branch: TrainedBranch) -> dict[str, Any]:
    """What is needed, beside the tensors, to build the branch again."""
    net = branch.net
    return {"shape": asdict(net.field.shape), "token_width": net.token_width, "free_code": net.free_code}


def build_branch(facts: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str = "") -> TrainedBranch:
    """The inverse of `branch_facts` and `branch_tensors`."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["shape"].items()}
    net = BranchNet(BranchShape(**fields), int(facts["token_width"]), int(facts["free_code"]))
    net.load_state_dict(_under(tensors, f"{prefix}net."))
    return TrainedBranch(Cloud.from_tensors(_under(tensors, f"{prefix}cloud.")), net)


def build_reader(tensors: Mapping[str, Tensor]) -> LipReader:
    """The reader whose state dict these tensors are."""
    (inputs, components), (supports, coefficients) = tensors["projection"].shape, tensors["weights"].shape
    reader = LipReader(inputs, components, supports, coefficients, int(tensors["radius"]))
    reader.load_state_dict(dict(tensors))
    return reader


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def save_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], out: Path, state: str) -> None:
    """Write tensors as safetensors with the facts as json in its metadata."""
    detached = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic(out) as temporary:
        save_file(detached, temporary, metadata={"state": state, "facts": json.dumps(facts)})


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Frame of everything that builds something from a file: whatever is wrong with the file is one clear line.

    Raises:
        DataError: the file is missing, truncated or of another kind.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # safetensors' own error class is no OSError; foreign content can break anything
        raise DataError(f"{path} cannot be read ({' '.join(str(error).split())}): delete it and run again") from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that `save_tensors` wrote; DataError for any other file."""
    with reading(path), safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["facts"])


def save_branch(branch: TrainedBranch, out: Path, state: str) -> None:
    """Write one branch."""
    save_tensors(branch_tensors(branch), branch_facts(branch), out, state)


def load_branch(path: Path) -> TrainedBranch:
    """Read one branch."""
    with reading(path):
        tensors, facts = load_tensors(path)
        return build_branch(facts, tensors)


def save_head(head: Head, out: Path, state: str) -> None:
    """Write a whole head."""
    tensors = branch_tensors(head.face, "face.") | branch_tensors(head.mouth, "mouth.")
    tensors |= {f"reader.{key}": value for key, value in head.reader.state_dict().items()}
    facts = {"face": branch_facts(head.face), "mouth": branch_facts(head.mouth), "sh_degree": head.sh_degree}
    save_tensors(tensors, facts, out, state)


def load_head(path: Path) -> Head:
    """Read a whole head."""
    with reading(path):
        tensors, facts = load_tensors(path)
        reader = build_reader(_under(tensors, "reader."))
        face, mouth = (build_branch(facts[name], tensors, f"{name}.") for name in ("face", "mouth"))
        return Head(face, mouth, reader, int(facts["sh_degree"]))
