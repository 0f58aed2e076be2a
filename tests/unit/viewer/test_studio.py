"""An actor that waits for voices: heard once, shown in what is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from glb_reader import Glb

from ua3dtalk import cli
from ua3dtalk.errors import InputError
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.viewer.studio import Studio


def told(doing: str, share: float) -> None:
    assert doing and 0 <= share <= 1


def means(content: bytes, folder: Path) -> np.ndarray:
    """Positions [T, N, 3] of all frames of a .glb."""
    (folder / "read.glb").write_bytes(content)
    glb = Glb(folder / "read.glb")
    return np.stack([glb.splats(frame).means.numpy() for frame in range(glb.extras["frames"])])


def test_a_voice_is_heard_once_and_shown_in_each_emotion(
    studio: Studio, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = studio.hear(voice, "voice.wav", told)
    assert heard.frames == 25 and heard.sound is not None
    monkeypatch.setattr(Ears, "hear", lambda *_: pytest.fail("it listened again"))
    assert studio.own == ("happy",)
    usual, same, happy = (
        means(studio.animate(heard, strengths, told), tmp_path) for strengths in ({}, {"happy": 0.0}, {"happy": 1.0})
    )
    np.testing.assert_array_equal(usual, same)
    assert np.abs(happy - usual).max() > 1e-4
    glb = Glb(tmp_path / "read.glb")
    assert glb.document["asset"]["extras"]["comment"].startswith("synthetic: rendered by ua3dtalk from the head anna")
    assert "happy" not in glb.extras["expressions"] and "sad" in glb.extras["expressions"]


def test_without_a_voice_it_keeps_silent(studio: Studio, tmp_path: Path) -> None:
    heard = studio.hear(None, "", told)
    assert heard.sound is None
    assert means(studio.animate(heard, {}, told), tmp_path).shape[0] == 10


def test_what_does_not_fit_is_one_line(studio: Studio, actor: Path, voice: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"^my voice is not a video or sound file"):
        studio.hear(tmp_path / "text.wav", "my voice", told)
    short = Studio(str(actor), "still", 0, "cpu", 0.5)
    with pytest.raises(InputError, match=r"^my voice is longer than 0\.5 s"):
        short.hear(voice, "my voice", told)
    with pytest.raises(InputError, match=r"each strength from 0 to 1\.5"):
        studio.animate(studio.hear(None, "", told), {"happy": 2.0}, told)
    with pytest.raises(InputError, match="choose of wander"):
        Studio(str(actor), "dance", 0, "cpu", 1)
    with pytest.raises(InputError, match="seconds above 0"):
        Studio(str(actor), "still", 0, "cpu", 0)


def test_one_page_without_a_server(
    actor: Path, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "anna.html"
    assert cli.main(["view", str(actor), "--voice", str(voice), "--out", str(out)]) == 0
    page = out.read_text()
    assert "connect-src &#39;none&#39;" in page and "http" not in page.replace("http-equiv", "")
    for wrong, cause in (
        (["--out", str(tmp_path / "a.pdf")], "a page is written as .html"),
        (["--voice", str(tmp_path / "absent.wav")], "absent.wav"),
        (["--port", "99999", "--no-browser"], "nothing can be served at"),
    ):
        assert cli.main(["view", str(actor), *wrong]) == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("ua3dtalk: error:") and cause in last
