"""A head that shows its frames faster: each view's ensemble folded into one net when the head is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.field.fold import fold
from ua3dtalk.rendering.controls import ControlTrack, heard
from ua3dtalk.rendering.head import Controls, Head, TrainedBranch, branch_facts, branch_tensors, build_branch
from ua3dtalk.subject import Subject

FRAMES = 64  # training frames that the fold is fitted to, evenly taken
ENSEMBLES = "net.field.ensembles."  # what the names of their tensors begin with


@torch.no_grad()
def fast(head: Head, subject: Subject) -> Head:
    """The head, on the CPU, with one net for each view.

    Raises:
        InputError: there is nothing to fold.
    """
    fields = [branch.net.uncertain for branch in (head.face, head.mouth)]
    if any(field is None or field.shape.members == 1 for field in fields):
        raise InputError(f"--fast: the head of {subject.name} has one net for each view already: leave --fast out")
    track = heard(subject, head.reader, head.views, subject.expression.action_units)
    controls = ControlTrack(subject, track, head.face.net.encoder is not None, torch.device("cpu"))
    train = subject.train_frames
    chosen = train[np.linspace(0, len(train) - 1, min(len(train), FRAMES)).round().astype(int)]
    driven = [controls(int(frame)) for frame in chosen]
    face, mouth = (_folded(branch, driven) for branch in (head.face, head.mouth))
    return replace(head, face=face, mouth=mouth)


def _folded(branch: TrainedBranch, driven: Sequence[Controls]) -> TrainedBranch:
    """The branch with one net for each view in place of its ensembles."""
    field = branch.net.uncertain
    assert field is not None
    nets = fold(field, field.position_parts(branch.cloud.means), [branch.net.codes(each) for each in driven])
    facts = branch_facts(branch)
    facts["shape"]["members"] = 1
    tensors = {name: value for name, value in branch_tensors(branch).items() if not name.startswith(ENSEMBLES)}
    for view, net in nets.items():
        tensors |= {f"{ENSEMBLES}{view}.{name}": value for name, value in net.state_dict().items()}
    return build_branch(facts, tensors)
