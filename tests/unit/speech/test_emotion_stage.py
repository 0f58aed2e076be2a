"""The listener learns how something is said, from training frames only, and hears it in new sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from emotion_subject import LENGTH, TRAIN, write_mel, write_two_emotions

from ua3dtalk.errors import ConfigError, DataError
from ua3dtalk.speech.emotion import stage
from ua3dtalk.speech.emotion.inputs import pitch_spectrum, training_part, voice, window_frames
from ua3dtalk.speech.emotion.model import Listener, load_emotion
from ua3dtalk.speech.emotion.settings import EmotionSettings
from ua3dtalk.speech.emotion.train import augment, join
from ua3dtalk.subject import SAMPLES_PER_FRAME, Landmarks, Subject

QUICK = EmotionSettings(iterations=3, batch=4)


@pytest.fixture(autouse=True)
def drawn_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facial-expression net is not asked: a happy face in every frame."""

    def happy(net: object, video: np.ndarray, landmarks: Landmarks) -> np.ndarray:
        return np.tile(np.eye(7, dtype=np.float32)[3], (len(video), 1))

    monkeypatch.setattr(stage, "load_net", lambda path: None)
    monkeypatch.setattr(stage, "facial_emotions", happy)


def distil(subject: Subject, *pooled: Subject, settings: EmotionSettings = QUICK) -> dict[str, np.ndarray]:
    stage.distil_emotion(
        subject=subject,
        pooled=pooled,
        faces=Path("none"),
        out=subject.root / "emotion.npz",
        out_model=subject.root / "model" / "emotion.safetensors",
        picture=subject.root / "emotion.png",
        settings=settings,
        seed=0,
        state="abc",
    )
    with np.load(subject.root / "emotion.npz", allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def test_how_it_is_said_is_learnt_and_heard_in_held_out_time(tmp_path: Path) -> None:
    found = distil(write_two_emotions(tmp_path), settings=EmotionSettings(iterations=40, batch=12))
    assert found["labels"].tolist() == ["calm", "angry"]
    assert found["recognised"][0].min() > 0.9
    assert found["embedding"].shape == (2 * LENGTH, 128)
    np.testing.assert_allclose(found["probabilities"].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(found["support"], [TRAIN / 25] * 2)
    np.testing.assert_array_equal(found["teacher_probabilities"].argmax(1), 3)
    assert (found["window_seconds"], found["hop_frames"], found["state"]) == (3.0, 1, "abc")


def test_held_out_sound_does_not_reach_the_model(tmp_path: Path) -> None:
    distil(write_two_emotions(tmp_path))
    before = load_emotion(tmp_path / "model" / "emotion.safetensors")
    samples, rate = soundfile.read(tmp_path / "audio.wav")
    with np.load(tmp_path / "speech.npz") as data:
        arrays = dict(data)
    for first in (TRAIN, LENGTH + TRAIN):
        end = first + LENGTH - TRAIN
        # a mel row looks 12 ms ahead, so the last training row hears the border itself
        samples[(first + 1) * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME] *= 0.1
        arrays["features"][2 * first : 2 * end] += 3
    soundfile.write(tmp_path / "audio.wav", samples, rate, subtype="PCM_16")
    np.savez(tmp_path / "speech.npz", **arrays)
    write_mel(tmp_path)
    distil(Subject(tmp_path))
    after = load_emotion(tmp_path / "model" / "emotion.safetensors")
    np.testing.assert_array_equal(before.prototypes, after.prototypes)
    for name, value in before.listener.state_dict().items():
        assert torch.equal(value, after.listener.state_dict()[name]), name


def test_new_sound_is_heard_as_the_bundles_own(tmp_path: Path) -> None:
    subject = write_two_emotions(tmp_path)
    found = distil(subject)
    model = load_emotion(tmp_path / "model" / "emotion.safetensors")
    half = LENGTH * SAMPLES_PER_FRAME
    track = model.listen(subject.audio()[half:], subject.speech.features[2 * LENGTH :])
    np.testing.assert_allclose(track.embedding, found["embedding"][LENGTH:], atol=1e-4)
    np.testing.assert_allclose(track.probabilities, found["probabilities"][LENGTH:], atol=1e-4)
    np.testing.assert_allclose(track.attention_entropy, found["attention_entropy"][LENGTH:], atol=1e-4)
    assert model.labels == ("calm", "angry")
    assert model.nearest(model.prototypes).tolist() == [0, 1]
    with pytest.raises(DataError, match=r"\[120, 6\] of tiny"):
        model.listen(subject.audio()[half:], subject.speech.features[:7])


@pytest.mark.parametrize("pitch", [100, 160, 300])
def test_the_pitch_spectrum_peaks_at_the_pitch(pitch: int) -> None:
    time = np.arange(50 * SAMPLES_PER_FRAME) / 16_000
    sound = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 4000 // pitch))
    rows = pitch_spectrum(0.1 * sound)
    assert rows.shape == (50, 90)
    assert 8020 / (20 + rows[5:45].mean(0).argmax()) == pytest.approx(pitch, rel=0.05)
    louder = pitch_spectrum(0.3 * sound)
    np.testing.assert_allclose(louder[5:45], rows[5:45], atol=0.6)


def test_windows_turn_back_at_the_borders_of_their_clip(tmp_path: Path) -> None:
    clips = training_part(write_two_emotions(tmp_path).clips)
    index = window_frames(clips, np.array([1, 22, 43, 60]))
    assert index[:2].min() == 0
    assert index[:3].max() == TRAIN - 1
    assert index[0, 34:40].tolist() == [1, 0, 0, 1, 2, 3]
    assert index[2, 36:40].tolist() == [42, 43, 43, 42]
    assert index[3].min() == LENGTH
    np.testing.assert_array_equal(index[:, 37], [1, 22, 43, 60])


def test_pooled_actors_bring_their_labels(tmp_path: Path) -> None:
    subject = write_two_emotions(tmp_path / "a", ("calm", "calm"))
    other = write_two_emotions(tmp_path / "b", ("sad", "calm"), seed=1)
    assert distil(subject)["labels"].tolist() == ["calm"]
    found = distil(subject, other)
    assert found["labels"].tolist() == ["calm", "sad"]
    np.testing.assert_allclose(found["support"], [3 * TRAIN / 25, TRAIN / 25])
    assert found["targets"].shape == (2 * LENGTH, 2)


def test_pooled_actors_need_one_encoder(tmp_path: Path) -> None:
    heard = [voice(np.zeros(6400), np.zeros((40, 80)), np.zeros((20, width)), ()) for width in (6, 8)]
    with pytest.raises(ConfigError, match=r"different widths \[6, 8\]"):
        join(heard)


def test_joined_voices_keep_their_borders(tmp_path: Path) -> None:
    subject = write_two_emotions(tmp_path)
    heard = voice(subject.audio(), subject.speech.mel, subject.speech.features, training_part(subject.clips))
    both = join([heard, heard])
    assert [(clip.first, clip.end) for clip in both.clips] == [(0, 44), (60, 104), (120, 164), (180, 224)]
    np.testing.assert_array_equal(both.spectrum[120:], heard.spectrum)


def test_augmented_windows_repeat_with_the_seed_and_keep_their_rows(tmp_path: Path) -> None:
    listener = Listener(2, 111, 6)
    spectrum, tokens = torch.randn(8, 75, 170), torch.randn(8, 150, 6)
    settings = EmotionSettings(gain=0, noise=0, other_words=0, token_dropout=0.3)
    one, two = (augment(spectrum, tokens, listener, settings, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert torch.equal(one[0], spectrum)
    assert (one[1] == 0).all(2).float().mean().item() == pytest.approx(0.3, abs=0.06)
    louder, _ = augment(spectrum, tokens, listener, EmotionSettings(noise=0), torch.Generator().manual_seed(3))
    difference = (louder - one[0])[:, 37]
    assert difference[:, :80].std(1).max() < 1e-5
    assert difference[:, :80].mean(1).std() > 0.1
    assert (difference[:, 80:] == 0).all(), "a louder voice is no higher one"


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "emotion.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match=r"emotion.safetensors cannot be read .*: delete it and run again$"):
        load_emotion(tmp_path / "emotion.safetensors")
