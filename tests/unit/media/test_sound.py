"""The stage: sound exactly as long as the picture, moved by what config or measurement say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate

from ua3dtalk.errors import DataError
from ua3dtalk.media.probe import probe
from ua3dtalk.media.sound import clip_sound, moves_of, write_sound
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import Clip, Subject

MakeClip = Callable[..., Path]


def clip_of(path: Path, first: int, length: int) -> dict[str, object]:
    found = probe(path)
    return {
        "path": str(path),
        "sha256": "0" * 64,
        "first": first,
        "length": length,
        "test_first": first + length - 1,
        "emotion": None,
        "fps": found.fps,
        "width": found.width,
        "height": found.height,
        "crop": [0, 0, 100],
    }


def bundle(folder: Path, paths: Sequence[Path], lengths: Sequence[int]) -> Subject:
    firsts = np.cumsum([0, *lengths]).tolist()
    clips = [clip_of(path, first, length) for path, first, length in zip(paths, firsts, lengths, strict=False)]
    folder.mkdir(exist_ok=True)
    (folder / "clips.json").write_text(json.dumps({"clips": clips}))
    return Subject(folder)


def run(subject: Subject, offsets: Sequence[float | None], measured: Path | None = None) -> np.ndarray:
    write_sound(
        subject=subject,
        offsets=offsets,
        measured=measured,
        out_audio=subject.root / "audio.wav",
        out_record=subject.root / "sound.json",
        picture=subject.root / "sound.png",
        settings=MediaSettings(),
        state="abc",
    )
    return subject.audio()


def clap(seconds: float, at: float) -> np.ndarray:
    """Silence with a burst of 20 ms that begins at a time."""
    sound = np.zeros((1, round(seconds * 16_000)), np.float32)
    first = round(at * 16_000)
    sound[0, first : first + 320] = 0.5 * np.sin(np.arange(320))
    return sound


def lag(sound: np.ndarray, reference: np.ndarray) -> float:
    """Seconds by which a sound comes later than a reference."""
    found = np.argmax(correlate(sound, reference, "full", method="fft"))
    return float(found - (len(reference) - 1)) / 16_000


def test_clips_end_to_end(make_clip: MakeClip, tmp_path: Path) -> None:
    one = make_clip(np.arange(50) / 25, "one.mp4", sound=clap(1.5, 0.6))
    two = make_clip(np.arange(90) / 30, "two.mkv", sound=clap(5, 1.0))
    sound = run(bundle(tmp_path / "May", [one, two], [50, 75]), [None, None])
    assert sound.shape == (125 * 640,)
    expected = np.concatenate([clap(2, 0.6)[0], clap(3, 1.0)[0]])
    assert abs(lag(sound[: 50 * 640], expected[: 50 * 640])) < 0.001
    assert abs(lag(sound[50 * 640 :], expected[50 * 640 :])) < 0.001
    record = json.loads((tmp_path / "May" / "sound.json").read_text())
    assert record["state"] == "abc"
    assert [(clip["moved_by"], clip["said_by"]) for clip in record["clips"]] == [(0.0, None)] * 2
    assert (tmp_path / "May" / "sound.png").stat().st_size > 500


@pytest.mark.parametrize("offset", [-0.22, 0.0, 0.135])
def test_the_sound_of_one_clip_is_moved(make_clip: MakeClip, tmp_path: Path, offset: float) -> None:
    one = make_clip(np.arange(50) / 25, "one.mp4", sound=clap(2, 1.0))
    two = make_clip(np.arange(50) / 25, "two.mp4", sound=clap(2, 1.0))
    subject = bundle(tmp_path / "May", [one, two], [50, 50])
    moved, plain = run(subject, [offset, None]), run(subject, [None, None])
    assert len(moved) == len(plain) == 100 * 640
    assert lag(moved[: 50 * 640], plain[: 50 * 640]) == pytest.approx(offset, abs=1 / 16_000)
    assert np.array_equal(moved[50 * 640 :], plain[50 * 640 :]), "the other clip stays as it is"


def test_what_the_config_says_goes_before_what_was_measured() -> None:
    assert moves_of([None, -0.1, 0.0, None], [-0.2, -0.2, -0.2, None]) == [
        (-0.2, "measured"),
        (-0.1, "config"),
        (0.0, "config"),
        (0.0, None),
    ]


def test_a_measured_offset_is_applied(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(np.arange(50) / 25, sound=clap(2, 1.0))
    subject = bundle(tmp_path / "May", [path], [50])
    measured = tmp_path / "audio_offset.json"
    measured.write_text(json.dumps({"clips": [{"correction": -0.3}]}))
    assert lag(run(subject, [None], measured), clap(2, 1.0)[0]) == pytest.approx(-0.3, abs=0.001)
    assert json.loads((subject.root / "sound.json").read_text())["clips"][0]["said_by"] == "measured"
    measured.write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        run(subject, [None], measured)


def test_a_second_run_gives_the_same_bytes(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(np.arange(50) / 24, sound=clap(2, 1.0))
    one, two = bundle(tmp_path / "a", [path], [52]), bundle(tmp_path / "b", [path], [52])
    for subject in (one, two):
        run(subject, [0.05])
    for name in ("audio.wav", "sound.json", "sound.png"):
        assert (one.root / name).read_bytes() == (two.root / name).read_bytes(), name


def test_the_real_clip_whose_sound_is_late(clips: Path) -> None:
    """The two files have the same pictures; corrected, the late one's sound is within a frame of the other's."""

    def sound(name: str, offset: float) -> np.ndarray:
        entry = clip_of(clips / "video" / name, 0, 400)
        return clip_sound(Clip(**{**entry, "crop": (0, 0, 100)}), 400, offset)  # type: ignore[arg-type]

    right = sound("obama.mp4", 0.0)
    assert lag(sound("obama_audio_late_220ms.mp4", 0.0), right) > 0.15
    assert abs(lag(sound("obama_audio_late_220ms.mp4", -0.22), right)) < 0.04
