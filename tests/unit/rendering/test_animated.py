"""A moving head in one file: what another reader makes of it is what our renderer draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from glb_reader import Glb
from tiny_training import with_motion

from ua3dtalk.errors import InputError
from ua3dtalk.media.encode import write_sound
from ua3dtalk.rendering.animated import animate, write_animation
from ua3dtalk.rendering.controls import ControlTrack, heard
from ua3dtalk.rendering.drive import Cue, HeardFrame, Stage
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.replay import Replay
from ua3dtalk.rendering.transfer import displacement
from ua3dtalk.splat.rasterise import rasterization
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")
NOTHING = HeardFrame(0.0, 0.0, 1.0, np.zeros(0))
FRAMES = 50
LEAST_PSNR = 50.0  # dB; below it only what 8 bits and the tolerated rest of the motion take


def cues_of(subject: Subject, stage: Stage) -> list[Cue]:
    """The actor's own frames."""
    track = heard(subject, stage.head.reader, stage.head.views, subject.expression.action_units)
    controls = ControlTrack(subject, track, False, CPU)
    return [Cue(controls(frame), stage.stances(frame), NOTHING) for frame in range(FRAMES)]


def stage_of(subject: Subject, head: Head) -> Stage:
    return Stage(subject, head.to(CPU), Replay(subject, CPU), CPU)


def drawn(glb: Glb, frame: int, values: torch.Tensor, degree: int | None, background: torch.Tensor) -> torch.Tensor:
    """The frame as the file tells it: the mouth's layer before a background, the face's before both."""
    splats, camera, first = glb.splats(frame), glb.camera(frame), glb.extras["mouth"]
    for part in (slice(first, None), slice(0, first)):
        colour, alpha, _ = rasterization(
            splats.means[part],
            splats.quats[part],
            splats.scales[part].clamp_min(1e-9),
            glb.opacities[part],
            values[part],
            camera.viewmat[None],
            camera.K[None],
            camera.width,
            camera.height,
            sh_degree=degree,
        )
        background = colour[0] + (1 - alpha[0]) * background
    return background


def test_another_reader_draws_the_same_frames(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path
) -> None:
    stage = stage_of(hearing_subject, make_head(hearing_subject))
    cues = cues_of(hearing_subject, stage)
    assert write_animation(tmp_path / "a.glb", animate(stage, cues), None, {"comment": "synthetic"}) == FRAMES
    glb = Glb(tmp_path / "a.glb")
    rest = stage.renderer(cues[0].stance.camera, None, cues[0].stance.background)
    for frame in range(0, FRAMES, 7):
        stance = cues[frame].stance
        np.testing.assert_allclose(glb.camera(frame).viewmat, stance.camera.viewmat, atol=1e-5)
        np.testing.assert_allclose(glb.camera(frame).K, stance.camera.K, rtol=1e-6)
        meant = stage.renderer(stance.camera, cues[frame].controls, stance.background)
        found = drawn(glb, frame, glb.sh, 1, stance.background)
        assert -10 * float((found - meant).square().mean().log10()) > LEAST_PSNR, frame
        assert -10 * float((rest - meant).square().mean().log10()) < 35, "it does not move, and so shows nothing"


def test_it_tells_how_sure_each_gaussian_is(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path
) -> None:
    stage = stage_of(hearing_subject, make_head(hearing_subject, uncertain=True))
    cues = [
        replace(cue, controls=replace(cue.controls, novelty=1 + frame / 10))
        for frame, cue in enumerate(cues_of(hearing_subject, stage))
    ]
    write_animation(tmp_path / "a.glb", animate(stage, cues), None, {})
    glb = Glb(tmp_path / "a.glb")
    behind = torch.full((64, 64, 1), 1e-5)
    for frame in (0, 20, 40):
        meant = stage.renderer.variance(cues[frame].stance.camera, cues[frame].controls).sqrt()
        doubt = glb.splats(frame).doubt
        assert doubt is not None
        found = drawn(glb, frame, doubt.exp()[:, None], None, behind)[..., 0].sqrt()
        # Nets of random numbers doubt more wildly than trained ones, where it is .006.
        assert float((found - meant).abs().mean()) < 0.04 * float(meant.mean())
    first, last = glb.splats(0).doubt, glb.splats(40).doubt
    assert first is not None and last is not None and float((last - first).min()) > 1


def test_emotions_that_were_never_shown_lie_ready(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path
) -> None:
    """Moved by the file's own targets, the head is the one that is driven to show them."""
    stage = stage_of(hearing_subject, with_motion(hearing_subject, make_head(hearing_subject, uncertain=True)))
    cues = cues_of(hearing_subject, stage)[:8]
    write_animation(tmp_path / "a.glb", animate(stage, cues), None, {})
    glb = Glb(tmp_path / "a.glb")
    target, weight = glb.extras["expressions"]["happy"]
    face, mouth = glb.extras["novelty"]
    moved = torch.from_numpy(displacement({"happy": 0.5}).astype(np.float32))
    asked = replace(cues[3].controls, displacement=moved, novelty=cues[3].controls.novelty * 1.5**2)
    meant, found = stage.renderer.deformed(asked), glb.splats(3)
    shift = 0.5 * weight * glb.targets[target]["POSITION"]
    assert np.abs(shift).max() > 1e-3
    assert float((found.means + torch.from_numpy(shift) - meant.means).abs().max()) < 5e-4
    assert found.doubt is not None and meant.log_variance is not None
    first = glb.extras["mouth"]
    more = 2 * np.log(1.5) * torch.cat([torch.full((first,), face), torch.full((len(found.doubt) - first,), mouth)])
    assert float((found.doubt + more - meant.log_variance).abs().max()) < 0.1


def test_what_the_file_says_of_itself(
    hearing_subject: Subject, make_head: Callable[..., Head], babble: Callable[[int], np.ndarray], tmp_path: Path
) -> None:
    stage = stage_of(hearing_subject, make_head(hearing_subject))
    write_sound(tmp_path / "a.m4a", babble(FRAMES), 16_000)
    sound = (tmp_path / "a.m4a").read_bytes()
    write_animation(
        tmp_path / "a.glb", animate(stage, cues_of(hearing_subject, stage)), sound, {"comment": "synthetic"}
    )
    glb = Glb(tmp_path / "a.glb")
    assert glb.document["asset"]["extras"] == {"comment": "synthetic"}
    assert glb.extras["frames"] == FRAMES and glb.tracks["times"] == pytest.approx(np.arange(FRAMES) / 25)
    assert glb.primitive["mode"] == 0 and glb.primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert set(glb.document["extensionsRequired"]) <= set(glb.document["extensionsUsed"])
    assert sum(number for _, number in glb.extras["targets"].values()) == len(glb.targets) > 1
    assert glb.view(glb.extras["sound"]["bufferView"]) == sound
    with av.open(str(tmp_path / "a.m4a")) as heard_again:
        assert float(heard_again.duration / 1e6) == pytest.approx(FRAMES / 25, abs=0.05)
    rotations = glb.attributes["KHR_gaussian_splatting:ROTATION"]
    assert np.linalg.norm(rotations, axis=1) == pytest.approx(1, abs=1e-3)
    assert all("POSITION" in target for target in glb.targets)
    assert "NaN" not in json.dumps(glb.document)


def test_a_head_that_keeps_still_has_no_targets(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path
) -> None:
    stage = stage_of(hearing_subject, make_head(hearing_subject))
    one = cues_of(hearing_subject, stage)[0]
    write_animation(tmp_path / "a.glb", animate(stage, [one, replace(one)]), None, {})
    glb = Glb(tmp_path / "a.glb")
    assert "targets" not in glb.primitive and set(glb.tracks) == {"times", "translation", "rotation"}


def test_no_frame_is_one_line(hearing_subject: Subject, make_head: Callable[..., Head]) -> None:
    with pytest.raises(InputError, match="no frame"):
        animate(stage_of(hearing_subject, make_head(hearing_subject)), [])
