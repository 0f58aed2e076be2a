"""Where the head is: the crop, one person among several, cuts, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ua3dtalk.errors import InputError
from ua3dtalk.face import locate
from ua3dtalk.face.cuts import change, face_colours, is_cut, is_slow_cut, thumbnail
from ua3dtalk.face.landmarker import Detection
from ua3dtalk.face.locate import NEEDED, Crop, Look, choose_crop, choose_crops, follow, locate_face
from ua3dtalk.media.frames import frames_at
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import ClipSource


def box_at(x: float, y: float, height: float) -> tuple[float, float, float, float]:
    return x - 0.36 * height, y - height / 2, x + 0.36 * height, y + height / 2


@given(
    st.integers(100, 2000),
    st.integers(100, 2000),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
    st.floats(0.8, 1.5),
)
@settings(max_examples=150, deadline=None)
def test_crop_is_whole_inside_when_it_fits_and_never_loses_the_face(
    width: int, height: int, x: float, y: float, size: float, margin: float
) -> None:
    face = size * min(width, height)
    box = np.array([box_at(x * width, y * height, face)])
    crop = choose_crop(box, width, height, margin)
    assert crop.side % 2 == crop.left % 2 == crop.top % 2 == 0
    right, bottom = crop.left + crop.side, crop.top + crop.side
    if crop.side <= width:
        assert crop.left >= 0
        assert right <= width
    if crop.side <= height:
        assert crop.top >= 0
        assert bottom <= height
    # Whatever of the needed part lies in the picture lies in the crop, up to the rounding to even numbers.
    left, top, n_right, n_bottom = box[0] + face * NEEDED
    assert crop.left <= max(left, 0) + 2
    assert crop.top <= max(top, 0) + 2
    assert right >= min(n_right, width) - 4
    assert bottom >= min(n_bottom, height) - 4


def test_small_face_gets_head_and_shoulders_and_a_large_one_the_whole_picture() -> None:
    small = choose_crop(np.array([box_at(960, 400, 200)]), 1920, 1080)
    assert 2 * 200 <= small.side <= 2.4 * 200
    assert small.top < 400 - 150
    assert choose_crop(np.array([box_at(225, 230, 230)]), 450, 450) == Crop(0, 0, 450)


def test_one_bad_look_does_not_widen_the_crop() -> None:
    boxes = np.array([box_at(960, 540, 200)] * 200 + [box_at(100, 100, 600)])
    assert choose_crop(boxes, 1920, 1080) == choose_crop(boxes[:-1], 1920, 1080)


def test_clips_of_one_sitting_share_their_crop_and_others_do_not() -> None:
    boxes = [np.array([box_at(x, 540, 300)]) for x in (950, 970, 1500)]
    one, two, far = choose_crops(boxes[:2] + boxes[2:], [(1920, 1080)] * 3)
    assert (one, two, far) == tuple(choose_crop(b, 1920, 1080) for b in boxes)  # three together do not fit
    one, two = choose_crops(boxes[:2], [(1920, 1080)] * 2)
    assert one == two
    small, large = choose_crops([boxes[0] / 2, boxes[0]], [(960, 540), (1920, 1080)])
    assert small != large


def test_the_largest_person_is_followed_even_when_another_comes_closer_for_a_moment() -> None:
    main, other = box_at(300, 300, 200), box_at(900, 300, 150)
    looks = [Look(k / 2, (main, other)) for k in range(6)]
    looks[2] = Look(1.0, (other, main))
    looks[4] = Look(2.0, (other,))
    assert follow(looks) == [main, main, main, main, None, main]
    assert follow([Look(0.0, ())]) == [None]


def test_change_and_colours_tell_a_cut_from_movement() -> None:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    other = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    small = thumbnail(scene)
    assert change(small, small) == 0
    assert change(small, thumbnail(np.roll(scene, 2, axis=1))) < 0.5 < change(small, thumbnail(other))
    red, green = np.zeros((468, 3), np.float32), np.full((468, 3), 30, np.float32)
    assert is_cut(0.9, None, None)
    assert is_cut(0.2, red, green)
    assert not is_cut(0.2, red, red)
    assert not is_cut(0.1, red, green)
    assert not is_cut(0.3, red, None)
    assert is_slow_cut(0.6, red, green)
    assert not is_slow_cut(0.3, red, green)


def test_face_colours_follow_the_face() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (20, 20, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = rng.uniform(60, 120, (478, 2))
    moved = points + np.array([30, 20, 0], np.float32)
    empty = (np.zeros(52, np.float32), np.eye(4))
    before = face_colours(picture, Detection(points, *empty))
    after = face_colours(np.roll(picture, (20, 30), axis=(0, 1)), Detection(moved, *empty))
    np.testing.assert_allclose(before, after, atol=1.01)
    outside = Detection(points - 1000, *empty)
    assert face_colours(picture, outside).shape == (468, 3)


def write_clip(path: Path, frames: Iterable[np.ndarray], rate: int = 25) -> Path:
    """An H.264 clip with silence beside it."""
    with av.open(str(path), "w") as container:
        video, count = None, 0
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for rgb in frames:
            if video is None:
                video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
                video.height, video.width = rgb.shape[:2]
                video.pix_fmt = "yuv420p"
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
            count += 1
        assert video is not None
        container.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, count * 16_000 // rate), np.int16), "s16", "mono")
        silence.sample_rate = 16_000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


class Scripted:
    """Stands in for mediapipe: a face at the place that its list names, in the order of the looks."""

    script: list[tuple[float, float, float] | None]

    def __init__(self, model: Path, video: bool, faces: int) -> None:
        self.looks = 0

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def all(self, rgb: np.ndarray, time: int = 0) -> list[Detection]:
        if rgb.shape[:2] != (240, 320):
            return []  # the search in parts of the picture
        place = self.script[min(self.looks, len(self.script) - 1)]
        self.looks += 1
        if place is None:
            return []
        left, top, right, bottom = box_at(*place)
        points = np.zeros((478, 3), np.float32)
        points[:, :2] = np.random.default_rng(0).uniform((left, top), (right, bottom), (478, 2))
        points[0, :2], points[1, :2] = (left, top), (right, bottom)
        return [Detection(points, np.zeros(52, np.float32), np.eye(4))]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    still = [np.full((240, 320, 3), 90, np.uint8)] * 60
    source = write_clip(tmp_path / "still.mp4", still)

    def go(*script: tuple[float, float, float] | None) -> dict[str, object]:
        monkeypatch.setattr(Scripted, "script", list(script), raising=False)
        monkeypatch.setattr(locate, "FaceLandmarker", Scripted)
        locate_face(
            clips=[ClipSource(source, "happy")],
            model=tmp_path / "model",
            out=tmp_path / "crop.json",
            picture=tmp_path / "crop.png",
            settings=MediaSettings(),
            state="abc",
        )
        return json.loads((tmp_path / "crop.json").read_text())

    return go


def test_stage_writes_what_the_decoder_reads(run: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    document = run((160, 120, 80))
    assert document["state"] == "abc"
    (clip,) = document["clips"]  # type: ignore[misc]
    assert set(clip) == {
        *("path", "sha256", "width", "height", "fps", "duration", "has_audio", "emotion", "crop"),
    }
    assert (clip["width"], clip["height"], clip["emotion"], clip["has_audio"]) == (320, 240, "happy", True)
    left, _, side = clip["crop"]
    assert 160 <= side <= 190
    assert abs(left + side / 2 - 160) <= 3
    assert (tmp_path / "crop.png").stat().st_size > 500


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ([None], "no face was found"),
        ([(160, 120, 80), None], r"only 1 of 5 looks, first missing at 0\.5 s"),
        ([(160, 120, 30)], "only 30 px high"),
    ],
)
def test_unusable_faces_are_one_line(
    run: Callable[..., dict[str, object]], script: list[tuple[float, float, float] | None], cause: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=cause) as caught:
        run(*script)
    assert "still.mp4" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "crop.json").exists()


def stretch(clips: Path, name: str, seconds: float, side: int) -> list[np.ndarray]:
    """The first frames of a real clip as squares."""
    from PIL import Image

    frames = []
    for _, rgb in zip(range(int(25 * seconds)), frames_at(clips / "video" / name), strict=False):
        height, width = rgb.shape[:2]
        left, top = (width - min(width, height)) // 2, (height - min(width, height)) // 2
        square = Image.fromarray(rgb).crop((left, top, left + min(width, height), top + min(width, height)))
        frames.append(np.asarray(square.resize((side, side))))
    return frames


@pytest.mark.parametrize(
    ("first", "second"),
    [("obama.mp4", "lieu.mp4"), ("m030_angry.mp4", "w036_happy.mp4"), ("obama.mp4", "fadg0.mp4")],
)
def test_another_person_is_refused_with_the_time_of_the_cut(
    clips: Path, landmarker_model: Path, tmp_path: Path, first: str, second: str
) -> None:
    joined = write_clip(tmp_path / "joined.mp4", stretch(clips, first, 1.2, 320) + stretch(clips, second, 1.2, 320))
    with pytest.raises(InputError, match=r"joined\.mp4 cuts to another scene or person at 1\.2 s"):
        locate_face(
            clips=[ClipSource(joined)],
            model=landmarker_model,
            out=tmp_path / "crop.json",
            picture=tmp_path / "crop.png",
            settings=MediaSettings(),
            state="0",
        )


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("fadg0.mp4", 330, 384), ("portrait_1080x1920.mp4", 450, 700), ("grid_bbaf2n.mpg", 280, 288)],
)
def test_real_clips_pass(
    clips: Path, landmarker_model: Path, tmp_path: Path, name: str, lowest: int, highest: int
) -> None:
    """Sentences laid end to end, hands before a small face, a low old format."""
    locate_face(
        clips=[ClipSource(clips / "video" / name)],
        model=landmarker_model,
        out=tmp_path / "crop.json",
        picture=tmp_path / "crop.png",
        settings=MediaSettings(),
        state="0",
    )
    (clip,) = json.loads((tmp_path / "crop.json").read_text())["clips"]
    left, top, side = clip["crop"]
    assert lowest <= side <= highest
    assert min(left, top) >= 0
    assert left + side <= clip["width"]
    assert top + side <= clip["height"]
