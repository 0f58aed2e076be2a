"""The server answers its own page and nobody else, within limits."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from glb_reader import Glb

from ua3dtalk.viewer import server as module
from ua3dtalk.viewer.server import Server
from ua3dtalk.viewer.studio import Studio


def ask(server: Server, verb: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and content of an answer, json where it is such."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.request(verb, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert (
        answer.headers["X-Content-Type-Options"] == "nosniff"
        and "default-src" in answer.headers["Content-Security-Policy"]
    )
    is_json = answer.headers["Content-Type"] == "application/json"
    return answer.status, json.loads(content) if is_json else content


def post(server: Server, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    return ask(server, "POST", path, body, **{"X_Token": server.token, **headers})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "never became true"
        time.sleep(0.02)


def finished(server: Server) -> dict[str, Any]:
    """The status when no job runs."""
    wait_until(lambda: not server.desk.status.busy)
    status: dict[str, Any] = ask(server, "GET", "/status")[1]
    return status


def test_the_page_and_the_head(server: Server, tmp_path: Path) -> None:
    status, page = ask(server, "GET", "/")
    assert status == 200 and server.token.encode() in page
    assert finished(server)["voice"] == "voice.wav"
    status, content = ask(server, "GET", "/head.glb?1")
    (tmp_path / "a.glb").write_bytes(content)
    assert status == 200 and Glb(tmp_path / "a.glb").extras["frames"] == 25


def test_a_voice_is_said_and_its_file_removed(server: Server, voice: Path) -> None:
    before = finished(server)
    status, _ = post(server, "/voice", voice.read_bytes(), X_Name="my%20voice%0A.wav")
    assert status == 202
    after = finished(server)
    assert after["version"] == before["version"] + 1 and after["voice"] == "my voice.wav" and after["error"] == ""
    assert list(server.folder.iterdir()) == [] and voice.is_file()


def test_a_file_without_sound_is_one_line_and_the_head_stays(server: Server) -> None:
    before = finished(server)
    assert post(server, "/voice", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", X_Name="list.m3u8")[0] == 202
    after = finished(server)
    assert after["version"] == before["version"]
    assert after["error"].startswith("list.m3u8 is not a video or sound file") and "\n" not in after["error"]
    assert list(server.folder.iterdir()) == []


def test_emotions_of_the_actor_s_own(server: Server) -> None:
    before = finished(server)
    content = ask(server, "GET", "/head.glb")[1]
    assert post(server, "/emotions", b'{"happy": 1.0}')[0] == 202
    assert finished(server)["version"] == before["version"] + 1
    assert ask(server, "GET", "/head.glb")[1] != content
    for wrong in (b"[]", b"{", b'{"sad": 1}', b'{"happy": "1"}', b'{"happy": true}'):
        assert post(server, "/emotions", wrong)[0] == 400, wrong
    assert post(server, "/emotions", b'{"happy": 7}')[0] == 202
    assert "each strength from 0 to 1.5" in finished(server)["error"]
    assert post(server, "/emotions", b'{"happy": 0.5}')[0] == 202
    assert finished(server)["error"] == ""


def test_another_name_of_this_computer_is_refused(server: Server) -> None:
    port = server.server_address[1]
    for host, status in (("evil.example", 403), (f"evil.example:{port}", 403), ("", 403), (f"localhost:{port}", 200)):
        assert ask(server, "GET", "/", Host=host)[0] == status, host


def test_another_page_is_refused(server: Server, voice: Path) -> None:
    finished(server)
    content, address = voice.read_bytes(), f"http://127.0.0.1:{server.server_address[1]}"
    assert ask(server, "POST", "/voice", content)[0] == 403
    assert ask(server, "POST", "/voice", content, X_Token="guessed")[0] == 403
    assert post(server, "/voice", content, Origin="http://evil.example")[0] == 403
    assert post(server, "/voice", content, Origin="null")[0] == 403
    assert ask(server, "GET", "/status", Origin="http://evil.example")[0] == 403
    assert list(server.folder.iterdir()) == [] and finished(server)["version"] == 1
    assert post(server, "/voice", content, Origin=address)[0] == 202


def test_no_path_leads_anywhere_else(server: Server) -> None:
    for path in ("/../../etc/passwd", "//etc/passwd", "/data/viewer.js", "/head.glb/..", "/%2e%2e/", "/voice"):
        assert ask(server, "GET", path)[0] == 404, path
    assert post(server, "/head.glb", b"x")[0] == 404


def test_limits_of_what_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(server)
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    status, answer = ask(server, "POST", "/voice", None, X_Token=server.token, Content_Length=str((1 << 20) + 1))
    assert status == 413 and answer == {"error": "the voice is larger than 1 MB"}
    assert post(server, "/voice", b"")[0] == 411
    assert post(server, "/emotions", b" " * 5000)[0] == 413
    assert not finished(server)["busy"]


def test_a_voice_that_breaks_off_leaves_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest("POST", "/voice")
    connection.putheader("X-Token", server.token)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"RIFF")
    wait_until(lambda: ask(server, "GET", "/status")[1]["busy"])
    connection.close()
    assert finished(server)["version"] == 1
    assert list(server.folder.iterdir()) == []


def test_one_at_a_time(server: Server, studio: Studio, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(server)
    go, hear = threading.Event(), studio.hear

    def slowly(*given: Any) -> Any:
        go.wait(30)
        return hear(*given)

    monkeypatch.setattr(studio, "hear", slowly)
    assert post(server, "/voice", voice.read_bytes())[0] == 202
    for path, body in (("/voice", voice.read_bytes()), ("/emotions", b'{"happy": 1}')):
        status, answer = post(server, path, body)
        assert status == 409 and "wait" in answer["error"]
    assert ask(server, "GET", "/head.glb")[0] == 200, "the last head is there meanwhile"
    go.set()
    assert finished(server)["version"] == 2


def test_what_nobody_foresaw_ends_the_job_and_not_the_server(
    server: Server, studio: Studio, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(server)

    def broken(*given: Any) -> Any:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(studio, "hear", broken)
    assert post(server, "/voice", voice.read_bytes())[0] == 202
    assert finished(server)["error"].startswith("ZeroDivisionError: by nought")
    assert ask(server, "GET", "/")[0] == 200
