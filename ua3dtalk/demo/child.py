"""Child processes of the demo: a module of the package run by a fresh interpreter, one line when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ua3dtalk
from ua3dtalk.driver import end_with_run
from ua3dtalk.errors import AssetError, DataError, UserError

_ASSET_EXIT = 3


def start_module(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start ``python -m module``; not a fork (OpenMP may already run), not multiprocessing's spawn (it would import
    the workflow's own script again)."""
    roots = [str(Path(ua3dtalk.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(root for root in roots if root),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str]) -> None:
    """Wait for a child; its one line becomes the error."""
    said, _ = child.communicate()
    if child.returncode == 0:
        return
    line = (
        said.strip().splitlines() or [f"a process of the built-in actor ended with code {child.returncode}: run again"]
    )[-1]
    raise (AssetError if child.returncode == _ASSET_EXIT else DataError)(line)


def run_module(module: str, *arguments: str) -> None:
    """Run ``python -m module`` to its end.

    Raises:
        AssetError, DataError: the child's own one line.
    """
    finish(start_module(module, *arguments))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """In the child: a user's error ends as one line and a code that the parent knows; a parent's death ends it."""
    end_with_run()
    try:
        yield
    except UserError as error:
        print(error)
        sys.exit(_ASSET_EXIT if isinstance(error, AssetError) else 2)
