"""A branch that knows how sure it is: several views of a frame, each an ensemble's belief over one latent state.

The beliefs are held at anchors on the head and carried to the Gaussians by smooth weights; `anchors = None` keeps one
belief per Gaussian. Source: UA-3DTalk, uncertainty-based deformation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ua3dtalk.field.anchors import Anchors
from ua3dtalk.field.beliefs import Belief, ViewEnsemble
from ua3dtalk.field.branch import BOUND, EDIT_WIDTHS, Edit, Edits, decoded_edits, opened
from ua3dtalk.field.conditioners import ActionUnitEncoder, perceptron
from ua3dtalk.field.emotion_memory import EmotionMemory
from ua3dtalk.field.fusion import fuse
from ua3dtalk.field.triplane import TriPlane

BeliefView = Literal["audio", "lip_expression", "voice_style", "emotion"]
PRIOR_WIDTH, EMOTION_WIDTH, UNITS = 64, 128, 6
START_LOG_VARIANCE = math.log(0.05**2)  # of colours in 0..1


@dataclass(frozen=True)
class UncertainShape:
    """What an uncertain branch is made of; kept beside its weights so that a saved branch can be built again.

    views: in the order of the paper; action_units: whether the audio view sees them too; members: nets of each view's
    ensemble; learned_variance: False gives every view the same variance, so that fusion is a mean (the ablation's rows
    without uncertainty); anchors: places that hold beliefs, None for every Gaussian.
    """

    views: tuple[BeliefView, ...] = ("audio", "lip_expression", "voice_style", "emotion")
    action_units: bool = True
    edits: tuple[Edit, ...] = ("position", "rotation", "scale")
    plane_sides: tuple[int, ...] = (16, 25, 38)
    plane_channels: int = 4
    combine: Literal["concat", "product"] = "concat"
    audio_code: int = 8
    hidden: int = 64
    members: int = 10
    state: int = 48
    learned_variance: bool = True
    anchors: int | None = 400
    neighbours: int = 4
    emotion_sides: tuple[int, ...] = (8, 16, 24)
    emotion_channels: int = 16
    released_memory: bool = False


@dataclass(frozen=True)
class UncertainParts:
    """What depends on positions alone.

    features [N, H] of the Gaussians, held [A, H] of the anchors; gates [A, code] of the audio view and of the action
    units; emotion [A, W]: the memory's planes at the anchors, or None; where they were worth keeping
    (`UncertainBranch.kept`) ensembles: each view's first layer for all members, and decoder [N, hidden]: the decoder's.
    """

    features: Tensor
    held: Tensor
    gates: dict[str, Tensor]
    emotion: Tensor | None
    ensembles: dict[str, Tensor] | None = None
    decoder: Tensor | None = None


@dataclass(frozen=True)
class Codes:
    """One frame's input to the views; a view without a code is left out, as if its variance were infinite.

    audio [1, A], action_units [1, 6], lip_expression [1, 64], voice_style [1, 64], emotion [1, 128]; novelty > 0: how
    unlike the training speech the frame's is, a factor on the views' covariances.
    """

    audio: Tensor | None = None
    action_units: Tensor | None = None
    lip_expression: Tensor | None = None
    voice_style: Tensor | None = None
    emotion: Tensor | None = None
    novelty: float = 1.0


class UncertainBranch(nn.Module):
    """Controls and positions to edits and to the fused belief's variance.

    Call `place` once, before motion begins, and `attach` whenever the Gaussians have changed.
    """

    anchor_positions: Tensor

    def __init__(self, shape: UncertainShape) -> None:
        super().__init__()
        self.shape = shape
        self.planes = TriPlane(shape.plane_sides, shape.plane_channels, BOUND, shape.combine)
        width = self.planes.width
        self.register_buffer("anchor_positions", torch.zeros(shape.anchors or 0, 3))
        self.anchors: Anchors | None = None
        self.gates = nn.ModuleDict({"audio": perceptron(width, 32, shape.audio_code)})
        self.units = ActionUnitEncoder() if shape.action_units else None
        if shape.action_units:
            self.gates["action_units"] = perceptron(width, 16, UNITS)
        self.memory: EmotionMemory | None = _memory(shape) if "emotion" in shape.views else None
        self.ensembles = nn.ModuleDict()
        for view in shape.views:
            positions, code = self._inputs(view, width)
            self.ensembles[view] = ViewEnsemble(
                positions,
                code,
                members=shape.members,
                hidden=shape.hidden,
                state=shape.state,
            )
        self.decoder = Decoder(shape.state, width, shape.hidden, sum(EDIT_WIDTHS[edit] for edit in shape.edits))
        self.confidence = Confidence(shape.state, width)

    def _inputs(self, view: BeliefView, width: int) -> tuple[int, int]:
        """Widths of a view's two inputs: the position's features and the frame's code."""
        if view == "audio":
            return width, self.shape.audio_code + (UNITS if self.shape.action_units else 0)
        if view == "emotion":  # its code is made of positions already
            assert self.memory is not None
            return 0, self.memory.width
        return width, PRIOR_WIDTH

    def place(self, positions: Tensor) -> None:
        """Put the anchors among positions [N, 3] m, as far from each other as they can be."""
        if self.shape.anchors is not None:
            placed = Anchors.place(positions, self.shape.anchors, self.shape.neighbours).positions
            # A cloud smaller than that would leave some without a place: they double others.
            self.anchor_positions.copy_(placed[torch.arange(self.shape.anchors) % len(placed)])

    def attach(self, positions: Tensor) -> None:
        """Tie Gaussians at positions [N, 3] m to their anchors."""
        if self.shape.anchors is not None:
            self.anchors = Anchors.at(self.anchor_positions, positions, self.shape.neighbours)

    def carry(self, values: Tensor) -> Tensor:
        """Values [A, D] of the anchors to the Gaussians [N, D]."""
        return values if self.anchors is None else self.anchors.carry(values)

    def position_parts(self, positions: Tensor) -> UncertainParts:
        """Args: positions [N, 3] m of the canonical Gaussians (no gradient flows into them)."""
        features = self.planes(positions.detach())
        places = positions.detach() if self.shape.anchors is None else self.anchor_positions
        held = features if self.shape.anchors is None else self.planes(places)
        emotion = None if self.memory is None else self.memory.position_part(places)
        return UncertainParts(features, held, opened(self.gates, held), emotion)

    def kept(self, parts: UncertainParts) -> UncertainParts:
        """The parts with all first layers, for whoever shows many frames while nothing trains."""
        ensembles: dict[str, Tensor] = {
            view: self.ensemble(view).position_part(parts.held) for view in self.shape.views if view != "emotion"
        }
        return replace(parts, ensembles=ensembles, decoder=self.decoder.position(parts.features))

    def forward(
        self,
        parts: UncertainParts,
        codes: Codes,
        member: Mapping[str, int] | None = None,
        with_variance: bool = True,
    ) -> Edits:
        """Edits of N Gaussians.

        Args:
            member: one net of each view's ensemble (training samples them); None asks them all, so that their
                disagreement counts.
            with_variance: False spares the work for the variance of the fused belief.
        Raises:
            ValueError: no view has a code.
        """
        gated = self._gated(parts, codes)
        beliefs = self.beliefs(parts, self._codes(parts, codes, gated), member)
        if not beliefs:
            raise ValueError("no view has a code: give at least one of " + ", ".join(self.shape.views))
        fused = fuse(list(beliefs.values()), with_variance=with_variance)
        # All views are heard in the same speech: what is unlike it widens them alike, and their mean stays.
        variance = None if fused.variance is None else fused.variance * codes.novelty
        state = self.carry(self.decoder.state(fused.mean))
        decoded = self.decoder(state, parts.features, parts.decoder)
        gates = {name: self.carry(value.norm(dim=1, keepdim=True))[:, 0] for name, value in gated.items()}
        return replace(decoded_edits(decoded, self.shape.edits, gates), variance=variance)

    def seen(self, parts: UncertainParts, codes: Codes) -> dict[str, Tensor]:
        """What each view's ensemble sees of the frame: [A, code] or [1, code]; views without a code are left out."""
        return self._codes(parts, codes, self._gated(parts, codes))

    def beliefs(
        self, parts: UncertainParts, seen: Mapping[str, Tensor], member: Mapping[str, int] | None = None
    ) -> dict[str, Belief]:
        """What each view's ensemble, or one of its members, makes of what it sees."""
        found = {}
        for view, code in seen.items():
            chosen = None if member is None else member[view]
            belief: Belief = self.ensemble(view)(self.first_layer(view, parts, chosen), code, chosen)
            if not self.shape.learned_variance:
                belief = Belief(belief.mean, torch.ones_like(belief.variance), None)
            found[view] = belief
        return found

    def first_layer(self, view: str, parts: UncertainParts, member: int | None = None) -> Tensor | None:
        """What positions add to the first layer of a view's nets, or of one; None where its code is made of them."""
        if view == "emotion":
            return None
        if member is None and parts.ensembles is not None:
            return parts.ensembles[view]
        return self.ensemble(view).position_part(parts.held, member)

    def ensemble(self, view: str) -> ViewEnsemble:
        """The nets of a view."""
        net = self.ensembles[view]
        assert isinstance(net, ViewEnsemble)
        return net

    def _gated(self, parts: UncertainParts, codes: Codes) -> dict[str, Tensor]:
        """The audio code and the action units [A, code], as each place lets them in."""
        gated = {}
        if codes.audio is not None:
            gated["audio"] = codes.audio * parts.gates["audio"]
            if self.units is not None:
                if codes.action_units is None:
                    raise ValueError("the audio view takes action units: give them")
                gated["action_units"] = self.units(codes.action_units) * parts.gates["action_units"]
        return gated

    def _codes(self, parts: UncertainParts, codes: Codes, gated: Mapping[str, Tensor]) -> dict[str, Tensor]:
        given: dict[str, Tensor] = {}
        if gated:
            given["audio"] = torch.cat(list(gated.values()), 1)
        if codes.lip_expression is not None:
            given["lip_expression"] = codes.lip_expression
        if codes.voice_style is not None:
            given["voice_style"] = codes.voice_style
        if codes.emotion is not None and self.memory is not None:
            given["emotion"], _ = self.memory(parts.emotion, codes.emotion)
        return {view: given[view] for view in self.shape.views if view in given}

    def doubt(self, parts: UncertainParts, variance: Tensor) -> Tensor:
        """Log variance [N] of the colour that each Gaussian shows.

        Args: variance [A, D] of the fused belief, from `Edits.variance`.
        """
        return self.carry(self.confidence(variance, parts.held)[:, None])[:, 0]


def _memory(shape: UncertainShape) -> EmotionMemory:
    """Code-books that double from scale to scale: 64, 128, 256 entries."""
    return EmotionMemory(
        EMOTION_WIDTH,
        tuple(64 * 2**scale for scale in range(len(shape.emotion_sides))),
        shape.emotion_channels,
        shape.emotion_sides,
        BOUND,
        "released" if shape.released_memory else "selective",
    )


class Decoder(nn.Module):
    """State and position to edits: W [state, H] and one hidden layer. Motion starts at rest.

    The first layer is linear, so the state's part of it may be computed at the anchors and carried on.
    """

    def __init__(self, state: int, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.state = nn.Linear(state, hidden, bias=False)
        self.position = nn.Linear(width, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, out)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, state: Tensor, features: Tensor, position: Tensor | None = None) -> Tensor:
        """Args: state [N, hidden], already through `state`; features [N, H], or position: they through `position`."""
        position = self.position(features) if position is None else position
        return self.out(torch.relu_(self.hidden(torch.relu_(state + position))))


class Confidence(nn.Module):
    """Variance of the fused belief to the log variance of a colour: never falling in any entry of the variance.

    A place adds what it always lacks (hair, teeth), read from its features.
    """

    def __init__(self, state: int, width: int) -> None:
        super().__init__()
        even = math.log(math.expm1(1 / state))  # softplus of it is 1 / state: at first their mean
        self.weight = nn.Parameter(torch.full((state,), even))
        self.bias = nn.Parameter(torch.tensor(START_LOG_VARIANCE))
        self.place = perceptron(width, 32, 1, bias=True)

    def forward(self, variance: Tensor, features: Tensor) -> Tensor:
        """[A] of variance [A, D] and features [A, H]."""
        return torch.log(variance) @ F.softplus(self.weight) + self.place(features)[:, 0] + self.bias
