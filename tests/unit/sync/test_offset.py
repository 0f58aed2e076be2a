"""The stages: which clips are learned from, what is said of clips whose sound is off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from sync_talkers import talker

from ua3dtalk.errors import DataError
from ua3dtalk.face.basis import expression_basis
from ua3dtalk.settings import SyncSettings
from ua3dtalk.subject import Clip, Subject
from ua3dtalk.sync import offset as offset_stage
from ua3dtalk.sync import stage as train_stage
from ua3dtalk.sync.distances import SyncFigures
from ua3dtalk.sync.local import Verdict
from ua3dtalk.sync.net import save_net
from ua3dtalk.sync.offset import entry, measure_offsets
from ua3dtalk.sync.stage import train_local
from ua3dtalk.sync.talk import Hear, Talk
from ua3dtalk.sync.train import train


def verdict(offset_frames: float, error: float = 0.1, beats: float | None = 1.0) -> Verdict:
    return Verdict(SyncFigures(0.4, 0.9, offset_frames), np.ones(31), error, beats)


@pytest.mark.parametrize(
    ("found", "configured", "correction", "warning"),
    [
        (verdict(-5.5), None, -0.22, "is 0.22 s late; if that is not wanted, give this clip audio_offset: -0.22, or"),
        (verdict(2.0), None, 0.08, "is 0.08 s early"),
        (verdict(-2.0), -0.1, -0.18, "give this clip audio_offset: -0.18"),
        (verdict(0.9), None, None, None),
        (verdict(-1.4, error=0.5), None, None, None),
        (verdict(-8.0, beats=0.5), None, None, "lips and sound cannot be matched"),
        (verdict(-8.0, beats=None), None, None, None),
        (None, None, None, None),
    ],
)
def test_what_is_said_of_a_clip(
    found: Verdict | None, configured: float | None, correction: float | None, warning: str | None
) -> None:
    said = entry("a.mp4", configured, found)
    assert said["correction"] == correction and said["configured"] == configured
    assert (said["warning"] is None) == (warning is None)
    if warning:
        assert warning in said["warning"]
    assert set(said) == set(entry("b.mp4", None, verdict(0))), "the same keys for every clip"
    json.dumps(said, allow_nan=False)


def clip(number: int, length: int = 200) -> dict[str, object]:
    first = number * length
    return {
        "path": f"{number}.mp4",
        "sha256": "0",
        "emotion": None,
        "fps": 25,
        "width": 9,
        "height": 9,
        "first": first,
        "length": length,
        "test_first": first + 150,
        "crop": [0, 0, 9],
    }


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "clips.json").write_text(json.dumps({"clips": [clip(0), clip(1)]}))
    return Subject(tmp_path)


def test_offsets_are_written_and_told(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second clip's sound is 6 frames late; 2 of them are set right by the config already."""
    save_net(train([talker(200, seed) for seed in range(3)], 150, 0)[0], tmp_path / "net.safetensors", {})

    def look(subject: Subject, clip: Clip, offset: float, hear: Hear, most: int | None = None) -> Talk:
        return talker(clip.length, 60, late=(0, 6)[int(clip.path[0])] + 25 * offset)

    monkeypatch.setattr(offset_stage, "clip_talk", look)
    monkeypatch.setattr(offset_stage, "hearing", lambda folder: None)
    out = tmp_path / "audio_offset.json"
    measure_offsets(
        subject=subject,
        offsets=(None, -0.08),
        net=tmp_path / "net.safetensors",
        whisper=tmp_path,
        out=out,
        picture=tmp_path / "offset.png",
        state="abc",
    )
    document = json.loads(out.read_text())
    right, late = document["clips"]
    assert document["state"] == "abc" and right["warning"] is None and right["correction"] is None
    assert late["offset"] == pytest.approx(-0.16, abs=0.01) and late["correction"] == pytest.approx(-0.24, abs=0.01)
    said = capsys.readouterr().err
    assert f"warning: actors.{subject.name}.clips[1] 1.mp4: the sound is 0.16 s late" in said and "clips[0]" not in said
    assert (tmp_path / "offset.png").stat().st_size > 1000


def test_only_training_frames_are_learned_from(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def look(subject: Subject, clip: Clip, offset: float, hear: Hear, most: int | None = None) -> Talk:
        asked.append((clip.path, offset, most))
        return talker(most or clip.length, 70 + clip.first)

    learned: list[Talk] = []

    def watch(talks: list[Talk], iterations: int, seed: int) -> object:
        learned.extend(talks)
        return train(talks, iterations, seed)

    monkeypatch.setattr(train_stage, "clip_talk", look)
    monkeypatch.setattr(train_stage, "hearing", lambda folder: None)
    monkeypatch.setattr(train_stage, "train", watch)
    train_local(
        subjects=[subject],
        offsets=[(None, 0.3)],
        rehearsal=None,
        whisper=tmp_path,
        out=tmp_path / "net.safetensors",
        picture=tmp_path / "train.png",
        settings=SyncSettings(iterations=60),
        state="abc",
    )
    assert asked == [("0.mp4", 0.0, None), ("0.mp4", 0.0, 150), ("1.mp4", 0.3, None), ("1.mp4", 0.3, 150)]
    assert [len(each) for each in learned] == [150, 150]
    with safe_open(tmp_path / "net.safetensors", "pt") as data:
        metadata = data.metadata()
    assert metadata["state"] == "abc" and metadata["trained_on"] == subject.name
    held_out = json.loads(metadata["held_out"])
    assert [name.split()[-1] for name in held_out] == ["0", "1"]
    assert {"confidence", "distance", "offset_ms", "ridge_offset_ms"} == set(held_out[f"{subject.name} 0"])


def test_rehearsals_are_learned_from(tmp_path: Path) -> None:
    names = np.array(["_neutral", "jawOpen", "mouthSmileLeft"])
    weights = np.zeros((90, 3), np.float32)
    weights[:, 1] = np.linspace(0, 1, 90)
    sound = np.repeat(np.arange(90, dtype=np.int16), 640)
    np.savez(tmp_path / "r.npz", sound=sound, blendshapes=weights, lengths=np.array([40, 50]), names=names)
    heard = []

    def hear(samples: np.ndarray) -> np.ndarray:
        heard.append(samples)
        return np.zeros((len(samples) // 320, 4))

    first, second = train_stage.rehearsed(tmp_path / "r.npz", hear)
    assert (len(first), len(second)) == (40, 50)
    np.testing.assert_allclose(np.concatenate(heard), sound / 32768, atol=1e-9)
    moved = expression_basis().shapes[expression_basis().names.index("jawOpen")]
    assert np.abs(moved).max() > 0 and np.all(np.diff(first.lips[:, 0]) > 0), "the mouth opens more and more"


def test_nothing_to_learn_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_stage, "hearing", lambda folder: None)
    with pytest.raises(DataError, match=r"sync.train_on: no clip has 3 s of a face"):
        train_local(
            subjects=[],
            offsets=[],
            rehearsal=None,
            whisper=tmp_path,
            out=tmp_path / "net.safetensors",
            picture=tmp_path / "train.png",
            settings=SyncSettings(),
            state="",
        )
