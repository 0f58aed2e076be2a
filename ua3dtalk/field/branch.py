"""A branch: the net that turns a frame's controls into edits of its Gaussians.

One class serves face and mouth; what they see and move is data. Everything that depends on a Gaussian's position
alone is computed by `position_parts` and can be kept from frame to frame when nothing trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ua3dtalk.field.conditioners import ActionUnitEncoder, perceptron
from ua3dtalk.field.triplane import TriPlane

View = Literal["audio", "action_units"]
Edit = Literal["position", "rotation", "scale"]

EDIT_WIDTHS: dict[Edit, int] = {"position": 3, "rotation": 4, "scale": 3}
POSITION_STEP = 1e-2  # metres a unit of the position head stands for
BOUND = 0.15  # metres; the head lies within this cube around its origin


@dataclass(frozen=True)
class BranchShape:
    """What a branch is made of; kept beside its weights so that a saved branch can be built again."""

    views: tuple[View, ...] = ("audio", "action_units")
    edits: tuple[Edit, ...] = ("position", "rotation", "scale")
    plane_sides: tuple[int, ...] = (16, 25, 38)
    plane_channels: int = 4
    combine: Literal["concat", "product"] = "concat"
    audio_code: int = 32
    hidden: int = 64


@dataclass(frozen=True)
class PositionParts:
    """features [N, H]; gates per view [N, width of the view's code]."""

    features: Tensor
    gates: dict[str, Tensor]


@dataclass(frozen=True)
class Edits:
    """What is added to the raw parameters of N Gaussians; absent edits are None.

    position [N, 3] m, rotation [N, 4] (before normalisation), scale [N, 3] (before the activation);
    gates: how strongly each view reached each Gaussian, [N] per view; variance [A, D] of the fused belief that the
    edits came from, where the branch has beliefs.
    """

    position: Tensor | None
    rotation: Tensor | None
    scale: Tensor | None
    gates: dict[str, Tensor]
    variance: Tensor | None = None


def decoded_edits(decoded: Tensor, edits: Sequence[Edit], gates: dict[str, Tensor]) -> Edits:
    """Edits out of a decoder's columns [N, sum of the edits' widths], in the order of `edits`."""
    pieces = dict(zip(edits, decoded.split([EDIT_WIDTHS[edit] for edit in edits], 1), strict=True))
    position = pieces.get("position")
    return Edits(
        position=None if position is None else position * POSITION_STEP,
        rotation=pieces.get("rotation"),
        scale=pieces.get("scale"),
        gates=gates,
    )


def opened(gates: nn.ModuleDict, features: Tensor) -> dict[str, Tensor]:
    """How far each place [N, H] lets each code in: [N, width of the code] per view.

    Gates start open: at zero they would hold back both the controls and what could open them.
    """
    found = {view: 1 + gate(features) for view, gate in gates.items()}
    if "action_units" in found:
        found["action_units"] = torch.relu(found["action_units"])
    return found


class Branch(nn.Module):
    """Controls and positions to edits.

    Source: TalkingGaussian's face and mouth motion nets: the code of each view is gated by the position
    (channel attention), joined with the position's features and decoded by one small net.
    """

    def __init__(self, shape: BranchShape) -> None:
        super().__init__()
        self.shape = shape
        self.planes = TriPlane(shape.plane_sides, shape.plane_channels, BOUND, shape.combine)
        self.gates = nn.ModuleDict()
        width = self.planes.width
        total = width
        for view in shape.views:
            code = shape.audio_code if view == "audio" else 6
            self.gates[view] = perceptron(width, 32 if view == "audio" else 16, code)
            total += code
        self.units = ActionUnitEncoder() if "action_units" in shape.views else None
        self.decoder = perceptron(
            total, shape.hidden, shape.hidden, sum(EDIT_WIDTHS[edit] for edit in shape.edits), bias=True
        )
        # Motion starts at rest: switching it on must not shake the canonical head.
        last = self.decoder[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def position_parts(self, positions: Tensor) -> PositionParts:
        """Args: positions [N, 3] m of the canonical Gaussians (no gradient flows into them)."""
        features = self.planes(positions.detach())
        return PositionParts(features, opened(self.gates, features))

    def forward(self, parts: PositionParts, audio_code: Tensor, action_units: Tensor) -> Edits:
        """Args: audio_code [1, A]; action_units [1, 6]."""
        codes = {"audio": audio_code}
        if self.units is not None:
            codes["action_units"] = self.units(action_units)
        seen = {view: codes[view] * gate for view, gate in parts.gates.items()}
        decoded = self.decoder(torch.cat([parts.features, *seen.values()], 1))
        return decoded_edits(decoded, self.shape.edits, {view: value.norm(dim=1) for view, value in seen.items()})
