"""Landmarks: gaps in time, borders of clips, and no lag."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ua3dtalk.errors import AssetError, InputError
from ua3dtalk.face import landmarks
from ua3dtalk.face.landmarker import Detection, FaceLandmarker
from ua3dtalk.face.landmarks import TIMESTAMP_STEP_MS, extract_landmarks, interpolate
from ua3dtalk.media.frames import frames_at
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import Subject

NAMES = (
    *("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"),
    *(f"other{k}" for k in range(47)),
)


@given(st.lists(st.booleans(), min_size=2, max_size=30).filter(any))
@settings(max_examples=60, deadline=None)
def test_gaps_are_blended_linearly(valid: list[bool]) -> None:
    known = np.array(valid)
    truth = np.stack([np.arange(len(valid), dtype=np.float64), 3 - 2.0 * np.arange(len(valid))], axis=1)
    filled = interpolate(np.where(known[:, None], truth, 99.0), known)
    expected = np.stack([np.interp(np.arange(len(valid)), np.flatnonzero(known), c[known]) for c in truth.T], axis=1)
    np.testing.assert_allclose(filled, expected, atol=1e-12)


class Scripted:
    """Stands in for mediapipe: finds a face where the frame's first pixel is not 0, remembers each landmarker."""

    made: list[Scripted]

    def __init__(self, model: Path, video: bool) -> None:
        assert video
        self.names: tuple[str, ...] = NAMES
        self.times: list[int] = []
        Scripted.made.append(self)

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, rgb: np.ndarray, time: int) -> Detection | None:
        self.times.append(time)
        value = float(rgb[0, 0, 0])
        if value == 0:
            return None
        return Detection(np.full((478, 3), value, np.float32), np.full(52, value / 255, np.float32), np.eye(4))


@pytest.fixture
def run(make_bundle: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Subject]:
    def go(values: Iterable[int], lengths: list[int], **choice: object) -> Subject:
        video = np.zeros((sum(lengths), 32, 32, 3), np.uint8)
        video[:] = np.array(list(values), np.uint8)[:, None, None, None]
        subject = make_bundle(video, lengths)
        Scripted.made = []
        monkeypatch.setattr(landmarks, "FaceLandmarker", Scripted)
        extract_landmarks(
            subject=subject,
            model=subject.root / "model",
            out=subject.root / "landmarks.npz",
            picture=subject.root / "landmarks.png",
            settings=FaceSettings(**choice),  # type: ignore[arg-type]
            state="abc",
        )
        return subject

    return go


def test_each_clip_has_its_own_landmarker_and_gaps_stay_inside(run: Callable[..., Subject]) -> None:
    subject = run([10, 20, 0, 40, 0, 200, 0, 220], [5, 3])
    assert [len(one.times) for one in Scripted.made] == [5, 3]
    assert all(np.diff(one.times).min() >= TIMESTAMP_STEP_MS for one in Scripted.made)
    found = subject.landmarks
    assert found.valid.tolist() == [True, True, False, True, False, True, False, True]
    np.testing.assert_allclose(found.points[:, 0, 0], [10, 20, 30, 40, 40, 200, 210, 220], rtol=1e-5)
    assert found.names == NAMES
    assert (subject.root / "landmarks.png").stat().st_size > 1000
    with np.load(subject.root / "landmarks.npz") as data:
        assert str(data["state"]) == "abc"


def test_a_clip_without_its_face_is_refused_by_name(run: Callable[..., Subject]) -> None:
    with pytest.raises(InputError, match=r"clip4\.mp4: a face was found in only 25%"):
        run([9, 9, 9, 9, 0, 0, 0, 7], [4, 4])


def test_fan_without_weights_says_where_they_belong(
    run: Callable[..., Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with pytest.raises(AssetError, match="2DFAN4") as caught:
        run([9, 9], [2], landmarks="face-alignment")
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="is missing"):
        FaceLandmarker(tmp_path / "none.task", video=True)


def test_a_broken_model_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"no model")
    with pytest.raises(AssetError, match="no face landmarker's model") as caught:
        FaceLandmarker(broken, video=True)
    assert "\n" not in str(caught.value)


def test_tracking_does_not_lag(clips: Path, landmarker_model: Path) -> None:
    """Head height against single pictures: mediapipe's own time stamps would lag by a third of a frame."""
    frames = [f for _, f in zip(range(75), frames_at(clips / "video/obama.mp4"), strict=False)]
    paths = {}
    for video in (True, False):
        with FaceLandmarker(landmarker_model, video=video) as landmarker:
            found = [landmarker(frame, k * TIMESTAMP_STEP_MS) for k, frame in enumerate(frames)]
        paths[video] = np.array([one.points[1, 1] for one in found if one is not None])
    inner = slice(10, -10)

    def misfit(lag: int) -> float:
        return float(np.var(np.roll(paths[True], -lag)[inner] - paths[False][inner]))

    # The vertex of the parabola through whole lags: blending frames would favour half ones by taking noise away.
    before, at, after = misfit(-1), misfit(0), misfit(1)
    lag = (before - after) / (2 * (before - 2 * at + after))
    assert abs(lag) < 0.25  # 0.46 to 0.59 with the frames' own time stamps
