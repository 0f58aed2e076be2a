"""A small server on the user's own computer: the page, the head as it says a voice, and what the page asks for.

Nothing of a request names a file. Requests that came by another name than this computer's, or from another page, are
refused: a page elsewhere could otherwise reach what only this computer may.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import threading
import traceback
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

from ua3dtalk.errors import UserError
from ua3dtalk.viewer.page import policy, write_page
from ua3dtalk.viewer.studio import Heard, Studio
from ua3dtalk.workflow import one_line

MOST_BYTES = 64 << 20  # of a voice
MOST_WISH = 4096  # bytes of the emotions
PATIENCE = 30.0  # seconds without a byte after which a connection is given up
CHUNK = 1 << 18


@dataclass(frozen=True)
class Status:
    """version: counts the heads that were ready; busy, doing, share 0..1: of what is going on; error: of the last job;
    voice: whose name the page shows."""

    version: int = 0
    busy: bool = False
    doing: str = ""
    share: float = 0.0
    error: str = ""
    voice: str = ""


class Desk:
    """What the server's threads share: one job at a time, its progress, the last head.

    Jobs are done by whoever calls `work`: the main thread, whose pools of threads are there already, and
    which Ctrl+C ends.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._jobs: Queue[Callable[[], None] | None] = Queue()
        self.status, self.head = Status(), b""
        self._heard: Heard | None = None
        self._strengths: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Reserve the next job; False where another one runs."""
        with self._lock:
            if self.status.busy:
                return False
            self.status = replace(self.status, busy=True, doing="waiting for the voice", share=0.0, error="")
            return True

    def drop(self) -> None:
        """Give a reserved job back."""
        self.status = replace(self.status, busy=False)

    def say(self, voice: Path | None, name: str, keep: bool = False) -> None:
        """Hear a file (None: silence) and show it; the file is removed unless it is kept. The job was reserved."""

        def job() -> None:
            try:
                self._heard = self.studio.hear(voice, name, self._told)
            finally:
                if voice is not None and not keep:
                    voice.unlink(missing_ok=True)
            self._show()

        self._jobs.put(job)

    def feel(self, strengths: dict[str, float]) -> None:
        """Show what was heard in other emotions. The job was reserved."""

        def job() -> None:
            before, self._strengths = self._strengths, strengths
            try:
                self._show()
            except UserError:
                self._strengths = before
                raise

        self._jobs.put(job)

    def _show(self) -> None:
        if self._heard is None:
            return
        self.head = self.studio.animate(self._heard, self._strengths, self._told)
        self.status = replace(self.status, version=self.status.version + 1, voice=self._heard.name)

    def _told(self, doing: str, share: float) -> None:
        self.status = replace(self.status, doing=doing, share=share)

    def work(self) -> None:
        """Do what comes, until `close`."""
        while (job := self._jobs.get()) is not None:
            error = ""
            try:
                job()
            except Exception as problem:  # whatever it is, it must not end the server
                error = one_line(problem)
                if not isinstance(problem, UserError):
                    traceback.print_exc()
            self.status = replace(self.status, busy=False, error=error)

    def close(self) -> None:
        """End `work` after the job that it is at."""
        self._jobs.put(None)


class Server(ThreadingHTTPServer):
    """The server of one actor.

    Args:
        host, port: where it listens; port 0 takes a free one. folder: for voices while they are heard.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, host: str, port: int, folder: Path) -> None:
        self.desk, self.name, self.folder = desk, host, folder
        self.token = secrets.token_urlsafe(24)
        studio = desk.studio
        told = {"own": studio.own, "token": self.token, "bytes": MOST_BYTES, "seconds": studio.longest}
        self.page = write_page(studio.subject.name, None, **told).encode()
        super().__init__((host, port), Handler)


class Refused(Exception):
    """A request that is not answered as it wishes: the status and one line."""

    def __init__(self, status: HTTPStatus, line: str) -> None:
        super().__init__(line)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "ua3dtalk", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """The page, the head or the status."""
        self._answer({"/": self._page, "/head.glb": self._head, "/status": self._status})

    def do_POST(self) -> None:
        """A voice, or emotions."""
        self._answer({"/voice": self._voice, "/emotions": self._emotions})

    def _answer(self, answers: dict[str, Callable[[], None]]) -> None:
        try:
            self._check_sender()
            answer = answers.get(urllib.parse.urlsplit(self.path).path)
            if answer is None:
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
            answer()
        except Refused as refused:
            self._send(json.dumps({"error": str(refused)}).encode(), "application/json", refused.status)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _check_sender(self) -> None:
        """Refuse names that a foreign page may have pointed at this computer, and requests of foreign pages."""
        host = self.headers.get("Host", "")
        if not self._is_ours(urllib.parse.urlsplit(f"//{host}").hostname or ""):
            raise Refused(HTTPStatus.FORBIDDEN, "this server is reached by the address that it printed")
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise Refused(HTTPStatus.FORBIDDEN, "another page may not ask this")
        if self.command == "POST" and not hmac.compare_digest(
            self.headers.get("X-Token", "").encode(), self.server.token.encode()
        ):
            raise Refused(HTTPStatus.FORBIDDEN, "the page is older than the server: load it again")

    def _is_ours(self, name: str) -> bool:
        if name in ("localhost", self.server.name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # nobody can point a number elsewhere

    def _page(self) -> None:
        self._send(self.server.page, "text/html; charset=utf-8")

    def _head(self) -> None:
        if not self.server.desk.head:
            raise Refused(HTTPStatus.NOT_FOUND, "no head is ready yet")
        self._send(self.server.desk.head, "model/gltf-binary")

    def _status(self) -> None:
        self._send(json.dumps(asdict(self.server.desk.status)).encode(), "application/json")

    def _voice(self) -> None:
        length = self._length(MOST_BYTES, f"the voice is larger than {MOST_BYTES >> 20} MB")
        self._reserve()
        path = self.server.folder / secrets.token_hex(8)
        try:
            with path.open("wb") as file:
                self._receive(length, file.write)
        except BaseException:
            path.unlink(missing_ok=True)
            self.server.desk.drop()
            raise
        name = urllib.parse.unquote(self.headers.get("X-Name", ""))
        self.server.desk.say(path, "".join(c for c in name if c.isprintable())[:80] or "the voice")
        self._send(b"{}", "application/json", HTTPStatus.ACCEPTED)

    def _emotions(self) -> None:
        content = bytearray()
        self._receive(self._length(MOST_WISH, "these are too many emotions"), content.extend)
        strengths = _strengths(bytes(content), self.server.desk.studio.own)
        self._reserve()
        self.server.desk.feel(strengths)
        self._send(b"{}", "application/json", HTTPStatus.ACCEPTED)

    def _reserve(self) -> None:
        if not self.server.desk.take():
            raise Refused(HTTPStatus.CONFLICT, "another voice is being worked on: wait until it is there")

    def _length(self, most: int, line: str) -> int:
        told = self.headers.get("Content-Length", "")
        if not told.isdecimal() or int(told) == 0:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "nothing was sent")
        if int(told) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, line)
        return int(told)

    def _receive(self, length: int, take: Callable[[bytes], Any]) -> None:
        while length > 0:
            block = self.rfile.read(min(length, CHUNK))
            if not block:
                raise Refused(HTTPStatus.BAD_REQUEST, "it was not sent to its end: try again")
            take(block)
            length -= len(block)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": f"{policy(served=True)}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads a line for each request."""


def _strengths(content: bytes, own: tuple[str, ...]) -> dict[str, float]:
    """Strength by label out of a request; what is wrong with numbers is found where they are used."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "these are no emotions") from error
    if not isinstance(found, dict) or not all(
        label in own and isinstance(value, int | float) and not isinstance(value, bool)
        for label, value in found.items()
    ):
        raise Refused(HTTPStatus.BAD_REQUEST, f"name strengths of {', '.join(own) or 'no emotion'}")
    return found
