"""A trained actor in a folder, a studio and a server for it, and a browser."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser, open_browser
from hearing import babble, hearing_subject, make_head
from tiny_training import with_motion

from ua3dtalk.rendering.head import Head, save_head
from ua3dtalk.subject import Subject
from ua3dtalk.viewer import studio as rooms
from ua3dtalk.viewer.server import Desk, Server
from ua3dtalk.viewer.studio import Studio

__all__ = ["babble", "hearing_subject", "make_head"]
FRAMES = 25


@pytest.fixture
def actor(
    hearing_subject: Subject, make_head: Callable[..., Head], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of an actor who has been happy, with a head that has beliefs and the landmarks' motion."""
    root = Path(shutil.copytree(hearing_subject.root, tmp_path / "anna"))
    clips = json.loads((root / "clips.json").read_text())
    clips["clips"][0]["emotion"] = "happy"
    (root / "clips.json").write_text(json.dumps(clips))
    (root / "model").mkdir(exist_ok=True)
    head = with_motion(hearing_subject, make_head(hearing_subject, uncertain=True, motion=3.0))
    save_head(head, root / "model/fused.safetensors", "abc")

    def opened(name: str) -> Subject:
        subject = Subject(name)
        subject.speech = hearing_subject.speech
        return subject

    monkeypatch.setattr(rooms, "open_actor", opened)
    monkeypatch.setattr(rooms, "whisper_folder", lambda subject: Path("nowhere"))
    monkeypatch.setattr(rooms, "IDLE", 0.4)
    (root / "model/emotion.safetensors").write_bytes(b"")
    return root


@pytest.fixture
def voice(babble: Callable[[int], np.ndarray], tmp_path: Path) -> Path:
    """A second of sound."""
    soundfile.write(tmp_path / "voice.wav", babble(FRAMES), 16_000)
    return tmp_path / "voice.wav"


@pytest.fixture
def studio(actor: Path) -> Studio:
    """The actor, waiting for voices of two seconds at most."""
    return Studio(str(actor), "replay", 0, "cpu", 2.0)


@pytest.fixture
def server(studio: Studio, voice: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose head says the voice, or is about to."""
    (tmp_path / "uploads").mkdir()
    with Server(Desk(studio), "127.0.0.1", 0, tmp_path / "uploads") as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        worker = threading.Thread(target=made.desk.work)
        worker.start()
        made.desk.take()
        made.desk.say(voice, "voice.wav", keep=True)
        yield made
        made.shutdown()
        made.desk.close()
        worker.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; tests that need it skip without it, saying why."""
    with open_browser() as opened:
        yield opened
