"""Pictures inside the page: every panel is where the script looks for it, at the right time."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ua3dtalk.report.cross import InOrder
from ua3dtalk.report.media import Film, Panel, error_map, heat_picture, make_film, picture_uri


def decoded(film: Film) -> list[np.ndarray]:
    content = base64.b64decode(film.source.removeprefix("data:video/mp4;base64,"))
    with av.open(io.BytesIO(content)) as container:
        assert len(container.streams.audio) == 1
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def flat(value: int) -> np.ndarray:
    return np.full((70, 70, 3), value, np.uint8)


@pytest.mark.parametrize("count", [1, 4, 6])
def test_every_panel_is_in_its_place(count: int) -> None:
    panels = [Panel(str(p), "", lambda k, p=p: flat(20 + 30 * p + 3 * k)) for p in range(count)]  # type: ignore[misc]
    film = make_film("x", panels, 5, 320, 25, np.zeros(3200, np.float32))
    assert film.side == 64 and film.columns == min(count, 4) and film.seconds == 0.2
    frames = decoded(film)
    assert len(frames) == 5
    for k, frame in enumerate(frames):
        for p in range(count):
            top, left = p // film.columns * 64, p % film.columns * 64
            inner = frame[top + 8 : top + 56, left + 8 : left + 56]
            assert abs(float(inner.mean()) - (20 + 30 * p + 3 * k)) < 2, (p, k)


def test_error_is_that_of_the_channels_and_white_is_a_fifth() -> None:
    shown, truth = np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 3), np.uint8)
    shown[0, 1] = (51, 0, 0)
    np.testing.assert_allclose(error_map(shown, truth), [[0, 0.2 / np.sqrt(3)]], rtol=1e-6)
    assert heat_picture(np.array([[0.0, 0.2, 3.0]])).tolist() == [[[0, 0, 0], [255, 255, 255], [255, 255, 255]]]


def test_pictures_become_small(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.arange(0, 240, dtype=np.uint8)[:, None, None], (1, 2000, 3))).save(tmp_path / "a.png")
    uri = picture_uri(tmp_path / "a.png", 1000)
    content = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    assert Image.open(io.BytesIO(content)).size == (1000, 120)


def test_pictures_in_order_are_read_once_and_the_last_one_stays() -> None:
    read = InOrder(flat(value) for value in (1, 2, 3))
    assert [int(read(k)[0, 0, 0]) for k in (0, 0, 1, 2, 3, 4)] == [1, 1, 2, 3, 3, 3]
