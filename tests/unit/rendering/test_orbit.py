"""Views from aside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.face.geometry import head_angles
from ua3dtalk.rendering.orbit import Orbit, parse_camera
from ua3dtalk.rendering.replay import Stance, Still
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")


def seen(subject: Subject, camera: str, frame: int = 0) -> tuple[Stance, Stance]:
    stances, angles = Still(subject, CPU), parse_camera(camera)
    assert angles is not None
    return stances(frame), Orbit.around(subject, stances, angles, CPU)(frame)


def angles_of(stance: Stance) -> np.ndarray:
    return head_angles(stance.camera.viewmat[:3, :3].numpy().astype(float))


@pytest.mark.parametrize(("camera", "turned"), [("20", (20, 0)), ("-30,0", (-30, 0)), ("0,15", (0, -15))])
def test_a_head_seen_from_aside_has_turned(tiny_subject: Subject, camera: str, turned: tuple[float, float]) -> None:
    """From the image's right one sees a face that looks to the left; from above one that looks down."""
    before, after = seen(tiny_subject, camera)
    yaw, pitch, _ = angles_of(after) - angles_of(before)
    assert abs(yaw) == pytest.approx(abs(turned[0]), abs=2.5)
    assert pitch == pytest.approx(turned[1], abs=2.5)
    if turned[0]:
        assert np.sign(yaw) == -np.sign(turned[0])


def test_the_middle_of_the_face_keeps_its_place(tiny_subject: Subject) -> None:
    before, after = seen(tiny_subject, "25,10")
    middle = torch.from_numpy(tiny_subject.tracking.neutral.mean(0).astype(np.float32))
    for one, other in [
        (stance.camera.viewmat[:3, :3] @ middle + stance.camera.viewmat[:3, 3] for stance in (before, after))
    ]:
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_an_orbit_swings_to_both_sides_and_begins_in_front(tiny_subject: Subject) -> None:
    angles = parse_camera("orbit:20")
    assert angles is not None
    yaws = np.array([angles(frame)[0] for frame in range(150)])
    assert yaws[0] == 0 and yaws.max() == pytest.approx(20, abs=0.1) and yaws.min() == pytest.approx(-20, abs=0.1)
    before, after = seen(tiny_subject, "orbit:20")
    assert torch.equal(before.background, after.background)


def test_the_torso_is_gone_where_it_would_be_wrong(tiny_subject: Subject) -> None:
    plate = torch.from_numpy(tiny_subject.plate.copy()) / 255
    assert torch.allclose(seen(tiny_subject, "20")[1].background, plate)
    before, after = seen(tiny_subject, "4")
    assert torch.equal(before.background, after.background)


@pytest.mark.parametrize("text", ["behind", "50", "orbit:60", "orbit:", "10,", "nan", "1,2,3", ""])
def test_what_cannot_be_meant_is_one_line(text: str) -> None:
    if text == "orbit:":
        assert parse_camera(text) is not None  # the usual swing
        return
    with pytest.raises(InputError, match="--camera"):
        parse_camera(text)
