"""Figures of a voice without truth, against closed forms and loops written plainly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ua3dtalk.errors import DataError
from ua3dtalk.media.encode import write_video
from ua3dtalk.metrics import cross
from ua3dtalk.metrics.cross import (
    Usual,
    loudness_correlation,
    mean_deviation,
    measure_cross,
    seen_figures,
    silent_frames,
)
from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.lips import INNER_LIP_PAIRS, OUTER_EYE_CORNERS
from ua3dtalk.subject import Subject
from ua3dtalk.sync.figures import LOCAL, local_figures
from ua3dtalk.sync.net import LocalSync, load_net, save_net


def faces_with(opening: np.ndarray) -> Faces:
    """Points [n, 478, 3] of faces 40 px wide whose inner lips are `opening` eye distances apart; nan: no face."""
    points = np.zeros((len(opening), 478, 3), np.float32)
    points[:, :, :2] = np.random.default_rng(0).uniform(20, 40, (478, 2))
    right, left = OUTER_EYE_CORNERS
    points[:, right], points[:, left] = (10, 20, 0), (50, 20, 0)
    for upper, lower in INNER_LIP_PAIRS:
        points[:, upper], points[:, lower] = (30, 35, 0), (30, 35, 0)
        points[:, lower, 1] += 40 * opening
    points[np.isnan(opening)] = np.nan
    return Faces(
        points, np.zeros((len(opening), 52), np.float32), ("eyeBlinkLeft", "eyeBlinkRight", *("jawOpen",) * 50)
    )


def heard(spoken: np.ndarray, loudness: np.ndarray | None = None) -> dict[str, np.ndarray]:
    count = len(spoken)
    return {
        "spoken": spoken,
        "loudness": spoken * 0.1 if loudness is None else loudness,
        "novelty": np.full(count, 1.5),
        "emotions": np.tile([0.75, 0.25], (count, 1)),
    }


def test_silent_frames_are_far_from_speech() -> None:
    rng = np.random.default_rng(0)
    spoken = np.where(rng.uniform(size=200) < 0.04, 0.5, 0.02)
    wanted = [all(spoken[j] < 0.1 for j in range(max(k - 6, 0), min(k + 7, 200))) for k in range(200)]
    assert 0 < sum(wanted) < 200
    np.testing.assert_array_equal(silent_frames(spoken), wanted)
    assert silent_frames(np.zeros(3)).all() and not silent_frames(np.ones(1)).any()


def test_a_mouth_that_opens_with_the_voice_and_closes_in_silence() -> None:
    spoken = np.repeat([0.9, 0.0, 0.9], 40)
    opening = np.where(spoken > 0.5, 0.2, 0.03)
    opening[60] = 0.1  # open in the midst of silence
    usual = Usual(np.linspace(0, 0.4, 1001), np.linspace(0.01, 0.2, 1001))
    figures = seen_figures(faces_with(opening), heard(spoken), usual)
    silent = 40 - 2 * 6
    assert figures["silent_share"] == pytest.approx(silent / 120)
    assert figures["closed_in_silence"] == pytest.approx((silent - 1) / silent)  # 0.02 + 0.1 * 0.36 is closed
    assert figures["mouth_opening_low_own"] == pytest.approx(0.02) and figures["mouth_opening_high_own"] == 0.38
    assert figures["mouth_opening_high"] == pytest.approx(0.2, abs=1e-5)
    assert figures["mouth_opening_loudness_correlation"] > 0.9
    assert figures["frames_without_face"] == 0


def test_frames_without_a_face_leave_and_are_counted() -> None:
    opening = np.full(50, 0.01)
    opening[[3, 4, 30]] = np.nan
    figures = seen_figures(faces_with(opening), heard(np.zeros(50)), Usual(np.linspace(0, 0.4, 101), np.ones(101)))
    assert figures["frames_without_face"] == 3
    assert figures["closed_in_silence"] == 1 and figures["silent_share"] == 1
    assert figures["mouth_opening_loudness_correlation"] is None, "nothing moves"
    nobody = seen_figures(faces_with(np.full(5, np.nan)), heard(np.zeros(5)), Usual(np.arange(9) / 9, np.ones(9)))
    assert nobody["closed_in_silence"] is None and nobody["mouth_opening_high"] is None


def test_a_voice_without_pauses_has_no_share() -> None:
    figures = seen_figures(faces_with(np.full(20, 0.1)), heard(np.ones(20)), Usual(np.arange(9) / 9, np.ones(9)))
    assert figures["silent_share"] == 0 and figures["closed_in_silence"] is None


def test_correlation_with_loudness_is_with_its_logarithm() -> None:
    rng = np.random.default_rng(1)
    loudness = rng.uniform(0, 0.5, 100)
    opening = 0.1 * np.log(loudness + 1e-4) + 0.02 * rng.standard_normal(100)
    levels = [np.log(value + 1e-4) for value in loudness]
    assert loudness_correlation(opening, loudness) == pytest.approx(np.corrcoef(opening, levels)[0, 1])


def test_deviation_is_the_mean_inside_the_face(tmp_path: Path) -> None:
    maps = np.full((3, 64, 64), 9.0, np.float16)
    points = faces_with(np.full(3, 0.1)).points
    maps[:, 12:40, 8:52] = 0.25
    points[..., 0] = np.clip(points[..., 0], 24, 36)
    points[..., 1] = np.clip(points[..., 1], 20, 32)
    np.save(tmp_path / "deviation.npy", maps)
    assert mean_deviation(tmp_path / "deviation.npy", points) == pytest.approx(0.25, abs=1e-3)


def said(subject: Subject, folder: Path, frames: int = 30) -> Path:
    """What `cross_drive` writes, for an actor whose head has all views."""
    rng = np.random.default_rng(0)
    (folder).mkdir(parents=True)
    pictures = rng.integers(0, 255, (frames, 64, 64, 3), np.uint8)
    np.save(folder / "driven.npy", pictures)
    np.save(folder / "deviation.npy", np.full((frames, 64, 64), 0.04, np.float16))
    np.savez(folder / "heard.npz", **heard(np.tile([0.9, 0.0], frames)[:frames]))
    write_video(folder / "driven.mp4", iter(pictures))
    document = {
        "voice": {"path": "voices/anna.wav", "sha256": "0" * 64, "seconds": frames / 25},
        "frames": frames,
        "driven_by": ["audio", "modelled_pose", "modelled_blinks"],
        "views": ["audio", "lip_expression", "emotion"],
        "labels": ["neutral", "happy"],
        "frames_per_second": 20.0,
    }
    (folder / "drive.json").write_text(json.dumps(document))
    return folder / "drive.json"


class BrightnessNetwork:
    """Stands for the network of identity: a vector that turns with the mean brightness of the frame."""

    def __init__(self, model: Path) -> None:
        pass

    def __call__(self, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        angle = frame.mean() / 255
        found = np.zeros(128)
        found[:2] = np.cos(angle), np.sin(angle)
        return found if np.isfinite(points).all() else np.full(128, np.nan)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross, "IdentityNetwork", BrightnessNetwork)


def measure(subject: Subject, drive: Path, own: Path) -> dict:
    metrics = drive.parent / "metrics.json"
    truth = {"name": "truth", "codec": "none", "jitter": 0.002, "blinks_per_minute": 15.0, "psnr": None}
    metrics.write_text(json.dumps({"rows": [truth, truth | {"codec": "h264", "jitter": 9.0}]}))
    measure_cross(
        subject=subject, drive=drive, own_deviation=own, landmarker=Path("none"),
        own_metrics=metrics, identity=Path("none"), out=drive.parent / "cross.json",
        picture=drive.parent / "cross.png", method="ua3dtalk", budget="tiny", seed=3, state="abc",
    )  # fmt: skip
    document: dict = json.loads((drive.parent / "cross.json").read_text())
    return document


def test_the_whole_document(tiny_subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def find(landmarker: Path, frames: object) -> Faces:
        seen.append(sum(1 for _ in frames))  # type: ignore[attr-defined]
        return faces_with(np.linspace(0, 0.2, seen[-1]))

    monkeypatch.setattr(cross, "find_faces", find)
    drive = said(tiny_subject, tmp_path / "said")
    np.save(tmp_path / "own.npy", np.full((len(tiny_subject.test_frames), 64, 64), 0.03, np.float16))
    document = measure(tiny_subject, drive, tmp_path / "own.npy")
    assert seen == [30, 30], "as rendered and after compression"
    assert {key: document[key] for key in ("actor", "method", "budget", "seed", "state", "frames")} == {
        "actor": "tiny", "method": "ua3dtalk", "budget": "tiny", "seed": 3, "state": "abc", "frames": 30,
    }  # fmt: skip
    assert document["voice"] == {"path": "voices/anna.wav", "sha256": "0" * 64, "seconds": 1.2}
    figures = document["figures"]
    assert figures["deviation"] == pytest.approx(0.04, abs=1e-4)
    assert figures["deviation_own"] == pytest.approx(0.03, abs=1e-4)
    assert (figures["novelty"], figures["novelty_own"]) == (1.5, 1.0)
    assert document["emotions"] == {"neutral": 0.75, "happy": 0.25}
    assert (figures["jitter_own"], figures["blinks_per_minute_own"]) == (0.002, 15.0)
    assert set(document["figures_h264"]) < set(figures)
    assert (tmp_path / "said/cross.png").stat().st_size > 10_000


def test_a_plain_head_has_neither_novelty_nor_deviation(
    tiny_subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross, "find_faces", lambda _, frames: faces_with(np.full(sum(1 for _ in frames), 0.1)))
    drive = said(tiny_subject, tmp_path / "said")
    document = json.loads(drive.read_text())
    document |= {"views": ["audio", "action_units"], "labels": []}
    (drive.parent / "deviation.npy").unlink()
    drive.write_text(json.dumps(document))
    with np.load(drive.parent / "heard.npz") as data:
        np.savez(drive.parent / "heard.npz", **{**data, "emotions": np.zeros((30, 0))})
    result = measure(tiny_subject, drive, tmp_path / "absent.npy")
    assert not {"novelty", "deviation", "deviation_own"} & set(result["figures"]) and result["emotions"] == {}


def test_foreign_files_are_one_line(tiny_subject: Subject, tmp_path: Path) -> None:
    drive = said(tiny_subject, tmp_path / "said")
    (drive.parent / "heard.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"heard\.npz cannot be read"):
        measure(tiny_subject, drive, tmp_path / "own.npy")
    drive.write_text("[]")
    with pytest.raises(DataError, match=r"drive\.json cannot be read"):
        measure(tiny_subject, drive, tmp_path / "own.npy")


def test_usual_leaves_frames_without_a_face(tiny_subject: Subject) -> None:
    subject = Subject(tiny_subject.root)
    landmarks = subject.landmarks
    valid = landmarks.valid.copy()
    valid[::3] = False
    subject.landmarks = replace(landmarks, valid=valid)
    usual = cross.usual_of(subject)
    assert len(usual.opening) == len(usual.loudness) == int(valid[subject.train_frames].sum())


def test_blinks_and_trembling_of_the_frames() -> None:
    faces = faces_with(np.full(100, 0.1))
    for peak in (20, 70):
        faces.blendshapes[peak - 2 : peak + 3, :2] = np.array([0.3, 0.8, 1.0, 0.8, 0.3])[:, None]
    figures = cross.motion_figures(faces)
    assert figures["blinks_per_minute"] == pytest.approx(2 / 4 * 60)
    assert figures["jitter"] == pytest.approx(0, abs=1e-6), "a head that does not move does not tremble"


def test_identity_is_the_mean_cosine_with_the_training_frames(tiny_subject: Subject) -> None:
    network = BrightnessNetwork(Path("none"))
    own = cross.own_vectors(tiny_subject, network)  # type: ignore[arg-type]
    assert len(own) == min(25, len(tiny_subject.train_frames))
    frames = {3: np.full((8, 8, 3), 40, np.uint8), 9: np.full((8, 8, 3), 200, np.uint8)}
    found = cross.identity_figures(frames, faces_with(np.full(12, 0.1)), network, own)  # type: ignore[arg-type]
    angles = [np.arctan2(vector[1], vector[0]) for vector in own]
    wanted = np.mean([np.cos(value / 255 - angle) for value in (40, 200) for angle in angles])
    assert found["identity_dlib128"] == pytest.approx(wanted)
    pairs = [np.cos(a - b) for i, a in enumerate(angles) for j, b in enumerate(angles) if i != j]
    assert found["identity_dlib128_own"] == pytest.approx(np.mean(pairs))


def test_kept_frames_are_the_chosen_ones() -> None:
    source = [np.full((2, 2, 3), k, np.uint8) for k in range(10)]
    kept = cross.Kept(iter(source), np.array([2, 7]))
    assert [int(frame[0, 0, 0]) for frame in kept] == list(range(10))
    assert {number: int(frame[0, 0, 0]) for number, frame in kept.frames.items()} == {2: 2, 7: 7}


def test_figures_of_an_actor_without_metrics_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"rows": []}')
    with pytest.raises(DataError, match=r"metrics\.json cannot be read"):
        cross.own_figures(tmp_path / "metrics.json")


def test_lip_sync_of_a_foreign_voice(tiny_subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sound is heard once; a part that is shorter than the frames goes on in silence."""
    points = tiny_subject.landmarks.points
    tokens = tiny_subject.speech.features
    asked = []

    def hear(samples: np.ndarray) -> np.ndarray:
        asked.append(samples)
        return tokens

    monkeypatch.setattr(cross, "hearing", lambda folder: hear)
    save_net(LocalSync(tokens.shape[1]).eval(), tmp_path / "net.safetensors", {})
    soundfile.write(tmp_path / "sound.wav", np.full(len(points) * 640 - 100, 0.25), 16_000)
    blind = np.full_like(points, np.nan)
    faces = {
        codec: Faces(found, np.zeros((len(points), 52)), ()) for codec, found in (("none", points), ("h264", blind))
    }
    found = cross.sync_figures(tmp_path / "net.safetensors", tmp_path, tmp_path / "sound.wav", faces)
    (samples,) = asked
    assert samples.shape == (len(points) * 640,) and not samples[-100:].any() and samples[0] == pytest.approx(0.25)
    speech = replace(tiny_subject.speech, encoder="whisper-base")
    assert found["none"] == local_figures(load_net(tmp_path / "net.safetensors"), points, speech)
    assert found["h264"] == dict.fromkeys(LOCAL)
