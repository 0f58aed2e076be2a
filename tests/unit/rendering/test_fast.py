"""The fast mode: pictures and doubts near those of the full ensemble, from a head that is left as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.rendering.controls import ControlTrack, heard
from ua3dtalk.rendering.fast import fast
from ua3dtalk.rendering.head import Head, branch_tensors
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.rendering.replay import camera_at
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")


def test_pictures_and_doubts_stay_near_those_of_the_ensemble(
    hearing_subject: Subject, make_head: Callable[..., Head]
) -> None:
    head = make_head(hearing_subject, uncertain=True)
    before = {name: value.clone() for name, value in branch_tensors(head.face).items()}
    quick = fast(head, hearing_subject)
    assert all(torch.equal(value, before[name]) for name, value in branch_tensors(head.face).items())
    assert head.face.net.uncertain is not None and head.face.net.uncertain.shape.members == 3
    assert quick.face.net.uncertain is not None and quick.face.net.uncertain.shape.members == 1
    assert quick.uncertain and quick.views == head.views
    track = heard(hearing_subject, head.reader, head.views, hearing_subject.expression.action_units)
    controls = ControlTrack(hearing_subject, track, False, CPU)
    full, folded = HeadRenderer(head.to(CPU), CPU), HeadRenderer(quick.to(CPU), CPU)
    ground = torch.full((64, 64, 3), 0.5)
    apart, moved, doubts = [], [], []
    for frame in hearing_subject.test_frames:
        camera = camera_at(hearing_subject, int(frame), CPU)
        given = controls(int(frame))
        meant = full(camera, given, ground)
        apart.append(float((folded(camera, given, ground) - meant).square().mean()))
        moved.append(float((full(camera, None, ground) - meant).square().mean()))
        with torch.no_grad():
            pair = [each.variance(camera, given).sqrt() for each in (full, folded)]
        doubts.append(float((pair[1] - pair[0]).abs().mean() / pair[0].mean()))
    assert -10 * np.log10(np.mean(moved)) < 35, "it does not move, and so shows nothing"
    assert -10 * np.log10(np.mean(apart)) > 40
    assert np.mean(doubts) < 0.05


def test_a_head_without_ensembles_is_one_line(hearing_subject: Subject, make_head: Callable[..., Head]) -> None:
    with pytest.raises(InputError, match=r"--fast: the head of .* has one net for each view already: leave --fast out"):
        fast(make_head(hearing_subject), hearing_subject)
    once = fast(make_head(hearing_subject, uncertain=True), hearing_subject)
    with pytest.raises(InputError, match="one net for each view already"):
        fast(once, hearing_subject)
