"""An emotion shown by somebody's clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import InputError
from ua3dtalk.rendering import example
from ua3dtalk.rendering.example import emotions_of, wished
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.wishes import parse_example
from ua3dtalk.subject import Subject


def test_words_stay_words(tmp_path: Path) -> None:
    wish = wished("happy:0.6,angry:0.3", tmp_path / "new")
    assert wish is not None and wish.labels == ("happy", "angry")
    assert wished(None, tmp_path / "new") is None
    with pytest.raises(InputError, match="or a clip"):
        wished("absent.mp4:2:x", tmp_path / "new")


def test_what_the_face_shows_is_asked_for_by_its_share(
    tiny_subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = np.tile([0.05, 0.0, 0.15, 0.5, 0.02, 0.12, 0.16], (tiny_subject.frame_count, 1))
    shares[7] = np.nan  # a frame without a face
    monkeypatch.setattr(example, "load_net", lambda path: None)
    monkeypatch.setattr(example, "fetch", lambda name: Path(name))
    monkeypatch.setattr(example, "facial_emotions", lambda *given: shares)
    wish = wished(f"{tiny_subject.root}:0.5", tmp_path / "new")
    assert wish is not None and wish.labels == ("happy", "fear", "surprised")
    np.testing.assert_allclose(wish.strengths, [[0.25, 0.075, 0.06]])
    shares[:, :6] = 0.01
    with pytest.raises(InputError, match="no emotion is seen in it"):
        wished(str(tiny_subject.root), tmp_path / "new")


def test_strengths_of_examples(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.touch()
    assert parse_example(str(clip)) == (str(clip), 1.0)
    assert parse_example(f"{clip}:0.7") == (str(clip), 0.7)
    assert parse_example("happy") is None and parse_example("happy:0.5") is None
    with pytest.raises(InputError, match=r"from 0 to 1\.5"):
        parse_example(f"{clip}:3")
    with pytest.raises(InputError, match=r"no file absent\.mp4"):
        parse_example("absent.mp4:0.5")
    assert parse_example("happy:0.6,angry:0.3") is None and parse_example("absent.yaml") is None


def test_a_real_smile_is_seen(clips: Path, tmp_path: Path) -> None:
    path = clips / "expressions" / "M030_front_happy_level3_001.mp4"
    found = emotions_of(open_guest(str(path), tmp_path / "new"))
    assert next(iter(found)) == "happy" and found["happy"] > 0.7
