"""After a kill: a run that died leaves Snakemake's lock and its jobs behind; the next one shall just go on.

Every run leaves a note with its process in ``.snakemake/ua3dtalk/`` and touches it every few seconds. On the run's own
machine its process tells whether it lives; on another one of a shared file system, a login node or a compute node, the
note's time does. A lock is removed only when a note tells that its run died and no note tells of a living one. Jobs
end when their run died or its note is gone; so what a dead run left in a cluster's queue does not work beside the next
one.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ua3dtalk.outcomes import failures
from ua3dtalk.workflow import STOPPED, atomic, one_line

_ERRORS_OF_DISKS = ("OSError", "PermissionError")
RUN = "UA3DTALK_RUN"  # names the run's note to its jobs
BEAT = 15.0  # s between two touches of the note
SILENCE = 240.0  # s without one after which a run of another machine is dead; file servers tell times up to 60 s late


def enter(folder: Path | str = ".snakemake", unlock: bool = False) -> bool:
    """Announce this run and remove the lock of one that was killed.

    Args:
        folder: where Snakemake keeps its state.
        unlock: the user says that no other run is at work: those of other machines are forgotten; their jobs end.
    Returns:
        whether a lock was removed.
    """
    folder = Path(folder)
    notes = folder / "ua3dtalk"
    try:
        own = notes / f"{secrets.token_hex(8)}.json"  # two machines may give two runs the same process number
        with atomic(own) as temporary:
            temporary.write_text(json.dumps(_process(os.getpid())))
        now = own.stat().st_mtime  # by the clock of the file system, as the others' are
        others = {path: _is_alive(path, now) for path in notes.glob("*.json") if path != own}
        locks = list((folder / "locks").glob("*.lock"))
        stale = bool(locks and others) and not any(others.values())
        over = [path for path, alive in others.items() if not alive or (unlock and not _is_here(path))]
        for path in [*over, *(locks if stale else [])]:
            path.unlink(missing_ok=True)
        os.environ[RUN] = str(own.resolve())
    except OSError:  # Snakemake itself will say what is wrong with the folder
        return False
    threading.Thread(target=_beat, args=(own.resolve(),), name="beat", daemon=True).start()
    atexit.register(_leave, own.resolve())
    living = [path for path, alive in others.items() if alive]
    logging.getLogger("snakemake.logging").addFilter(lambda record: _in_one_line(record, living))
    return stale


def last_words(results: Path, since: float) -> list[str]:
    """What a run that failed says at its end: a line for each cause, as far as it was not said yet.

    Args:
        results: the folder of all actors.
        since: time of the run's start, as `time.time` gives it.
    """
    return failures(results, since) or ([] if _said else [STOPPED])


_said: set[str] = set()


def _in_one_line(record: logging.LogRecord, living: list[Path]) -> bool:
    """In place of Snakemake's paragraph on locks, which advises to remove them, and of its traceback of a disk that
    is full or may not be written, one line with cause and remedy; each is said once."""
    kind, text = getattr(record, "exception", ""), str(record.msg)
    disk = re.search(r"\[Errno (\d+)\] ([^\n:]*)(?:: '([^'\n]*)')?", text) if kind in _ERRORS_OF_DISKS else None
    if kind == "LockException":
        names = [_name(note) for note in living]
        line = (
            f"another run ({', '.join(names)}) is making the same files: wait for its end, then run again"
            if names
            else "a run of another machine or user has locked the files that this one makes: "
            "wait for its end; if it was killed: make unlock"
        )
    elif disk:
        line = one_line(OSError(int(disk[1]), disk[2], disk[3]))
    else:
        return True
    new = line not in _said
    _said.add(line)
    record.msg = f"ua3dtalk: {line}"
    return new


def _name(note: Path) -> str:
    try:
        process = json.loads(note.read_text())
        return f"process {process['pid']} on {process['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "which has just ended"


def let_jobs_import(folder: Path) -> None:
    """Put a folder first on the path of every Python that this process starts."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), before] if before else [str(folder)])


def end_with_run(every: float = 1.0, silence: float = SILENCE) -> None:
    """End this process soon after its parent or the run that started it died, so that a second run does not work beside
    an orphan; at once if the run is over already, as it may be for a job that waited in a queue.

    The run is known by its note: it may have died before this process could ask who its parent is.
    """
    parent, run = os.getppid(), os.environ.get(RUN)
    watched = _Watched(Path(run), silence) if run else None
    if watched and not watched.is_alive():
        raise SystemExit("ua3dtalk: the run that this job belongs to is over")

    def watch() -> None:
        while os.getppid() == parent and (watched is None or watched.is_alive()):
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, name="end_with_run", daemon=True).start()


class _Watched:
    """A run, seen from one of its jobs.

    Args:
        note: the run's.
        silence: seconds for which the note may stay untouched where the run's process cannot be seen; measured by the
            clock of this machine, whatever that of the file system says.
    """

    def __init__(self, note: Path, silence: float) -> None:
        self.note = note
        self.silence = silence
        self.touched = 0.0
        self.seen = time.monotonic()

    def is_alive(self) -> bool:
        try:
            touched = self.note.stat().st_mtime
        except FileNotFoundError:
            # Removed by the next run; a folder that is gone as a whole is the file system's trouble.
            return not self.note.parent.is_dir()
        except OSError:
            return True
        if _is_here(self.note):
            return _is_alive(self.note)
        if touched != self.touched:
            self.touched, self.seen = touched, time.monotonic()
        return time.monotonic() - self.seen < self.silence


def _beat(note: Path) -> None:
    while True:
        time.sleep(BEAT)
        with suppress(OSError):
            os.utime(note)


def _process(pid: int) -> dict[str, str | int | float]:
    return {"host": socket.gethostname(), "pid": pid, "created": psutil.Process(pid).create_time()}


def _is_here(note: Path) -> bool:
    """Whether the note's run is of this machine."""
    try:
        return bool(json.loads(note.read_text())["host"] == socket.gethostname())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_alive(note: Path, now: float | None = None) -> bool:
    """Whether a run lives.

    Args:
        note: the run's.
        now: time of the file system, s; without it runs of other machines count as living.
    """
    try:
        process = json.loads(note.read_text())
        if process["host"] != socket.gethostname():
            return now is None or now - note.stat().st_mtime < SILENCE
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
