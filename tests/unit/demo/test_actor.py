"""The clip and its truth agree with one another, and with what the landmarker sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ua3dtalk.actors import BUILTIN_EMOTIONS
from ua3dtalk.demo.actor import encode_clip, make_actor
from ua3dtalk.demo.child import run_module
from ua3dtalk.demo.pose import camera, project
from ua3dtalk.errors import AssetError, DataError, InputError
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.subject import FPS, Region

ROW = {name: index for index, name in enumerate(BLENDSHAPE_NAMES)}


def test_the_truth_has_a_row_for_each_frame(short_actor: Any) -> None:
    truth, frames = short_actor.truth, short_actor.frames
    count, size = len(frames), frames.shape[1]
    assert truth["world_to_camera"].shape == (count, 4, 4)
    assert truth["blendshapes"].shape == (count, 52)
    assert tuple(truth["names"]) == BLENDSHAPE_NAMES
    assert truth["regions"].shape == (count, size, size)
    assert truth["points"].shape == (count, len(truth["point_names"]), 2)
    assert len(truth["emotion"]) == count == truth["stretches"][-1, 1]
    assert str(truth["state"]) == "abc"
    np.testing.assert_allclose(truth["K"], camera(size))
    assert truth["phoneme_end"][-1] == pytest.approx(count / FPS)
    assert len(truth["phoneme_symbols"]) == len(truth["phoneme_start"])


def test_sound_and_picture_have_the_same_length(short_actor: Any) -> None:
    for clip, (first, end) in zip(short_actor.clips, short_actor.truth["stretches"], strict=True):
        with av.open(str(clip)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert video.average_rate == FPS
            assert video.frames == end - first
            length = float(audio.duration * audio.time_base)
        assert length == pytest.approx((end - first) / FPS, abs=0.03)


def test_points_fall_into_their_regions(short_actor: Any) -> None:
    truth = short_actor.truth
    names, size = truth["point_names"].tolist(), truth["regions"].shape[1]
    allowed = {
        "nose_tip": {Region.NOSE},
        "mouth_left": {Region.LIPS, Region.SKIN, Region.MOUTH},
        "mouth_right": {Region.LIPS, Region.SKIN, Region.MOUTH},
        "upper_lip": {Region.LIPS, Region.MOUTH},
        "lower_lip": {Region.LIPS, Region.MOUTH},
    }
    for name, regions in allowed.items():
        pixel = truth["points"][:, names.index(name)].astype(int)
        assert (pixel >= 0).all()
        assert (pixel < size).all()
        found = truth["regions"][np.arange(len(pixel)), pixel[:, 1], pixel[:, 0]]
        assert set(found.tolist()) <= {int(region) for region in regions}, name


def test_the_left_eye_is_on_the_images_right(short_actor: Any) -> None:
    truth = short_actor.truth
    names = truth["point_names"].tolist()
    left, right = (truth["points"][:, names.index(name), 0] for name in ("left_eye", "right_eye"))
    assert (left > right + 5).all()


def test_eyes_show_when_lids_are_open(short_actor: Any) -> None:
    truth = short_actor.truth
    area = (truth["regions"] == Region.EYES).sum(axis=(1, 2))
    blink = truth["blendshapes"][:, ROW["eyeBlinkLeft"]]
    assert blink.max() > 0.9
    assert area[blink > 0.9].max() < 0.4 * np.median(area[blink < 0.05])


def test_the_mouth_region_follows_the_true_opening(short_actor: Any) -> None:
    truth = short_actor.truth
    area = (truth["regions"] == Region.MOUTH).sum(axis=(1, 2))
    assert np.corrcoef(area, truth["mouth_opening"])[0, 1] > 0.8
    assert truth["mouth_opening"].min() >= 0


def test_the_true_camera_projects_the_origin_into_the_face(short_actor: Any) -> None:
    truth = short_actor.truth
    origin = truth["world_to_camera"][:, :3, 3]
    points = project(truth["K"], origin)[:, :2]
    names = truth["point_names"].tolist()
    middle = truth["points"][:, [names.index("left_eye"), names.index("right_eye")]].mean(axis=1)
    eyes = np.linalg.norm(np.diff(truth["points"][:, :2], axis=1)[:, 0], axis=1)
    assert (np.linalg.norm(points - middle, axis=1) < 0.8 * eyes).all()
    rotation = truth["world_to_camera"][:, :3, :3]
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-9
    )


def test_the_background_stands_still(short_actor: Any) -> None:
    always = (short_actor.truth["regions"] == Region.BACKGROUND).all(axis=0)
    assert always.mean() > 0.15
    inside = always & np.roll(always, 6, 0) & np.roll(always, -6, 0) & np.roll(always, 6, 1) & np.roll(always, -6, 1)
    spread = short_actor.frames[:, inside].astype(float).std(axis=0)
    assert np.percentile(spread, 95) < 2  # the codec's noise


def test_the_picture_is_a_contact_sheet(short_actor: Any) -> None:
    assert Image.open(short_actor.picture).size == (1536, 768)


def test_the_same_bytes_however_many_draw(head_mesh_file: Path, native_kernels: None, tmp_path: Path) -> None:
    pytest.importorskip(
        "espeakng_loader", reason="the voice of the built-in actor is not installed: pip install -e .[demo]"
    )
    written = []
    names = [f"{emotion}.mp4" for emotion in BUILTIN_EMOTIONS]
    for workers in (0, 2):
        out = tmp_path / str(workers)
        clips = [out / name for name in names]
        make_actor(clips, out / "truth.npz", mesh=head_mesh_file, seconds=0.28, size=64, workers=workers)
        written.append([clip.read_bytes() for clip in clips])
    assert written[0] == written[1]
    assert {path.name for path in (tmp_path / "2").iterdir()} == {*names, "truth.npz"}  # nothing else is left
    one, two = (np.load(tmp_path / name / "truth.npz", allow_pickle=False) for name in "02")
    for key in one.files:
        np.testing.assert_array_equal(one[key], two[key])


@pytest.mark.parametrize(("seconds", "size"), [(0.0, 64), (1.0, 33), (1.0, 16)])
def test_impossible_clips_are_one_line(tmp_path: Path, seconds: float, size: int) -> None:
    with pytest.raises(InputError, match="built-in actor"):
        make_actor([tmp_path / name for name in "abc"], tmp_path / "t.npz", mesh=tmp_path, seconds=seconds, size=size)


def test_every_stretch_needs_a_clip(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 stretches, 1 clips"):
        make_actor([tmp_path / "c.mp4"], tmp_path / "t.npz", mesh=tmp_path)


def test_a_childs_error_is_its_line(tmp_path: Path) -> None:
    with pytest.raises((DataError, AssetError)) as caught:
        run_module("ua3dtalk.demo.frames", str(tmp_path), "0", "1")
    assert "\n" not in str(caught.value)


def test_the_codec_keeps_time(tmp_path: Path) -> None:
    video = np.zeros((10, 64, 64, 3), np.uint8)
    video[5] = 255
    encode_clip(tmp_path / "flash.mp4", video, np.zeros(round(22050 * 0.4), np.float32), 22050)
    with av.open(str(tmp_path / "flash.mp4")) as container:
        bright = [frame.time for frame in container.decode(video=0) if frame.to_ndarray(format="gray").mean() > 128]
    assert bright == [pytest.approx(0.2)]


def test_the_landmarker_finds_the_face_and_its_expressions(short_actor: Any, landmarker_model: Path) -> None:
    from ua3dtalk.face.landmarker import FaceLandmarker

    with FaceLandmarker(landmarker_model, video=True) as landmarker:
        seen = [landmarker(frame, index * 1000 // FPS) for index, frame in enumerate(short_actor.frames)]
    assert all(detection is not None for detection in seen)
    detected = np.stack([detection.blendshapes for detection in seen])
    true = short_actor.truth["blendshapes"]
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen"):
        assert np.corrcoef(detected[:, ROW[name]], true[:, ROW[name]])[0, 1] > 0.6, name
    points = np.stack([detection.points for detection in seen])
    names = short_actor.truth["point_names"].tolist()
    eyes = np.linalg.norm(points[:, 33, :2] - points[:, 263, :2], axis=1)
    tip = short_actor.truth["points"][:, names.index("nose_tip")]
    assert (np.linalg.norm(points[:, 4, :2] - tip, axis=1) / eyes).max() < 0.15
