"""The held-out frames: what is written, and what a row must not see."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_subject import corrupted
from tiny_training import tiny_head

from ua3dtalk.rendering.controls import ControlTrack, Track, action_unit_input
from ua3dtalk.rendering.head import Head, save_head
from ua3dtalk.rendering.replay import replayed
from ua3dtalk.rendering.test import Row, TestStage, modelled_units, render_test, rows_of
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.subject import Subject

NOTHING = RenderingSettings(driven_by=())


def render(subject: Subject, folder: Path, settings: RenderingSettings, seed: int = 1) -> dict:
    """Render with a head of random motion; the document that was written."""
    folder.mkdir(exist_ok=True)
    model = folder / "head.safetensors"
    save_head(tiny_head(subject), model, "abc")
    render_test(
        subject=subject, model=model, out=folder / "test.json", picture=folder / "test.png", settings=settings,
        seed=seed, state="abc",
    )  # fmt: skip
    document: dict = json.loads((folder / "test.json").read_text())
    return document


def frames_of(folder: Path, file: str) -> np.ndarray:
    return np.load(folder / file)


def test_files_and_their_description(tiny_subject: Subject, tmp_path: Path) -> None:
    document = render(tiny_subject, tmp_path, RenderingSettings())
    assert document["state"] == "abc"
    assert document["frames"] == tiny_subject.test_frames.tolist()
    assert document["rows"] == [
        {"name": "ours", "driven_by": ["audio", "pose", "action_units", "torso"], "file": "test/ours.npy"},
        {"name": "ours", "driven_by": ["audio", "pose", "torso", "modelled_blinks"], "file": "test/ours_modelled.npy"},
        {"name": "static_mean", "driven_by": ["pose", "torso"], "file": "test/static_mean.npy"},
    ]
    speed = document["speed"]
    assert speed["frames_per_second"] > 0 and speed["size"] == 64
    assert speed["gaussians"] == {"face": 400, "mouth": 60}
    for row in document["rows"]:
        frames = frames_of(tmp_path, row["file"])
        assert frames.dtype == np.uint8 and frames.shape == (20, 64, 64, 3)
    for name in ("test.mp4", "truth.mp4"):
        with av.open(str(tmp_path / name)) as clip:
            assert (clip.streams.video[0].width, clip.streams.video[0].height) == (64, 64)
            assert sum(1 for _ in clip.decode(video=0)) == 20
            assert len(clip.streams.audio) == 1
    assert Image.open(tmp_path / "test.png").width > 512
    ours, still = (frames_of(tmp_path, f"test/{name}.npy").astype(int) for name in ("ours", "static_mean"))
    assert np.abs(ours - still).max() > 20, "the head does not move"


def test_rows_of_every_choice() -> None:
    assert [row.driven_by for row in rows_of(NOTHING)] == [("audio", "modelled_blinks"), ()]
    given = rows_of(RenderingSettings(driven_by=("pose", "action_units")))
    assert [row.driven_by for row in given] == [
        ("audio", "pose", "action_units"), ("audio", "pose", "modelled_blinks"), ("pose",),
    ]  # fmt: skip
    assert len({row.file for row in given}) == 3


def rendered(subject: Subject, head: Head, row: Row) -> np.ndarray:
    """Every fourth held-out frame of a row that is given nothing but the audio."""
    stage = TestStage(subject, head, NOTHING, 1, torch.device("cpu"))
    stage.subject = Subject(subject.root)
    stage.subject.__dict__["test_frames"] = subject.test_frames[::4]
    return np.stack(list(stage.frames(row)))


def test_driven_by_audio_alone_sees_nothing_else_of_a_held_out_frame(tiny_subject: Subject, tmp_path: Path) -> None:
    head, other = tiny_head(tiny_subject), corrupted(tiny_subject, tmp_path)
    for row in rows_of(NOTHING):
        assert np.array_equal(rendered(tiny_subject, head, row), rendered(other, head, row)), row


def test_it_does_hear(tiny_subject: Subject, tmp_path: Path) -> None:
    head, other = tiny_head(tiny_subject), corrupted(tiny_subject, tmp_path, speech=True)
    ours, still = rows_of(NOTHING)
    assert not np.array_equal(rendered(tiny_subject, head, ours), rendered(other, head, ours))
    assert np.array_equal(rendered(tiny_subject, head, still), rendered(other, head, still))


def test_modelled_units_keep_training_frames_and_know_nothing_of_the_others(
    tiny_subject: Subject, tmp_path: Path
) -> None:
    units, first = modelled_units(tiny_subject, 1), int(tiny_subject.test_frames[0])
    assert np.array_equal(units[:first], tiny_subject.expression.action_units[:first])
    spoilt = modelled_units(corrupted(tiny_subject, tmp_path), 1)
    assert np.array_equal(units, spoilt)
    assert not np.array_equal(units[first:], modelled_units(tiny_subject, 2)[first:])


def test_replay_starts_at_the_border_and_goes_to_and_fro(tiny_subject: Subject) -> None:
    clip = replace(tiny_subject.clips[0], first=100, length=200, test_first=130)
    subject = Subject(tiny_subject.root)
    subject.__dict__["clips"] = (replace(clip, first=0, length=100, test_first=70), clip)
    shown = [replayed(subject, frame) for frame in range(130, 300)]
    assert shown[0] == 129
    assert set(shown) == set(range(100, 130)), "every training frame of the frame's own clip, and no other"
    assert np.abs(np.diff(shown)).max() == 1, "a jump"


def test_controls_are_those_of_the_frame(tiny_subject: Subject) -> None:
    lips, units = np.random.default_rng(0).standard_normal((60, 3)), tiny_subject.expression.action_units
    track = ControlTrack(tiny_subject, Track(lips, units), False, torch.device("cpu"))
    controls = track(17)
    np.testing.assert_allclose(controls.lips, lips[17:18], atol=1e-6)
    np.testing.assert_allclose(controls.action_units, action_unit_input(units)[17:18])
    assert controls.tokens is None


def test_blinks_are_clipped_and_the_table_is_not(tiny_subject: Subject) -> None:
    units = tiny_subject.expression.action_units
    before = units.copy()
    assert units[:, 5].max() > 2 and action_unit_input(units)[:, 5].max() == 2
    np.testing.assert_array_equal(action_unit_input(units)[:, :5], units[:, :5])
    assert np.array_equal(units, before)


@pytest.mark.parametrize("frame", [0, 1, 30, 59])
def test_token_windows_stay_in_their_clip(tiny_subject: Subject, frame: int) -> None:
    subject = Subject(tiny_subject.root)
    whole = tiny_subject.clips[0]
    subject.__dict__["clips"] = (
        replace(whole, length=30, test_first=20), replace(whole, first=30, length=30, test_first=50),
    )  # fmt: skip
    features = subject.speech.features
    features[:] = np.repeat(np.arange(120), features.shape[1]).reshape(features.shape)
    track = ControlTrack(subject, Track(np.zeros((60, 3)), np.zeros((60, 6))), True, torch.device("cpu"))
    tokens = track(frame).tokens
    assert tokens is not None and tokens.shape == (1, 8, 16, features.shape[1])
    low, high = (0, 59) if frame < 30 else (60, 119)
    assert tokens.min() >= low and tokens.max() <= high
    assert (tokens[0, 4, 7:9, 0] == torch.tensor([2.0 * frame, 2 * frame + 1])).all(), "the frame's own tokens"
