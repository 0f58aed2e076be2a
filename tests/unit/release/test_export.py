"""The released loader's folder, read back as that loader reads it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_subject import SIZE, write_tiny_subject

from ua3dtalk.errors import DataError
from ua3dtalk.face.geometry import project, rotation_angle
from ua3dtalk.release.cameras import framing, released_pose
from ua3dtalk.release.export import export_release
from ua3dtalk.release.tensors import components, conditions, speech_windows
from ua3dtalk.settings import ReleaseSettings
from ua3dtalk.subject import Region, Subject

FRAMES = 24


def with_priors(subject: Subject) -> Subject:
    """The bundle with priors and emotion whose values tell frame and column."""
    count = subject.frame_count
    wide = np.arange(count, dtype=np.float32)[:, None] + np.arange(64, dtype=np.float32) / 100
    np.savez(
        subject.root / "priors.npz",
        expression=wide,
        lip_expression=wide,
        voice_style=wide + 1000,
        mixed=wide,
        variance=np.ones_like(wide),
        novelty=np.ones(count, np.float32),
        cv_correlation=np.full(64, 0.5),
        names=np.array([f"c{k}" for k in range(64)]),
        state=np.array("0"),
    )
    embedding = np.arange(count, dtype=np.float32)[:, None] - np.arange(128, dtype=np.float32) / 1000
    np.savez(
        subject.root / "emotion.npz",
        embedding=embedding,
        probabilities=np.full((count, 2), 0.5, np.float32),
        labels=np.array(["neutral", "happy"]),
        prototypes=np.zeros((2, 128), np.float32),
        state=np.array("0"),
    )
    return Subject(subject.root)


def export(subject: Subject) -> Path:
    out = subject.root / "release"
    picture = subject.root / "pictures" / "release.png"
    export_release(subject=subject, out=out, picture=picture, settings=ReleaseSettings(), state="abc")
    assert Image.open(picture).width > 0
    return out


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return with_priors(write_tiny_subject(tmp_path_factory.mktemp("release") / "tiny", frames=FRAMES))


@pytest.fixture(scope="module")
def folder(subject: Subject) -> Path:
    return export(subject)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_six_tensors_are_what_the_loader_indexes(subject: Subject, folder: Path, split: str) -> None:
    frames = json.loads((folder / f"transforms_{split}.json").read_text())["frames"]
    expected = subject.train_frames if split == "train" else subject.test_frames
    assert [frame["img_id"] for frame in frames] == expected.tolist()
    lips = torch.load(folder / f"{split}_auds_exp.pth", weights_only=True)
    style = torch.load(folder / f"{split}_audiostyle.pth", weights_only=True)
    emotion = torch.load(folder / f"mser_emotion_{split}.pth", weights_only=True)
    assert lips.shape == style.shape == (len(frames), 64) and emotion.shape == (len(frames), 1, 128)
    for tensor in (lips, style, emotion):
        assert tensor.dtype == torch.float32 and tensor.device.type == "cpu"
    for position, frame in enumerate(frames):  # by position in the split, as the loader does
        i = frame["img_id"]
        assert lips[position, 3] == pytest.approx(i + 0.03)
        assert style[position, 0] == pytest.approx(i + 1000)
        assert emotion[position].shape == (1, 128) and emotion[position, 0, 10] == pytest.approx(i - 0.01)


def loaded_camera(document: dict, position: int) -> tuple[np.ndarray, float]:
    """world_to_camera (OpenCV) and focal length as the loader makes them of the file."""
    c2w = np.array(document["frames"][position]["transform_matrix"])
    c2w[:3, 1:3] *= -1
    return np.linalg.inv(c2w), document["focal_len"]


def test_points_fall_where_the_moved_picture_shows_them(subject: Subject, folder: Path) -> None:
    """Through the loader's camera, whose principal point is the middle, onto the landmarks it reads."""
    from ua3dtalk.face.points68 import to_68

    document = json.loads((folder / "transforms_train.json").read_text())
    tracking = subject.tracking
    assert tracking.K[0, 1, 2] != SIZE / 2  # or the test would prove little
    for position in (0, 7):
        pose, focal = loaded_camera(document, position)
        i = document["frames"][position]["img_id"]
        middle = np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]])
        seen = project(tracking.neutral, pose, middle)
        tracked = project(tracking.neutral, tracking.world_to_camera[i], tracking.K[i])
        moved = framing(tracking.K[i], focal, SIZE, SIZE).points(tracked)
        np.testing.assert_allclose(seen, moved, atol=0.02)
        lms = np.loadtxt(folder / "ori_imgs" / f"{i}.lms")
        assert lms.shape == (68, 2)
        # the root of the nose: neither jaw nor lids move it
        np.testing.assert_allclose(lms[27] + 0.5, to_68(seen)[27], atol=0.02)


def test_a_centred_camera_makes_the_round_trip_exactly() -> None:
    rng = np.random.default_rng(0)
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    pose[:3, :3] *= np.linalg.det(pose[:3, :3])
    pose[:3, 3] = [0.01, -0.02, 0.6]
    own = framing(np.array([[600.0, 0, 128], [0, 600, 128], [0, 0, 1]]), 600.0, 256, 256)
    c2w = released_pose(pose, own)
    assert rotation_angle(c2w[:3, :3] @ np.diag([1, -1, -1]), pose[:3, :3].T) < 1e-6
    c2w[:3, 1:3] *= -1
    np.testing.assert_allclose(np.linalg.inv(c2w), pose, atol=1e-12)
    # OpenGL's camera: y up and z backward, so what lies ahead has a negative z.
    head = np.append(np.zeros(3), 1.0)
    ahead = np.linalg.inv(released_pose(pose, own)) @ head
    assert ahead[2] < 0 and ahead[1] == pytest.approx(-pose[1, 3])


@pytest.mark.parametrize(("focal", "centre"), [(600.0, (125.88, 122.71)), (480.0, (130.2, 120.0)), (600.0, (128, 128))])
def test_any_camera_is_brought_to_the_released_one(focal: float, centre: tuple[float, float]) -> None:
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    own = framing(K, 600.0, 256, 256)
    pose = np.eye(4)
    pose[2, 3] = 0.6
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 3))
    middle = np.array([[600.0, 0, 128], [0, 600, 128], [0, 0, 1]])
    c2w = released_pose(pose, own)
    c2w[:3, 1:3] *= -1
    np.testing.assert_allclose(
        project(points, np.linalg.inv(c2w), middle), own.points(project(points, pose, K)), atol=0.03
    )


def test_pictures_move_with_their_points() -> None:
    rows, columns = np.mgrid[:96, :96] + 0.5
    for K in ([[200, 0, 45.3], [0, 200, 50.6], [0, 0, 1]], [[160, 0, 47.0], [0, 160, 44.0], [0, 0, 1]]):
        own = framing(np.array(K, float), 200.0, 96, 96)
        spot = np.array([40.0, 52.0])
        blob = 250 * np.exp(-((columns - spot[0]) ** 2 + (rows - spot[1]) ** 2) / 18)
        moved = own.picture(blob.astype(np.uint8)).astype(float)
        found = np.array([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum()
        np.testing.assert_allclose(found, own.points(spot), atol=0.1)


def test_masks_are_what_the_loader_reads_out_of_the_colours(subject: Subject, folder: Path) -> None:
    i = 5
    mask = np.array(Image.open(folder / "parsing" / f"{i}.png").convert("RGB")) * 1.0
    teeth = np.load(folder / "teeth_mask" / f"{i}.npy")
    assert teeth.dtype == bool and teeth.shape == mask.shape[:2]
    face = (mask[:, :, 2] > 254) * (mask[:, :, 0] == 0) * (mask[:, :, 1] == 0) ^ teeth
    hair = (mask[:, :, 0] < 1) * (mask[:, :, 1] < 1) * (mask[:, :, 2] < 1)
    mouth = (mask[:, :, 0] == 100) * (mask[:, :, 1] == 100) * (mask[:, :, 2] == 100) + teeth
    own = framing(subject.tracking.K[i], float(subject.tracking.K[0, 0, 0]), SIZE, SIZE)
    labels = own.picture(np.array(subject.regions[i]), labels=True)
    np.testing.assert_array_equal(face, np.isin(labels, [Region.SKIN, Region.LIPS]))
    np.testing.assert_array_equal(hair, labels == Region.HAIR)
    np.testing.assert_array_equal(mouth, labels == Region.MOUTH)
    assert mouth.any()


def test_pictures_have_the_loaders_names_and_kinds(subject: Subject, folder: Path) -> None:
    assert Image.open(folder / "bc.jpg").size == (SIZE, SIZE)
    for i in range(FRAMES):
        truth = np.asarray(Image.open(folder / "gt_imgs" / f"{i}.jpg").convert("RGB"))
        assert truth.shape == (SIZE, SIZE, 3)
        assert Image.open(folder / "torso_imgs" / f"{i}.png").mode == "RGBA"
    own = framing(subject.tracking.K[3], float(subject.tracking.K[0, 0, 0]), SIZE, SIZE)
    truth = np.asarray(Image.open(folder / "gt_imgs" / "3.jpg")).astype(int)
    assert np.abs(truth - own.picture(np.array(subject.video[3]))).mean() < 6


def test_action_units_are_read_by_openfaces_names(subject: Subject, folder: Path) -> None:
    with (folder / "au.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header[0] == "frame" and all(name.startswith(" ") for name in header[1:])
    assert len(rows) == FRAMES
    for unit, column in (("AU01", 0), ("AU45", 5)):
        values = [float(row[header.index(f" {unit}_r")]) for row in rows]
        np.testing.assert_allclose(values, subject.expression.action_units[:, column], atol=1e-3)
    opening = np.array([float(row[header.index(" AU25_r")]) for row in rows])
    assert opening.min() >= 0 and opening.max() <= 5
    inner = (opening > 0) & (opening < 5)
    order = np.argsort(opening[inner])
    assert (np.diff(subject.expression.mouth_opening[inner][order]) >= 0).all()
    from ua3dtalk.face.expression import read_openface

    np.testing.assert_allclose(read_openface(folder / "au.csv", FRAMES), subject.expression.action_units, atol=1e-3)


def test_other_speech_is_not_passed_off_as_deepspeech(folder: Path) -> None:
    assert not (folder / "aud_ds.npy").exists()
    windows = np.load(folder / "aud_components.npy")
    assert windows.shape == (FRAMES, 16, 29) and windows.dtype == np.float32
    assert "aud_ds.npy is NOT here" in (folder / "README.txt").read_text()
    assert json.loads((folder / "release.json").read_text())["state"] == "abc"


def test_deepspeech_tokens_become_the_loaders_windows(tmp_path: Path) -> None:
    subject = with_priors(write_tiny_subject(tmp_path / "ds", frames=12))
    tokens = np.random.default_rng(0).standard_normal((24, 29)).astype(np.float16)
    np.savez(
        subject.root / "speech.npz",
        features=tokens,
        mel=np.zeros((48, 80)),
        position=np.zeros((0, 0)),
        encoder=np.array("aud.npy"),
    )
    out = export(Subject(subject.root))
    windows = np.load(out / "aud_ds.npy")
    assert windows.shape == (12, 16, 29)
    np.testing.assert_array_equal(windows[5, 8:10], tokens[10:12])
    np.testing.assert_array_equal(windows[5], tokens[2:18])
    assert (windows[0, :8] == 0).all() and (windows[11, 10:] == 0).all()
    from ua3dtalk.speech.files import load_tokens

    np.testing.assert_array_equal(load_tokens(out / "aud_ds.npy", 12), tokens)  # and this project reads them again


def test_windows_do_not_cross_clips() -> None:
    from ua3dtalk.subject import Clip

    clips = tuple(Clip("a", "", first, 6, first + 4, None, 25.0, 8, 8, (0, 0, 8)) for first in (0, 6))
    tokens = np.ones((24, 29), np.float32)
    tokens[12:] = 2
    windows = speech_windows(tokens, clips)
    assert set(np.unique(windows[:6])) == {0, 1} and set(np.unique(windows[6:])) == {0, 2}


def test_components_are_fitted_on_training_frames(tmp_path: Path) -> None:
    subject = with_priors(write_tiny_subject(tmp_path / "pca"))
    scores = components(subject)
    assert scores.shape == (120, 29)
    train = np.repeat(np.isin(np.arange(60), subject.train_frames), 2)
    np.testing.assert_allclose(scores[train][:, :6].mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(scores[train][:, :6].T), np.eye(6), atol=1e-2)
    assert (scores[:, 6:] == 0).all()  # the tiny actor's tokens are 6 wide


def test_priors_of_another_length_are_refused(tmp_path: Path) -> None:
    subject = with_priors(write_tiny_subject(tmp_path / "short", frames=12))
    data = dict(np.load(subject.root / "priors.npz"))
    np.savez(subject.root / "priors.npz", **data | {"lip_expression": data["lip_expression"][:-1]})
    with pytest.raises(DataError, match=r"lip_expression is float32 \[11, 64\].*\[12, 64\]") as error:
        conditions(Subject(subject.root))
    assert "\n" not in str(error.value)


def test_a_second_export_replaces_the_first(subject: Subject, folder: Path) -> None:
    (folder / "stray").touch()
    export(subject)
    assert not (folder / "stray").exists() and (folder / "train_auds_exp.pth").exists()
    assert not list(subject.root.glob(".release.*"))
