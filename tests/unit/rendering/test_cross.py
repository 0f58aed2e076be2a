"""Cross-driving writes a film in step with its sound, whatever file the voice came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.rendering.cross import cross_drive
from ua3dtalk.rendering.head import Head, save_head
from ua3dtalk.settings import CrossSettings, Voice
from ua3dtalk.subject import Subject

MakeHead = Callable[..., Head]


def drive(subject: Subject, head: Head, voice: Path, folder: Path, **how: str) -> dict:
    """Run the stage; the document that it wrote."""
    model = folder / "head.safetensors"
    save_head(head, model, "abc")
    cross_drive(
        subject=subject, model=model, whisper=Path("nowhere"), voice=voice,
        how=Voice(path=str(voice), **how),
        out=folder / "said/drive.json", settings=CrossSettings(), seed=1, state="abc",
    )  # fmt: skip
    document: dict = json.loads((folder / "said/drive.json").read_text())
    return document


def test_film_sound_and_record(
    hearing_subject: Subject, make_head: MakeHead, babble: Callable[[int], np.ndarray], tmp_path: Path
) -> None:
    voice = tmp_path / "a voice.flac"
    soundfile.write(voice, np.repeat(babble(20), 3), 48_000)
    document = drive(hearing_subject, make_head(hearing_subject), voice, tmp_path)
    assert (document["state"], document["frames"], document["views"], document["labels"]) == (
        "abc", 20, ["audio", "action_units"], [],
    )  # fmt: skip
    assert document["voice"]["seconds"] == 0.8 and document["voice"]["path"] == str(voice)
    assert len(document["voice"]["sha256"]) == 64
    said = tmp_path / "said"
    frames = np.load(said / "driven.npy")
    assert frames.shape == (20, 64, 64, 3) and np.ptp(frames.astype(int), axis=0).max() > 20
    with np.load(said / "heard.npz") as heard:
        assert {name: heard[name].shape for name in heard.files} == {
            "spoken": (20,), "loudness": (20,), "novelty": (20,), "emotions": (20, 0),
        }  # fmt: skip
        loudness = heard["loudness"]
    with av.open(str(said / "driven.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 20
    played = read_audio(said / "driven.mp4")[: 20 * 640].reshape(20, -1)
    assert np.corrcoef(np.sqrt((played**2).mean(1)), loudness)[0, 1] > 0.98, "the film's sound is not in step"
    assert not list(said.glob("deviation*")), "a plain head knows of no deviation"


def test_how_it_is_said_is_done_and_told(
    hearing_subject: Subject, make_head: MakeHead, babble: Callable[[int], np.ndarray], tmp_path: Path
) -> None:
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, babble(10), 16_000)
    document = drive(hearing_subject, make_head(hearing_subject), voice, tmp_path, pose="still", camera="20")
    assert document["driven_by"] == ["audio", "fixed_pose", "modelled_blinks"]
    assert document["how"] == {"emotion": None, "style": None, "pose": "still", "camera": "20"}
    with av.open(str(tmp_path / "said/driven.mp4")) as film:
        assert film.metadata["comment"].startswith("synthetic: rendered by ua3dtalk from the head")
        assert film.streams.audio[0].rate == 48_000
    aside = np.load(tmp_path / "said/driven.npy")
    drive(hearing_subject, make_head(hearing_subject), voice, tmp_path, pose="still")
    assert np.abs(aside.astype(int) - np.load(tmp_path / "said/driven.npy")).mean() > 2
    with pytest.raises(InputError, match="no clip labelled 'bored'"):
        drive(hearing_subject, make_head(hearing_subject), voice, tmp_path, emotion="bored")


def test_a_voice_shorter_than_a_frame(hearing_subject: Subject, make_head: MakeHead, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(100, 0.2), 16_000)
    assert drive(hearing_subject, make_head(hearing_subject), tmp_path / "short.wav", tmp_path)["frames"] == 1


def test_a_file_without_sound_is_one_line_and_leaves_no_film(
    hearing_subject: Subject, make_head: MakeHead, tmp_path: Path
) -> None:
    (tmp_path / "voice.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"voice\.wav is not a video or sound file"):
        drive(hearing_subject, make_head(hearing_subject), tmp_path / "voice.wav", tmp_path)
    assert not list((tmp_path / "said").rglob("*.mp4"))
