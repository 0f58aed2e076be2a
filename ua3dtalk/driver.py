"""After a kill: a run that died leaves Snakemake's lock and its jobs behind; the next one shall just go on.

Every run leaves a note with its process in ``.snakemake/ua3dtalk/``. A lock is removed only when a note tells that
its run died and no note tells of a living one; runs of other machines on a shared file system count as living.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ua3dtalk.workflow import atomic

RUN = "UA3DTALK_RUN"  # names the run's note to its jobs


def enter(folder: Path | str = ".snakemake") -> bool:
    """Announce this run and remove the lock of one that was killed.

    Args:
        folder: where Snakemake keeps its state.
    Returns:
        whether a lock was removed.
    """
    folder = Path(folder)
    notes = folder / "ua3dtalk"
    try:
        others = {path: _is_alive(path) for path in notes.glob("*.json")}
        locks = list((folder / "locks").glob("*.lock"))
        stale = bool(locks and others) and not any(others.values())
        for path in [*(path for path, alive in others.items() if not alive), *(locks if stale else [])]:
            path.unlink(missing_ok=True)
        own = notes / f"{os.getpid()}.json"
        with atomic(own) as temporary:
            temporary.write_text(json.dumps(_process(os.getpid())))
        os.environ[RUN] = str(own.resolve())
    except OSError:  # Snakemake itself will say what is wrong with the folder
        return False
    atexit.register(_leave, own)
    return stale


def let_jobs_import(folder: Path) -> None:
    """Put a folder first on the path of every Python that this process starts."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), before] if before else [str(folder)])


def end_with_run(every: float = 1.0) -> None:
    """End this process soon after its parent or the run that started it died, so that a second run does not work beside
    an orphan.

    The run is known by its note: it may have died before this process could ask who its parent is.
    """
    parent, run = os.getppid(), os.environ.get(RUN)

    def watch() -> None:
        while os.getppid() == parent and (run is None or _is_alive(Path(run))):
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, name="end_with_run", daemon=True).start()


def _process(pid: int) -> dict[str, str | int | float]:
    return {"host": socket.gethostname(), "pid": pid, "created": psutil.Process(pid).create_time()}


def _is_alive(note: Path) -> bool:
    try:
        process = json.loads(note.read_text())
        if process["host"] != socket.gethostname():
            return True
        found = psutil.Process(process["pid"])
        # A zombie is dead; its parent has only not been told yet.
        return abs(found.create_time() - process["created"]) < 1 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except (OSError, ValueError, KeyError, psutil.Error):
        return True


def _leave(note: Path) -> None:
    with suppress(OSError):
        note.unlink(missing_ok=True)
