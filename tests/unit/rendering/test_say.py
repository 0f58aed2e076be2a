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
import torch
from PIL import Image

from ua3dtalk import cli
from ua3dtalk.errors import DataError, InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.frames import frames_at
from ua3dtalk.rendering import say as said
from ua3dtalk.rendering.head import Head, load_head, save_head
from ua3dtalk.rendering.say import FilmOptions, perform, say, voice_curves
from ua3dtalk.splat.ply import load_ply
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
        coefficients = np.random.default_rng(0).uniform(0, 1, (subject.frame_count, len(NAMES)))
        subject.expression = replace(hearing_subject.expression, coefficients=coefficients, names=tuple(NAMES))
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
    assert say(FilmOptions(str(actor), out), voice) == 12
    with av.open(str(out)) as film:
        assert film.streams.audio[0].rate == 48_000
        assert film.metadata["comment"].startswith("synthetic: rendered by ua3dtalk from the head anna, model sha256 ")
        assert sum(1 for _ in film.decode(video=0)) == 12
    heard, meant = (read_audio(path)[: 12 * 640] for path in (out, voice))
    lags = range(-640, 641)
    shifted = [float(heard[1000:-1000] @ meant[1000 + lag : len(meant) - 1000 + lag]) for lag in lags]
    assert abs(lags[int(np.argmax(shifted))]) < 160, "more than 10 ms off"


def test_pictures_of_the_head_alone_with_alpha(actor: Path, voice: Path, tmp_path: Path) -> None:
    assert say(FilmOptions(str(actor), tmp_path / "pictures", pose="still"), voice) == 12
    found = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in found] == [f"{k:06d}.png" for k in range(12)]
    pixels = np.asarray(Image.open(found[0]))
    assert pixels.shape == (64, 64, 4) and pixels[0, 0, 3] == 0 and pixels[..., 3].max() > 200


def test_another_view_and_another_motion_are_other_films(actor: Path, voice: Path, tmp_path: Path) -> None:
    usual = FilmOptions(str(actor), tmp_path / "a.mp4", pose="still")
    films = []
    for number, changed in enumerate(({}, {"camera": "20"}, {"pose": "replay"})):
        out = tmp_path / f"{number}.mp4"
        say(replace(usual, out=out, **changed), voice)
        films.append(np.stack(list(frames_at(out, 25))).astype(float))
    assert np.abs(films[1] - films[0]).mean() > 2 and np.abs(films[2] - films[0]).mean() > 1
    # Keeping still, only the face moves: the rim of the picture does not.
    assert np.ptp(films[0][:, :4, :4], axis=0).max() <= 4


def test_what_does_not_fit_is_one_line(actor: Path, voice: Path, tmp_path: Path) -> None:
    usual = FilmOptions(str(actor), tmp_path / "a.mp4")
    for wrong, cause in (
        (replace(usual, out=tmp_path / "a.gif"), "name a film, .mp4, a moving head, .glb, or a folder"),
        (replace(usual, pose="dance"), "choose of wander, replay, still"),
        (replace(usual, camera="behind"), "--camera behind: give still, orbit"),
        (replace(usual, uncertainty=tmp_path / "u.gif"), "a film is written as .mp4"),
        (replace(usual, uncertainty=tmp_path / "u.mp4", out=tmp_path / "folder"), "goes with a film"),
        (replace(usual, uncertainty=tmp_path / "u.mp4"), "has no beliefs"),
        (replace(usual, fast=True), "--fast: the head of anna has one net for each view already"),
    ):
        with pytest.raises(InputError, match=cause):
            say(wrong, voice)
    for sound, emotion, cause in (
        (tmp_path / "absent.wav", None, "no file .*absent.wav"),
        (voice, "bored", r"no clip labelled 'bored' .* none that can be transferred \(happy, sad"),
        (voice, "happy", r"no clip labelled 'happy', and its head was trained without"),
        (voice, "happy:3", "each strength from 0 to 1.5"),
    ):
        with pytest.raises(InputError, match=cause):
            say(usual, sound, emotion)
    with pytest.raises(InputError, match=r"curves are written as \.csv"):
        voice_curves(usual, voice)
    (actor / "model/fused.safetensors").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"fused\.safetensors cannot be read"):
        say(usual, voice)
    (actor / "model/fused.safetensors").unlink()
    with pytest.raises(DataError, match=r"fused\.safetensors is missing"):
        say(usual, voice)
    assert not list(tmp_path.glob("*.mp4"))


def test_a_voice_s_curves_drive_the_head_again(actor: Path, voice: Path, tmp_path: Path) -> None:
    table = tmp_path / "curves.csv"
    assert voice_curves(FilmOptions(str(actor), table), voice) == 12
    out = tmp_path / "b.mp4"
    assert perform(FilmOptions(str(actor), out), table, voice) == 12
    with av.open(str(out)) as film:
        assert film.streams.audio[0].rate == 48_000
    silent = tmp_path / "c.mp4"
    assert perform(FilmOptions(str(actor), silent), table) == 12
    with av.open(str(silent)) as film:
        assert not film.streams.audio


def test_the_fast_mode_says_so_and_still_knows_its_doubts(
    actor: Path, hearing_subject: Subject, make_head: Callable[..., Head], voice: Path, tmp_path: Path
) -> None:
    save_head(make_head(hearing_subject, uncertain=True), actor / "model/fused.safetensors", "abc")
    (actor / "model/emotion.safetensors").write_bytes(b"")
    usual = FilmOptions(str(actor), tmp_path / "a.mp4", pose="still", uncertainty=tmp_path / "u.mp4")
    assert say(usual, voice) == 12
    quick = replace(usual, out=tmp_path / "b.mp4", uncertainty=tmp_path / "v.mp4", fast=True)
    assert say(quick, voice) == 12
    for full, folded in ((usual.out, quick.out), (usual.uncertainty, quick.uncertainty)):
        assert full is not None and folded is not None
        a, b = (np.stack(list(frames_at(path, 25))).astype(float) for path in (full, folded))
        assert np.abs(a - b).mean() < 1.5 and np.ptp(a) > 50
    for path, told in ((usual.out, False), (quick.out, True)):
        with av.open(str(path)) as film:
            assert ("; fast: one net for each view" in film.metadata["comment"]) is told


def test_an_actor_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match=r"no actor nobody: there is no results/nobody/clips\.json"):
        said.open_actor("nobody")


def test_an_exported_head_is_the_cloud_that_viewers_read(
    actor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "head.ply"
    assert cli.main(["export", str(actor), "--out", str(out)]) == 0
    head, found = load_head(actor / "model/fused.safetensors"), load_ply(out)
    assert len(found.means) == len(head.face.cloud.means) + len(head.mouth.cloud.means)
    torch.testing.assert_close(found.means[: len(head.face.cloud.means)], head.face.cloud.means)
    assert cli.main(["export", str(actor), "--out", str(tmp_path / "head.obj")]) == 1
    assert "a cloud is written as .ply" in capsys.readouterr().err
