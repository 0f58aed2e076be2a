"""The viewer's server as it is met by requests that no browser sends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from fuzzing import mutations as mutate
from ua3dtalk.viewer.server import Desk, Handler, Status

ANSWER = b"HTTP/1."


class _Talk:
    """Stands for a connection: what came, and what is answered."""

    def __init__(self, content: bytes) -> None:
        self.came, self.said = io.BytesIO(content), io.BytesIO()

    def makefile(self, mode: str, size: int = -1) -> Any:
        return self.came

    def sendall(self, content: Any) -> None:
        self.said.write(content)

    def settimeout(self, seconds: float) -> None:
        """A test never waits."""


def request_reader(folder: Path) -> tuple[st.SearchStrategy[bytes], Callable[[bytes], None]]:
    """Raw requests to the handler; voices are put down and dropped, wishes checked as where they are used."""
    from ua3dtalk.rendering.wishes import parse_wish

    (folder / "voices").mkdir()
    desk: Any = Desk(SimpleNamespace(own=("happy", "sad"), longest=10.0))  # type: ignore[arg-type]

    def say(voice: Path | None, name: str, keep: bool = False) -> None:
        assert voice is not None and voice.parent == folder / "voices" and name.isprintable() and len(name) <= 80
        voice.unlink()

    def feel(strengths: dict[str, float]) -> None:
        parse_wish(",".join(f"{label}:{strength}" for label, strength in strengths.items() if strength > 0) or None)

    desk.say, desk.feel = say, feel
    server: Any = SimpleNamespace(desk=desk, name="127.0.0.1", folder=folder / "voices", token="secret", page=b"<html>")

    def read(content: bytes) -> None:
        desk.status = Status()
        talk = _Talk(content)
        Handler(talk, ("127.0.0.1", 1), server)  # type: ignore[arg-type]
        said = talk.said.getvalue()
        assert not said or said.startswith((ANSWER, b"<", b"{")), said[:80]  # HTTP 0.9 has no first line
        assert not list((folder / "voices").iterdir()), "a voice was left behind"

    head = "Host: localhost\r\nX-Token: secret\r\n"

    def post(path: str, body: bytes, more: str = "") -> bytes:
        return f"POST {path} HTTP/1.1\r\n{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body

    wishes = mutate.json_bytes([{"happy": 1.0, "sad": 0.2}])
    good = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /status HTTP/1.0\r\nHost: 127.0.0.1:1\r\n\r\n",
        post("/voice", b"RIFF" * 8, "X-Name: a%20b.wav\r\n"),
        post("/emotions", json.dumps({"happy": 1}).encode()),
        post("/voice", b"x" * 9, "Transfer-Encoding: chunked\r\nOrigin: http://evil\r\n"),
    ]
    return st.one_of(mutate.damaged(good), wishes.map(lambda body: post("/emotions", body))), read
