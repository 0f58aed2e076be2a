"""Reading lips from speech: plain formulas, honesty about noise, nothing from held-out frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_subject import write_tiny_subject

from ua3dtalk.errors import DataError
from ua3dtalk.rendering.controls import read_lips, speech_windows
from ua3dtalk.speech.priors.blocks import BLOCKS, GAP
from ua3dtalk.subject import Subject
from ua3dtalk.training.listening import (
    PENALTIES,
    cross_validated_ridge,
    fit_listening,
    load_listening,
    ridge_path,
    save_listening,
    window_weights,
)
from ua3dtalk.training.settings import AudioSettings

OWN = AudioSettings(mouth_coefficients=4, radius=2)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Ten seconds: a regression wants more frames than a picture does, and no pixels."""
    return write_tiny_subject(tmp_path_factory.mktemp("talker"), frames=250, size=16)


def ridge(inputs: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
    """Weights [F, K] by the normal equations of centred targets."""
    return np.linalg.solve(
        inputs.T @ inputs + penalty * np.eye(inputs.shape[1]), inputs.T @ (targets - targets.mean(0))
    )


def made_up(n: int = 300, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and two targets: one linear in them, one that has nothing to do with them."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((n, width))
    told = inputs @ rng.standard_normal(width) + 0.3 * rng.standard_normal(n) + 2
    return inputs, np.stack([told / told.std(), rng.standard_normal(n)], 1)


def test_dual_solutions_are_those_of_the_normal_equations() -> None:
    inputs, targets = made_up(80)
    for penalty, dual in zip(PENALTIES, ridge_path(inputs @ inputs.T, targets), strict=True):
        np.testing.assert_allclose(inputs.T @ dual, ridge(inputs, targets, penalty), atol=1e-8)


def test_ridge_where_inputs_outnumber_frames() -> None:
    rng = np.random.default_rng(1)
    inputs, targets = rng.standard_normal((20, 70)), rng.standard_normal((20, 3))
    for penalty, dual in zip(PENALTIES, ridge_path(inputs @ inputs.T, targets), strict=True):
        np.testing.assert_allclose(inputs.T @ dual, ridge(inputs, targets, penalty), atol=1e-8)


def plainly(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prediction on the inputs themselves [n] and correlation on the blocks for one target [n], by loops."""
    n = len(inputs)
    guesses = np.zeros((len(PENALTIES), n))
    for block in np.array_split(np.arange(n), BLOCKS):
        rest = [i for i in range(n) if i < block[0] - GAP or i > block[-1] + GAP]
        for index, penalty in enumerate(PENALTIES):
            weights = ridge(inputs[rest], targets[rest, None], penalty)[:, 0]
            guesses[index, block] = inputs[block] @ weights + targets[rest].mean()
    best = int(np.argmin([np.mean((guess - targets) ** 2) for guess in guesses]))
    r = np.corrcoef(guesses[best], targets)[0, 1]
    slope = np.polyfit(guesses[best], targets, 1)[0]
    gain = np.clip(slope, 0, 1.5) / np.sqrt(np.clip(r, 0.25, 1)) if r > 0.25 else 0.0
    weights = ridge(inputs, targets[:, None], PENALTIES[best])[:, 0]
    return inputs @ weights * gain + targets.mean(), r


def test_cross_validation_is_the_plain_one() -> None:
    inputs, targets = made_up()
    dual, bias, correlation = cross_validated_ridge(inputs @ inputs.T, targets)
    read = inputs @ inputs.T @ dual + bias
    for column in range(2):
        wanted, r = plainly(inputs, targets[:, column])
        np.testing.assert_allclose(read[:, column], wanted, atol=1e-6)
        assert correlation[column] == pytest.approx(r, abs=1e-6)


def test_what_speech_tells_is_read_and_noise_is_left_at_rest() -> None:
    inputs, targets = made_up()
    dual, bias, correlation = cross_validated_ridge(inputs[:200] @ inputs[:200].T, targets[:200])
    read = inputs[200:] @ inputs[:200].T @ dual + bias
    assert np.corrcoef(read[:, 0], targets[200:, 0])[0, 1] > 0.95
    assert not dual[:, 1].any() and np.ptp(read[:, 1]) < 1e-12
    assert correlation[0] > 0.9 and correlation[1] < 0.25


def test_no_lip_shapes_at_all() -> None:
    dual, bias, correlation = cross_validated_ridge(np.eye(60), np.zeros((60, 0)))
    assert dual.shape == (60, 0) and bias.shape == correlation.shape == (0,)


def test_teacher_is_standardised_over_training_frames_and_read_where_speech_tells(talker: Subject) -> None:
    listening = fit_listening(talker, OWN)
    train, test = talker.train_frames, talker.test_frames
    np.testing.assert_allclose(listening.teacher[train].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(listening.teacher[train].std(0), 1, atol=1e-4)
    # The first shape is the jaw, and the jaw follows the first feature of the speech.
    assert np.corrcoef(listening.teacher[test, 0], listening.read[test, 0])[0, 1] > 0.8
    assert listening.correlation[0] > 0.75


def test_the_reader_reads_what_was_read(talker: Subject) -> None:
    listening = fit_listening(talker, OWN)
    read = read_lips(listening.reader, talker.speech, talker.clips)
    np.testing.assert_allclose(read, listening.read, atol=1e-4)


def test_tokens_and_mel_weigh_what_the_settings_say(talker: Subject) -> None:
    weights = window_weights(talker, OWN)
    windows = speech_windows(talker.speech, talker.clips, np.array([0]), OWN.radius)
    tokens = (2 * OWN.radius + 1) * 2 * talker.speech.features.shape[1]
    assert weights.shape == windows.shape[1:]
    assert (weights[:tokens] ** 2).sum() == pytest.approx(1)
    assert (weights[tokens:] ** 2).sum() == pytest.approx(OWN.mel_weight**2)


def copy_of(subject: Subject, folder: Path) -> Path:
    return Path(shutil.copytree(subject.root, folder / "copy"))


def rewrite(path: Path, **changed: np.ndarray) -> None:
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    np.savez(path, **{**arrays, **changed})


def test_no_held_out_frame_influences_anything(talker: Subject, tmp_path: Path) -> None:
    root = copy_of(talker, tmp_path)
    rng, first = np.random.default_rng(0), int(talker.test_frames[0])
    points, features = talker.landmarks.points.copy(), talker.speech.features.copy()
    mel = talker.speech.mel.copy()
    points[first:] += 5 * rng.standard_normal(points[first:].shape)
    features[2 * first :] = rng.standard_normal(features[2 * first :].shape)
    mel[4 * first :] = 9
    rewrite(root / "landmarks.npz", points=points)
    rewrite(root / "speech.npz", features=features, mel=mel)
    clean, other = fit_listening(talker, OWN), fit_listening(Subject(root), OWN)
    assert np.array_equal(clean.teacher[:first], other.teacher[:first])
    assert np.array_equal(clean.correlation, other.correlation)
    for key, value in clean.reader.state_dict().items():
        assert torch.equal(value, other.reader.state_dict()[key]), key
    assert not np.array_equal(clean.read[first:], other.read[first:])  # the change was one


def test_a_clip_without_a_sound_leaves_the_lips_at_rest(talker: Subject) -> None:
    subject = Subject(talker.root)
    subject.speech.features[:] = 0.25
    subject.speech.mel[:] = -11
    listening = fit_listening(subject, OWN)
    assert np.isfinite(listening.read).all() and np.ptp(listening.read, axis=0).max() < 1e-6


def test_a_reader_of_no_shapes_goes_through_its_file(talker: Subject, tmp_path: Path) -> None:
    """`mouth_coefficients: 0`: the published code alone."""
    save_listening(fit_listening(talker, AudioSettings(mouth_coefficients=0, radius=2)), tmp_path / "a.safetensors", "")
    loaded = load_listening(tmp_path / "a.safetensors")
    assert loaded.teacher.shape == loaded.read.shape == (250, 0)
    assert read_lips(loaded.reader, talker.speech, talker.clips).shape == (250, 0)


def test_too_short_a_clip_is_one_line(talker: Subject) -> None:
    subject = Subject(talker.root)
    subject.landmarks.valid[:150] = False
    with pytest.raises(DataError, match="give a longer clip") as caught:
        fit_listening(subject, OWN)
    assert "\n" not in str(caught.value)


def test_file_keeps_everything(talker: Subject, tmp_path: Path) -> None:
    listening, path = fit_listening(talker, OWN), tmp_path / "audio.safetensors"
    save_listening(listening, path, "abc")
    loaded = load_listening(path)
    assert np.array_equal(loaded.teacher, listening.teacher) and np.array_equal(loaded.read, listening.read)
    np.testing.assert_allclose(loaded.correlation, listening.correlation, atol=1e-6)
    windows = torch.randn(2, len(listening.reader.mean))
    assert torch.equal(loaded.reader(windows), listening.reader(windows))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_file_is_one_line(talker: Subject, tmp_path: Path, share: float) -> None:
    path = tmp_path / "audio.safetensors"
    save_listening(fit_listening(talker, OWN), path, "abc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"audio\.safetensors cannot be read") as caught:
        load_listening(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_listening(tmp_path / "audio.safetensors")
