"""`ua3dtalk view`: a trained actor in a browser, served from this computer or as one page that needs no server."""

from __future__ import annotations

import ipaddress
import tempfile
import threading
import time
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path

from ua3dtalk.errors import InputError
from ua3dtalk.viewer.page import write_page
from ua3dtalk.viewer.server import Desk, Server
from ua3dtalk.viewer.studio import Studio
from ua3dtalk.workflow import atomic, say


@dataclass(frozen=True)
class ViewOptions:
    """Who is shown, and where.

    actor: a name under results/, or a folder; voice: any file with sound; out: an .html, in place of a server; host,
    port: of the server; browser: whether one is opened; pose, seed, device, fast: as of a film; longest: seconds of a
    voice.
    """

    actor: str
    voice: Path | None = None
    out: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    browser: bool = True
    pose: str = "wander"
    seed: int = 0
    device: str = "auto"
    longest: float = 600.0
    fast: bool = False


def view(options: ViewOptions) -> None:
    """Write the page, or serve it until Ctrl+C.

    Raises:
        UserError: one line for whatever does not fit.
    """
    if options.out and options.out.suffix.lower() != ".html":
        raise InputError(f"--out {options.out}: a page is written as .html; name it so")
    if options.voice and not isfile(options.voice):
        raise InputError(f"no file {options.voice} (looked from {Path.cwd()}): correct the path")
    told = Teller()
    studio = Studio(options.actor, options.pose, options.seed, options.device, options.longest, options.fast)
    if options.out:
        heard = studio.hear(options.voice, _name(options), told)
        page = write_page(studio.subject.name, studio.animate(heard, {}, told))
        with atomic(options.out) as temporary:
            temporary.write_text(page)
        return
    _serve(studio, options)


def _serve(studio: Studio, options: ViewOptions) -> None:
    desk = Desk(studio)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        try:
            server = Server(desk, options.host, options.port, Path(folder))
        except (OSError, OverflowError) as error:
            where = f"{options.host}:{options.port}"
            raise InputError(f"nothing can be served at {where} ({error}): give another --port or --host") from error
        with server:
            if not _is_loopback(options.host):
                say("ua3dtalk: warning: everybody who reaches this computer can see the head and let it say anything")
            address = f"http://{options.host}:{server.server_address[1]}/"
            say(f"{studio.subject.name} is at {address} until Ctrl+C")
            desk.take()
            desk.say(options.voice, _name(options), keep=True)
            if options.browser:
                webbrowser.open(address)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with suppress(KeyboardInterrupt):  # which is how one leaves
                desk.work()
            server.shutdown()


def _name(options: ViewOptions) -> str:
    return options.voice.name if options.voice else ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Teller:
    """Says every few seconds how far something is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, doing: str, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= 5:
            self._last = now
            say(f"{doing}: {share:.0%}", share)
