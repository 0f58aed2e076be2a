"""The stage: exactly two tokens and four mel rows a frame, clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ua3dtalk.errors import AssetError, ConfigError, DataError
from ua3dtalk.settings import SpeechSettings
from ua3dtalk.speech import features as stage
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject

Make = Callable[..., Subject]


def run(subject: Subject, **changes: object) -> Subject:
    arguments = {
        "subject": subject,
        "model": Path("model"),
        "out": subject.root / "speech.npz",
        "picture": subject.root / "speech.png",
        "settings": SpeechSettings(),
        "state": "abc",
    }
    stage.extract_features(**{**arguments, **changes})  # type: ignore[arg-type]
    return Subject(subject.root)


@pytest.fixture
def mean_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the network: a token holds its mel rows' means and the window's mean, to show what it has seen."""

    def encode(mel: np.ndarray) -> np.ndarray:
        own = mel.reshape(80, 1500, 2).mean(axis=2).T
        return np.concatenate([own, np.full((1500, 1), mel.mean())], axis=1)

    monkeypatch.setattr(stage, "load_encoder", lambda _: encode)
    monkeypatch.setattr(stage, "position_share", lambda _: np.zeros((1500, 81), np.float32))


def test_shapes_state_and_picture(make_bundle: Make, mean_encoder: None) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * SAMPLES_PER_FRAME)
    subject = run(make_bundle(samples, 25, 15))
    assert subject.speech.features.shape == (80, 81)
    assert subject.speech.features.dtype == np.float16
    assert subject.speech.mel.shape == (160, 80)
    assert subject.speech.encoder == "whisper-base"
    assert subject.speech.position.shape == (1500, 81)
    with np.load(subject.root / "speech.npz") as data:
        assert str(data["state"]) == "abc"
    assert Image.open(subject.root / "speech.png").width > 500


def test_a_clip_s_features_do_not_hear_its_neighbour(make_bundle: Make, mean_encoder: None) -> None:
    rng = np.random.default_rng(0)
    quiet, loud = (rng.normal(0, level, 20 * SAMPLES_PER_FRAME) for level in (0.01, 0.2))
    beside_loud = run(make_bundle(np.concatenate([quiet, loud]), 20, 20)).speech
    beside_quiet = run(make_bundle(np.concatenate([quiet, quiet]), 20, 20)).speech
    np.testing.assert_array_equal(beside_loud.features[:40], beside_quiet.features[:40])
    np.testing.assert_array_equal(beside_loud.mel[:80], beside_quiet.mel[:80])


def test_features_from_a_file_need_no_model(make_bundle: Make, tmp_path: Path) -> None:
    subject = make_bundle(np.zeros(20 * SAMPLES_PER_FRAME), 20)
    np.save(tmp_path / "hu.npy", np.random.default_rng(0).normal(size=(20, 2, 33)))
    settings = SpeechSettings(encoder="file", features_file=str(tmp_path / "hu.npy"))
    speech = run(subject, model=None, settings=settings).speech
    assert speech.features.shape == (40, 33)
    assert speech.encoder == "hu.npy"


def test_mistakes_are_one_line(make_bundle: Make) -> None:
    subject = make_bundle(np.zeros(20 * SAMPLES_PER_FRAME), 20)
    with pytest.raises(ConfigError, match=r"speech\.features_file"):
        run(subject, settings=SpeechSettings(encoder="file"))
    with pytest.raises(AssetError, match="not given"):
        run(subject, model=None)
    with pytest.raises(DataError, match=r"audio\.wav has 12799 samples where 20 frames need 12800"):
        run(make_bundle(np.zeros(20 * SAMPLES_PER_FRAME - 1), 20))
    assert not (subject.root / "speech.npz").exists()


def test_real_model_end_to_end(make_bundle: Make, whisper_folder: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 30 * SAMPLES_PER_FRAME)
    speech = run(make_bundle(samples, 20, 10), model=whisper_folder).speech
    assert speech.features.shape == (60, 512)
    assert np.isfinite(speech.features).all()
