"""Layers, and the window that spares the mouth's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_training import tiny_head

from ua3dtalk.field.branch import Edits
from ua3dtalk.rendering.compose import Layer, backdrop, compose, draw, moved, to_bytes
from ua3dtalk.rendering.head import Controls, Head
from ua3dtalk.rendering.renderer import HeadRenderer, cloud_window
from ua3dtalk.splat.camera import Camera, Window
from ua3dtalk.splat.cloud import Cloud, inverse_softplus
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")


def layer(colour: list[float], alpha: float) -> Layer:
    """A uniform layer of straight colour and alpha."""
    return Layer(alpha * torch.tensor(colour).expand(2, 3, 3), torch.full((2, 3, 1), alpha), {})


def test_compose_is_the_over_operator_by_hand() -> None:
    face, mouth, ground = layer([1.0, 0, 0], 0.5), layer([0.0, 1, 0], 0.25), torch.tensor([0.0, 0, 1]).expand(2, 3, 3)
    # 0.5 red, then 0.5 * 0.25 green, then 0.5 * 0.75 blue.
    torch.testing.assert_close(compose(face, mouth, ground)[1, 2], torch.tensor([0.5, 0.125, 0.375]))


def test_what_covers_hides_and_what_is_clear_shows() -> None:
    ground = torch.rand(2, 3, 3)
    solid, clear = layer([0.2, 0.4, 0.6], 1.0), layer([0.2, 0.4, 0.6], 0.0)
    torch.testing.assert_close(compose(clear, clear, ground), ground)
    torch.testing.assert_close(compose(solid, clear, ground), solid.colour)
    torch.testing.assert_close(compose(clear, solid, ground), solid.colour)


def test_backdrop_lays_the_torso_over_the_plate() -> None:
    plate = torch.full((1, 3, 3), 100, dtype=torch.uint8)
    torso = torch.tensor([[[200, 0, 50, 0], [200, 0, 50, 255], [200, 0, 50, 51]]], dtype=torch.uint8)
    wanted = [[100, 100, 100], [200, 0, 50], [120, 80, 90]]
    torch.testing.assert_close(backdrop(plate, torso)[0], torch.tensor(wanted) / 255)


def test_bytes_are_rounded_and_bounded() -> None:
    values = torch.tensor([[[-1.0, 0.0, 0.4999 / 255], [0.5001 / 255, 1.0, 7.0]]])
    assert to_bytes(values).flatten().tolist() == [0, 0, 0, 1, 255, 255]


def test_edits_are_added_before_the_activations() -> None:
    cloud = Cloud.from_points(np.random.default_rng(0).uniform(-1, 1, (5, 3)), np.full((5, 3), 0.5), 0)
    edits = Edits(torch.full((5, 3), 0.1), torch.full((5, 4), 0.2), torch.full((5, 3), 0.3), {})
    means, quats, scales = moved(cloud, edits)
    torch.testing.assert_close(means, cloud.means + 0.1)
    torch.testing.assert_close(quats, cloud.quats + 0.2)
    torch.testing.assert_close(scales, F.softplus(cloud.raw_scales + 0.3))
    for still in (None, Edits(None, None, None, {})):
        for found, wanted in zip(moved(cloud, still), (cloud.means, cloud.quats, cloud.scales), strict=True):
            assert torch.equal(found, wanted)


def camera_of(subject: Subject, frame: int) -> Camera:
    tracking = subject.tracking
    viewmat, K = (torch.from_numpy(a[frame].astype(np.float32)) for a in (tracking.world_to_camera, tracking.K))
    return Camera(viewmat, K, 64, 64)


def controls_of(seed: int) -> Controls:
    g = torch.Generator().manual_seed(seed)
    return Controls(2 * torch.randn(1, 3, generator=g), None, torch.rand(1, 6, generator=g))


def on_whole_frames(head: Head, camera: Camera, controls: Controls | None, ground: torch.Tensor) -> torch.Tensor:
    """The picture without windows and without anything kept."""
    layers = []
    for branch in (head.face, head.mouth):
        edits = None
        if controls is not None:
            edits = branch.net(branch.net.field.position_parts(branch.cloud.means), controls)
        layers.append(draw(branch.cloud, edits, camera, head.sh_degree))
    return compose(layers[0], layers[1], ground)


@pytest.mark.parametrize("motion", [0.1, 2.0])
def test_renderer_draws_what_whole_frames_would_show(tiny_subject: Subject, motion: float) -> None:
    """However far the mouth moves: 2 stands for more than a centimetre."""
    head = tiny_head(tiny_subject, motion=motion).to(CPU)
    renderer, ground = HeadRenderer(head, CPU), torch.rand(64, 64, 3)
    before = ground.clone()
    for frame in (0, 20, 50):
        for controls in (controls_of(frame), None):
            camera = camera_of(tiny_subject, frame)
            with torch.no_grad():
                wanted = on_whole_frames(head, camera, controls, ground)
            torch.testing.assert_close(renderer(camera, controls, ground), wanted, atol=2e-6, rtol=0)
    assert torch.equal(ground, before), "the caller's background was painted on"


def test_the_window_spares_pixels(tiny_subject: Subject) -> None:
    mouth = tiny_head(tiny_subject).mouth.cloud
    mouth.raw_scales = inverse_softplus(torch.full_like(mouth.raw_scales, 0.002))  # as small as training makes them
    window = cloud_window(mouth, None, camera_of(tiny_subject, 20))
    assert window is not None and window.width * window.height < 64 * 64 / 4


def test_a_mouth_beside_the_picture_has_no_window_and_one_behind_the_camera_the_whole(tiny_subject: Subject) -> None:
    mouth, camera = tiny_head(tiny_subject).mouth.cloud, camera_of(tiny_subject, 20)
    shift = torch.zeros(4, 4)
    shift[0, 3] = 5.0
    assert cloud_window(mouth, None, Camera(camera.viewmat + shift, camera.K, 64, 64)) is None
    shift[0, 3], shift[2, 3] = 0.0, -0.6
    assert cloud_window(mouth, None, Camera(camera.viewmat + shift, camera.K, 64, 64)) == Window(0, 0, 64, 64)


def test_a_camera_that_sees_no_mouth_still_shows_the_face(tiny_subject: Subject) -> None:
    head, camera, ground = tiny_head(tiny_subject).to(CPU), camera_of(tiny_subject, 20), torch.rand(20, 64, 3)
    forehead = camera.window(Window(0, 0, 64, 20))
    with torch.no_grad():
        wanted = on_whole_frames(head, forehead, None, ground)
    torch.testing.assert_close(HeadRenderer(head, CPU)(forehead, None, ground), wanted, atol=2e-6, rtol=0)
