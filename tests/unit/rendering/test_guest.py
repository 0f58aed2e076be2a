"""Another person's clip, looked at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.face.geometry import rotation_angle
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.subject import Subject


def test_a_bundle_is_taken_as_it_is(tiny_subject: Subject, tmp_path: Path) -> None:
    assert open_guest(str(tiny_subject.root), tmp_path / "new").root == tiny_subject.root
    assert not (tmp_path / "new").exists()


def test_a_clip_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video and no actor's folder is there") as caught:
        open_guest("nobody.mp4", tmp_path / "new")
    assert "\n" not in str(caught.value)


def test_text_named_as_a_clip_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("no film")
    with pytest.raises(InputError, match=r"a\.mp4") as caught:
        open_guest(str(path), tmp_path / "new")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "turns"), [("grid_brbk7n.mpg", 1), ("fadg0_headturn_silent.mp4", 40)])
def test_a_real_clip_with_or_without_sound(clips: Path, tmp_path: Path, name: str, turns: float) -> None:
    guest = open_guest(str(clips / "video" / name), tmp_path / "new")
    frames = guest.frame_count
    assert guest.tracking.world_to_camera.shape == (frames, 4, 4) and frames >= 70
    assert guest.expression.coefficients.shape == (frames, 52)
    assert guest.landmarks.valid.mean() > 0.8
    seen = guest.tracking.world_to_camera[guest.landmarks.valid, :3, :3]
    assert rotation_angle(seen[:, None], seen[None]).max() > turns, "degrees"
