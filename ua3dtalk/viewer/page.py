"""The page as one text: style, script and, where there is no server, the head lie inside it; it loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from ua3dtalk.rendering.wishes import STRONGEST

DATA = Path(__file__).parent / "data"
SCRIPTS = ("glb.js", "splats.js", "viewer.js")


def write_page(actor: str, head: bytes | None, **config: Any) -> str:
    """Fill the template; all text is escaped.

    Args:
        head: the .glb that it shows; None for what the server gives.
        config: what the script has to know of the server.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style, script = _style(), _script()
    return environment.get_template("viewer.html").render(
        policy=policy(served=head is None),
        style=style,
        script=script,
        config={"actor": actor, "strongest": STRONGEST, "own": [], "token": None} | config,
        head="" if head is None else base64.b64encode(head).decode(),
    )


def policy(served: bool) -> str:
    """What a browser lets the page do: run this very script, and ask the server that it came from."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": _hash(_script()),
        "style-src": _hash(_style()),
        "img-src": "data:",
        "media-src": "blob:",
        "connect-src": "'self'" if served else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _style() -> str:
    return (DATA / "viewer.css").read_text()


def _script() -> str:
    return "\n".join((DATA / name).read_text() for name in SCRIPTS)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
