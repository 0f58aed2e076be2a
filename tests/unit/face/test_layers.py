"""Clean plate and torso on a schematic person whose background is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ua3dtalk.face.layers import clean_plate, over, separate_layers, torso_layer
from ua3dtalk.face.pixels import inpaint, nearest, take
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import Region, Subject

SIDE = 128


def background() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)


def scene(shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame and regions of a person at a horizontal place: red head, green neck, blue cloth."""
    y, x = np.mgrid[:SIDE, :SIDE]
    x = x - SIDE // 2 - shift
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[(y > 95) & (abs(x) < 25)] = Region.CLOTH
    labels[(y > 70) & (y <= 95) & (abs(x) < 8)] = Region.NECK
    labels[(x / 14) ** 2 + ((y - 55) / 20) ** 2 < 1] = Region.SKIN
    frame = background()
    frame[labels == Region.SKIN] = (200, 40, 40)
    frame[labels == Region.NECK] = (40, 200, 40)
    frame[labels == Region.CLOTH] = (40, 40, 200)
    return frame, labels


@pytest.fixture
def moving() -> tuple[np.ndarray, np.ndarray]:
    frames = [scene(round(40 * np.sin(k / 5))) for k in range(60)]
    return np.stack([f for f, _ in frames]), np.stack([r for _, r in frames])


def test_plate_is_the_background_where_it_was_seen(moving: tuple[np.ndarray, np.ndarray]) -> None:
    video, regions = moving
    plate = clean_plate(video, regions, np.arange(len(video)))
    np.testing.assert_array_equal(plate, background())


def test_what_was_never_seen_is_filled_smoothly_from_around() -> None:
    video, regions = (np.stack([x] * 5) for x in scene(0))
    plate = clean_plate(video, regions, np.arange(5)).astype(int)
    far = nearest(regions[0] != 0)[0] > 4
    np.testing.assert_array_equal(plate[far], background()[far])
    # The head hides the middle of a smooth ramp: the fill has neither the head's colour nor an edge.
    assert abs(plate[55, 64] - background()[55, 64]).max() < 30
    assert abs(np.diff(plate[20:80], axis=1)).max() < 16


def test_plate_forgives_the_parser_a_frame(moving: tuple[np.ndarray, np.ndarray]) -> None:
    video, regions = (np.stack([x] * 40) for x in scene(0))
    regions[7] = 0  # the whole person missed once
    assert abs(clean_plate(video, regions, np.arange(40))[55, 64].astype(int) - background()[55, 64]).max() < 30


def test_plate_uses_only_the_frames_it_may(moving: tuple[np.ndarray, np.ndarray]) -> None:
    video, regions = moving
    spoiled = video.copy()
    spoiled[40:] = 255
    allowed = np.arange(40)
    np.testing.assert_array_equal(clean_plate(spoiled, regions, allowed), clean_plate(video, regions, allowed))


def test_a_person_who_fills_the_frame_leaves_a_grey_plate() -> None:
    plate = clean_plate(np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), Region.CLOTH, np.uint8), np.arange(2))
    assert (plate == 127).all()


def test_torso_keeps_its_pixels_and_goes_on_under_the_chin() -> None:
    frame, labels = scene(0)
    layer = torso_layer(frame, labels)
    torso = (labels == Region.NECK) | (labels == Region.CLOTH)
    away = torso & (nearest(labels == Region.SKIN)[0] > 1)  # 4 px of 512
    np.testing.assert_array_equal(layer[away, :3], frame[away])
    assert (layer[torso, 3] == 255).all()
    assert not layer[labels == Region.BACKGROUND, 3].any()
    # 53 px of 512 are 13 of 128: the head may be lifted by so much and shows neck, not background.
    lowest = np.flatnonzero(labels[:, 64] == Region.SKIN).max()
    under = layer[lowest - 11 : lowest + 1, 64]
    assert (under[:, 3] == 255).all()
    assert (under[:, 1] > 2 * under[:, 0]).all()  # neck's green, not the head's red
    assert (np.diff(under[:, 1].astype(int)) >= 0).all()  # darker upwards


def test_the_outline_of_the_chin_is_not_left_on_the_neck() -> None:
    frame, labels = scene(0)
    torso = (labels == Region.NECK) | (labels == Region.CLOTH)
    rim = torso & (nearest(labels == Region.SKIN)[0] <= 1)
    assert rim.any()
    outlined = np.where(rim[..., None], np.uint8([255, 0, 255]), frame)
    np.testing.assert_array_equal(torso_layer(outlined, labels), torso_layer(frame, labels))


def test_a_lifted_head_shows_no_background_at_the_neck() -> None:
    frame, labels = scene(0)
    head = np.roll(labels == Region.SKIN, -8, axis=0)
    behind = over(torso_layer(frame, labels), np.full_like(frame, 255))
    together = np.where(head[..., None], frame, behind)
    assert not (together[50:96, 62:67] == 255).all(axis=-1).any()


def test_frames_without_head_or_torso_do_not_fail() -> None:
    frame, labels = scene(0)
    for hidden in (Region.SKIN, Region.NECK, Region.CLOTH):
        labels = np.where(labels == hidden, np.uint8(0), labels)
        layer = torso_layer(frame, labels)
        assert layer.shape == (SIDE, SIDE, 4)
    assert not layer.any()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_inpainting_keeps_the_known_and_stays_between_its_extremes(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(20, 230, (height, width, 3)).astype(np.float32)
    known = rng.random((height, width)) < 0.3
    filled = inpaint(image, known)
    np.testing.assert_array_equal(filled[known], image[known])
    if known.any():
        low, high = image[known].min(axis=0), image[known].max(axis=0)
        assert (filled >= low - 1e-2).all()
        assert (filled <= high + 1e-2).all()


def test_nearest_equals_scipy() -> None:
    from scipy.ndimage import distance_transform_edt

    known = np.random.default_rng(1).random((50, 70)) < 0.02
    distance, index = nearest(known)
    np.testing.assert_allclose(distance, distance_transform_edt(~known), rtol=0.03, atol=0.05)
    rows, columns = np.divmod(index, 70)
    assert known[rows, columns].all()
    y, x = np.mgrid[:50, :70]
    np.testing.assert_allclose(np.hypot(rows - y, columns - x), distance, rtol=0.03, atol=0.05)
    np.testing.assert_array_equal(take(known, index), True)


def test_stage_writes_the_same_twice(
    make_bundle: Callable[..., Subject], moving: tuple[np.ndarray, np.ndarray]
) -> None:
    video, regions = moving
    subject = make_bundle(video)
    np.save(subject.root / "regions.npy", regions)
    written = []
    for _ in range(2):
        separate_layers(
            subject=subject,
            out_plate=subject.root / "layers/plate.png",
            out_torso=subject.root / "layers/torso.npy",
            picture=subject.root / "layers.png",
            settings=FaceSettings(),
            state="0",
        )
        written.append([(subject.root / name).read_bytes() for name in ("layers/plate.png", "layers/torso.npy")])
    assert written[0] == written[1]
    assert subject.torso.shape == (60, SIDE, SIDE, 4)
    assert subject.plate.shape == (SIDE, SIDE, 3)
    assert (subject.root / "layers.png").exists()
