"""A trained head: two branches, the reader of speech, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ua3dtalk.field.branch import Branch, BranchShape, Edits, PositionParts
from ua3dtalk.field.conditioners import AudioEncoder, LipReader
from ua3dtalk.field.landmark_motion import LandmarkMotion
from ua3dtalk.field.uncertain import Codes, UncertainBranch, UncertainParts, UncertainShape
from ua3dtalk.reading import reading
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.tensors import check_fit, facts_of, read_tensors, write_tensors

MOST_RADIUS = 100  # frames around one that its lips can be read from
SHAPES: dict[str, type[BranchShape] | type[UncertainShape]] = {"plain": BranchShape, "uncertain": UncertainShape}


@dataclass(frozen=True)
class Controls:
    """What drives one frame.

    lips [1, K] (main lip shapes), tokens [1, 8, 16, D] or None, action_units [1, 6]; where the head has views for them:
    lip_expression [1, 64], voice_style [1, 64], emotion [1, 128], and how new the speech is (1: as the actor's own);
    displacement [L, 3] m, by which landmarks move besides, where somebody asks for what the actor never showed.
    """

    lips: Tensor
    tokens: Tensor | None
    action_units: Tensor
    lip_expression: Tensor | None = None
    voice_style: Tensor | None = None
    emotion: Tensor | None = None
    novelty: float = 1.0
    displacement: Tensor | None = None


class BranchNet(nn.Module):
    """A field, the motion of landmarks that it adds to, and the part of the audio code that it learns from the picture;
    either of both may be absent."""

    def __init__(
        self,
        shape: BranchShape | UncertainShape,
        token_width: int,
        free_code: int,
        motion: LandmarkMotion | None = None,
    ) -> None:
        super().__init__()
        self.token_width, self.free_code = token_width, free_code
        self.field = UncertainBranch(shape) if isinstance(shape, UncertainShape) else Branch(shape)
        self.motion = motion
        self.encoder = AudioEncoder(token_width, free_code) if free_code else None

    @property
    def uncertain(self) -> UncertainBranch | None:
        """The field, if it has beliefs."""
        return self.field if isinstance(self.field, UncertainBranch) else None

    def attach(self, positions: Tensor) -> None:
        """Tie Gaussians at positions [N, 3] to what the field holds elsewhere; again whenever they have changed."""
        if self.uncertain is not None:
            self.uncertain.attach(positions)
        if self.motion is not None:
            self.motion.attach(positions)

    def kept_parts(self, positions: Tensor) -> PositionParts | UncertainParts:
        """All that depends on positions [N, 3] alone, for whoever shows many frames while nothing trains."""
        if self.uncertain is not None:
            return self.uncertain.kept(self.uncertain.position_parts(positions))
        parts: PositionParts = self.field.position_parts(positions)  # type: ignore[assignment]
        return parts

    def audio_code(self, controls: Controls) -> Tensor:
        """[1, K + free code]."""
        if self.encoder is None:
            return controls.lips
        assert controls.tokens is not None
        return torch.cat([controls.lips, self.encoder(controls.tokens)], 1)

    def codes(self, controls: Controls) -> Codes:
        """The controls as a field with beliefs takes them."""
        return Codes(
            self.audio_code(controls),
            controls.action_units,
            controls.lip_expression,
            controls.voice_style,
            controls.emotion,
            controls.novelty,
        )

    def forward(
        self,
        parts: PositionParts | UncertainParts,
        controls: Controls,
        member: Mapping[str, int] | None = None,
        with_variance: bool = True,
    ) -> Edits:
        """Edits of the Gaussians; `member` and `with_variance` are those of `UncertainBranch.forward`."""
        edits: Edits
        if isinstance(parts, UncertainParts):
            edits = self.field(parts, self.codes(controls), member, with_variance)
        else:
            edits = self.field(parts, self.audio_code(controls), controls.action_units)
        if self.motion is not None and edits.position is not None:
            begun = self.motion(torch.cat([controls.lips, controls.action_units], 1))
            if controls.displacement is not None:
                begun = begun + self.motion.carry(controls.displacement)
            edits = replace(edits, position=edits.position + begun)
        return edits


@dataclass(frozen=True)
class TrainedBranch:
    """A cloud and the net that moves it; doubt [N]: what each Gaussian adds to the log variance of its colour whatever
    the frame, where the net has beliefs."""

    cloud: Cloud
    net: BranchNet
    doubt: Tensor | None = None


@dataclass(frozen=True)
class Head:
    """Everything that turns controls into pictures; backdrop_variance [H, W]: how far torso and plate are off, for a
    head with beliefs."""

    face: TrainedBranch
    mouth: TrainedBranch
    reader: LipReader
    sh_degree: int
    backdrop_variance: Tensor | None = None

    @property
    def uncertain(self) -> bool:
        """Whether the head tells how sure it is."""
        return all(
            b.net.uncertain is not None and b.net.uncertain.shape.learned_variance for b in (self.face, self.mouth)
        )

    @property
    def views(self) -> tuple[str, ...]:
        """What the face sees of a frame."""
        return self.face.net.field.shape.views

    @property
    def lip_count(self) -> int:
        """Lip shapes that its reader reads."""
        return self.reader.weights.shape[1]

    def to(self, device: torch.device) -> Head:
        """The head with everything on one device and at rest: nothing in it trains."""
        branches = [
            TrainedBranch(
                branch.cloud.to(device),
                branch.net.to(device).eval().requires_grad_(False),
                None if branch.doubt is None else branch.doubt.to(device),
            )
            for branch in (self.face, self.mouth)
        ]
        behind = None if self.backdrop_variance is None else self.backdrop_variance.to(device)
        return Head(branches[0], branches[1], self.reader.to(device), self.sh_degree, behind)


def branch_tensors(branch: TrainedBranch, prefix: str = "") -> dict[str, Tensor]:
    """All tensors of a branch by name."""
    tensors = {f"{prefix}cloud.{key}": value for key, value in branch.cloud.tensors().items()}
    if branch.doubt is not None:
        tensors[f"{prefix}doubt"] = branch.doubt
    return tensors | {f"{prefix}net.{key}": value for key, value in branch.net.state_dict().items()}


def branch_facts(branch: TrainedBranch) -> dict[str, Any]:
    """What is needed, beside the tensors, to build the branch again."""
    net = branch.net
    kind = "plain" if net.uncertain is None else "uncertain"
    motion = None if net.motion is None else [len(net.motion.places), len(net.motion.usual)]
    return {
        "kind": kind,
        "shape": asdict(net.field.shape),
        "token_width": net.token_width,
        "free_code": net.free_code,
        "motion": motion,
    }


def build_branch(facts: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str = "") -> TrainedBranch:
    """The inverse of `branch_facts` and `branch_tensors`."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["shape"].items()}
    shape, state = SHAPES[facts["kind"]](**fields), _under(tensors, f"{prefix}net.")

    def build() -> BranchNet:
        motion = None if facts["motion"] is None else LandmarkMotion(*facts["motion"])
        return BranchNet(shape, int(facts["token_width"]), int(facts["free_code"]), motion)

    check_fit(build, state)
    net = build()
    net.load_state_dict(state)
    cloud = Cloud.from_tensors(_under(tensors, f"{prefix}cloud."))
    cloud.check()
    net.attach(cloud.means)
    return TrainedBranch(cloud, net, tensors.get(f"{prefix}doubt"))


def build_reader(tensors: Mapping[str, Tensor]) -> LipReader:
    """The reader whose state dict these tensors are."""
    (inputs, components), (supports, coefficients) = tensors["projection"].shape, tensors["weights"].shape
    radius = int(tensors["radius"])
    if not 0 <= radius <= MOST_RADIUS or not float(tensors["spread"]) > 0:
        raise ValueError(f"no reader listens {radius} frames around, or with a spread of {float(tensors['spread']):g}")
    reader = LipReader(inputs, components, supports, coefficients, radius)
    reader.load_state_dict(dict(tensors))
    return reader


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def save_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], out: Path, state: str) -> None:
    """Write tensors as safetensors with the facts as json in its metadata."""
    write_tensors(out, tensors, {"state": state, "facts": json.dumps(facts)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that `save_tensors` wrote; DataError for any other file."""
    with reading(path):
        tensors, texts = read_tensors(path)
        return tensors, facts_of(texts)


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
    if head.backdrop_variance is not None:
        tensors["backdrop_variance"] = head.backdrop_variance
    facts = {"face": branch_facts(head.face), "mouth": branch_facts(head.mouth), "sh_degree": head.sh_degree}
    save_tensors(tensors, facts, out, state)


def load_head(path: Path) -> Head:
    """Read a whole head."""
    with reading(path):
        tensors, facts = load_tensors(path)
        reader = build_reader(_under(tensors, "reader."))
        face, mouth = (build_branch(facts[name], tensors, f"{name}.") for name in ("face", "mouth"))
        return Head(face, mouth, reader, int(facts["sh_degree"]), tensors.get("backdrop_variance"))
