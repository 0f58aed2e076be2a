"""`say`: a folder of an actor and a sound in, a film out; what does not fit is one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ua3dtalk.errors import DataError, InputError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.rendering import say as said
from ua3dtalk.rendering.drive import Asked
from ua3dtalk.rendering.head import Head, save_head
from ua3dtalk.rendering.say import SayOptions, parse_emotion, say
from ua3dtalk.subject import Subject


@pytest.fixture
def actor(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a trained actor."""
    root = Path(shutil.copytree(hearing_subject.root, tmp_path / "anna"))
    (root / "model").mkdir(exist_ok=True)
    save_head(make_head(hearing_subject), root / "model/fused.safetensors", "abc")

    def opened(name: str) -> Subject:
        subject = Subject(name)
        subject.speech = hearing_subject.speech
        return subject

    monkeypatch.setattr(said, "open_actor", opened)
    monkeypatch.setattr(said, "whisper_folder", lambda subject: Path("nowhere"))
    return root


@pytest.fixture
def voice(babble: Callable[[int], np.ndarray], tmp_path: Path) -> Path:
    """Twelve frames of sound, 48 kHz stereo."""
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.repeat(np.repeat(babble(12), 3)[:, None], 2, 1), 48_000)
    return path


def test_a_film_with_sound_that_says_what_it_is(actor: Path, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "films/anna.mp4"
    assert say(SayOptions(str(actor), voice, out)) == 12
    with av.open(str(out)) as film:
        assert film.streams.audio[0].rate == 48_000
        assert film.metadata["comment"].startswith("synthetic: rendered by ua3dtalk from the head anna, model sha256 ")
        assert sum(1 for _ in film.decode(video=0)) == 12
    heard, meant = (read_audio(path)[: 12 * 640] for path in (out, voice))
    lags = range(-640, 641)
    shifted = [float(heard[1000:-1000] @ meant[1000 + lag : len(meant) - 1000 + lag]) for lag in lags]
    assert abs(lags[int(np.argmax(shifted))]) < 160, "more than 10 ms off"


@pytest.mark.parametrize(
    ("text", "asked"),
    [(None, None), ("happy", Asked("happy", 1.0)), ("happy:0.8", Asked("happy", 0.8)), ("sad:0", Asked("sad", 0.0))],
)
def test_emotions_as_they_are_written(text: str | None, asked: Asked | None) -> None:
    assert parse_emotion(text) == asked


@pytest.mark.parametrize("text", ["happy:2", "happy:-1", "happy:much", ":1", "happy:nan", "happy:1:1"])
def test_emotions_that_cannot_be_meant_are_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"give a label and, after a colon, a strength"):
        parse_emotion(text)


def test_what_does_not_fit_is_one_line(actor: Path, voice: Path, tmp_path: Path) -> None:
    usual = SayOptions(str(actor), voice, tmp_path / "a.mp4")
    for wrong, cause in (
        (replace(usual, out=tmp_path / "a.gif"), "a film is written as .mp4"),
        (replace(usual, voice=tmp_path / "absent.wav"), "no file .*absent.wav"),
        (replace(usual, emotion="happy"), "no clip labelled 'happy'"),
    ):
        with pytest.raises(InputError, match=cause):
            say(wrong)
    (actor / "model/fused.safetensors").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"fused\.safetensors cannot be read"):
        say(usual)
    (actor / "model/fused.safetensors").unlink()
    with pytest.raises(DataError, match=r"fused\.safetensors is missing"):
        say(usual)
    assert not list(tmp_path.glob("*.mp4"))


def test_an_actor_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match=r"no actor nobody: there is no results/nobody/clips\.json"):
        said.open_actor("nobody")
