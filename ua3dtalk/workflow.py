"""What the adapters of the rules share: the job's frame, atomic output, progress, one-line errors."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from ua3dtalk.errors import UserError

if TYPE_CHECKING:
    from ua3dtalk.config import Config
    from ua3dtalk.provenance import States
    from ua3dtalk.subject import Subject

Item = TypeVar("Item")

RESULTS = Path("results")
SYNC_NET = RESULTS / ".shared" / "sync_local.safetensors"  # what the pipeline measures lip sync with
STOPPED = "ua3dtalk: stopped before its end, the jobs that ran have ended: run again to go on"  # though no job failed
SYSTEM_PACKAGES = "libegl1 libgles2 libgl1 libglib2.0-0"  # what the wheels of mediapipe and OpenCV expect
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
TERMINATED = "stopped by SIGTERM"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)
# What Python, numpy, torch, OpenCV, OpenBLAS and the loader of shared objects say without memory; the last
# two are Python's words for C code that got none and told nobody.
_NO_MEMORY = re.compile(
    r"(can('t|not)|unable to|failed to) allocate|insufficient memory|out of memory|bad_alloc"
    r"|failed to map segment|can't start new thread|thread creation failed"
    r"|error return without exception set|without setting an exception",
    re.IGNORECASE,
)


def sha256_of(path: Path | str) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checkpoints_of(output: Path) -> tuple[Path, Path]:
    """Where the job that writes a file keeps its last checkpoint, and the one before it."""
    last = output.with_name(f".{output.stem}.checkpoint")
    return last, last.with_name(f"{last.name}.before")


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling with the same suffix; it takes the final name only when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def progress(items: Iterable[Item], label: str, total: int | None = None, every: float = 5.0) -> Iterator[Item]:
    """Pass items on; every few seconds one line says how far it got and when it will be done."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done == 0:
            start = now  # what was prepared before the first one says nothing of the others
        if now - last >= every and done:
            last = now
            left = f", {(now - start) / done * (total - done):.0f} s left" if total else ""
            say(f"{label}: {done}/{total or '?'}{left}", done / total if total else None)
        yield item


def say(line: str, share: float | None = None) -> None:
    """One line for the person who waits: into the job's log and, with a bar for `share` 0..1, onto the terminal."""
    print(line, file=sys.stderr, flush=True)
    if _terminal is not None:
        bar = ""
        if share is not None and _terminal.stream.isatty():
            filled = round(20 * min(max(share, 0.0), 1.0))
            bar = f"[{'#' * filled}{'.' * (20 - filled)}] "
        _terminal.write(f"{bar}{line}")


@dataclass(frozen=True)
class _Terminal:
    """The stream that was standard error before a job redirected it, and what its lines begin with."""

    stream: TextIO
    prefix: str

    def write(self, line: str) -> None:
        try:
            print(f"{self.prefix}{line}", file=self.stream, flush=True)
        except OSError:  # the terminal is gone; the work is not
            pass


_terminal: _Terminal | None = None


@dataclass(frozen=True)
class Job:
    """What an adapter needs beside the named inputs and outputs of its rule."""

    rule: str
    actor: str
    state: str
    config: dict[str, Any]
    results: Path = RESULTS  # elsewhere where Snakemake brings the files from a storage

    @cached_property
    def subject(self) -> Subject:
        """Readers of the actor's bundle."""
        from ua3dtalk.subject import Subject

        return Subject(self.results / self.actor)

    @cached_property
    def pooled(self) -> tuple[Subject, ...]:
        """The bundles of the other actors whose training frames this stage may learn from."""
        from ua3dtalk.subject import Subject

        return tuple(Subject(self.results / name) for name in self._checked.pooled(self.rule, self.actor))

    @cached_property
    def settings(self) -> Any:
        """The frozen settings of this stage."""
        return self._checked.stage(self.rule, self.actor)

    @cached_property
    def seed(self) -> int:
        return int(self._checked.seed)

    @cached_property
    def everything(self) -> dict[str, Any]:
        """All sections of the config, merged with their presets, as plain values."""
        return {name: section.model_dump(mode="json") for name, section in self._own.sections.items()}

    def section(self, stage: str) -> Any:
        """The frozen settings of another stage."""
        return self._own.stage(stage)

    @property
    def method(self) -> str:
        return self._checked.method

    @property
    def budget(self) -> str:
        return self._own.budget

    @cached_property
    def emotions(self) -> tuple[str | None, ...]:
        """The label of each of the actor's clips, None where the config gives none."""
        return self._checked.actors[self.actor].emotions

    @cached_property
    def audio_offsets(self) -> tuple[float | None, ...]:
        """Seconds by which the sound of each of the actor's clips is moved, None where the config says nothing."""
        return self._checked.actors[self.actor].audio_offsets

    @cached_property
    def sync_subjects(self) -> tuple[Subject, ...]:
        """The bundles of the actors that lip sync is learned from."""
        from ua3dtalk.subject import Subject

        return tuple(Subject(self.results / name) for name in self._checked.sync_actors)

    @cached_property
    def sync_offsets(self) -> tuple[tuple[float | None, ...], ...]:
        """`audio_offsets` of each of them."""
        return tuple(self._checked.actors[name].audio_offsets for name in self._checked.sync_actors)

    def states(self, scripts: Path) -> States:
        """States of all stages and actors; `scripts` is the folder of the adapters."""
        from ua3dtalk.provenance import States

        return States(self._checked, Path(__file__).resolve().parents[1], scripts)

    @property
    def _own(self) -> Config:
        """The config as it is for this actor."""
        return self._checked.of(self.actor)

    @cached_property
    def _checked(self) -> Config:
        from ua3dtalk.config import load_config

        return load_config(self.config)


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Frame of one adapter.

    Everything printed goes to the job's log, lines of progress to the terminal too. An error ends the log with
    ``error: ...`` below its traceback and the process with 1; success leaves ``{rule}.json`` beside the log. The
    numbers of threads are set here, so the stage's module is imported inside the block.

    Args:
        snakemake: the object that Snakemake puts into a script.
    """
    from ua3dtalk.driver import end_with_run  # which need `atomic`
    from ua3dtalk.records import check_inputs, write_record

    actor = getattr(snakemake.wildcards, "actor", "")
    config = dict(snakemake.config)
    # A run of the ablation is the rule of a stage with another method and seed than the config's.
    stage = getattr(snakemake.params, "stage", snakemake.rule)
    config |= getattr(snakemake.params, "instead", {})
    outputs = [Path(path) for path in snakemake.output]
    frame = Job(stage, actor, getattr(snakemake.params, "state", ""), config, _results_of(outputs[0]))
    log = Path(snakemake.log[0])
    record = log.with_suffix(".json")
    end_with_run()
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(snakemake.threads)
    # Threads that wait spin briefly and then sleep: beside a busy neighbour endless spinning makes a step ten times
    # slower, while a quiet machine loses next to nothing.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    start = time.monotonic()
    title = f"{actor + ' ' if actor else ''}{snakemake.rule}"
    _begin_log(log, title, frame.state)
    failure, spare = "", bytearray(2 << 20)
    with _to_log(log, f"ua3dtalk: {title}: "), _heeding_sigterm():
        try:
            record.unlink(missing_ok=True)
            _remove_leftovers(outputs)
            check_inputs(getattr(snakemake, "input", ()))
            _remove_checkpoints(getattr(snakemake, "input", ()))
            yield frame
            write_record(record, _summary(frame, time.monotonic() - start), outputs)
        except BaseException as error:
            del spare  # room to say that there is none
            failure = one_line(error, log)
            with suppress(Exception):  # there may be no memory or no disk left to say more
                traceback.print_exc()
    if failure:
        _end_log(log, failure)
        raise SystemExit(1)


def _results_of(output: Path) -> Path:
    """The folder of all actors, from a file in it."""
    parts = output.parts
    if RESULTS.name not in parts or parts[0] == RESULTS.name:
        return RESULTS
    return Path(*parts[: len(parts) - parts[::-1].index(RESULTS.name)])


class _Terminated(BaseException):
    """SIGTERM: of a queue whose time is over, of a machine that shuts down, or of a person."""


@contextmanager
def _heeding_sigterm() -> Iterator[None]:
    """End by an exception, so that temporary files are removed and the log says why."""

    def terminate(number: int, frame: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def one_line(error: BaseException, log: Path | str = "the log") -> str:
    """What the user reads: cause and fix, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    number = error.errno if isinstance(error, OSError) else None
    place = getattr(error, "filename", None)
    # soundfile's library does not pass on why a write failed.
    unsaid = type(error).__name__ == "LibsndfileError" and "System error" in text
    if number in _NO_SPACE or "No space left on device" in text or unsaid:
        return f"disk full{f' while writing {place}' if place else ''}: make room and run again, nothing is lost"
    if number in _NO_WRITING or "Read-only file system" in text:
        return f"{place or 'results'} may not be written ({os.strerror(number or errno.EROFS)}): allow it and run again"
    if isinstance(error, MemoryError) or number == errno.ENOMEM or _NO_MEMORY.search(text):
        return "out of memory: give media.size a smaller value or run fewer jobs at a time (--cores)"
    if "cannot open shared object file" in text:
        library = text.split(":")[0]
        return f"a system library is missing ({library}): on Debian, apt-get install {SYSTEM_PACKAGES}"
    if isinstance(error, KeyboardInterrupt):
        return "stopped; run again to go on"
    if isinstance(error, _Terminated):
        return f"{TERMINATED} (a queue's time limit, a shutdown, a person): run again to go on"
    if isinstance(error, SystemExit):
        return f"ended early with {error.code!r} (a bug: see {log})"
    return f"{type(error).__name__}: {text or 'no message'} (a bug: see {log})"


def _begin_log(log: Path, title: str, state: str) -> None:
    """The log's first line: it holds the room on the disk that `_end_log` needs where there is no more."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{title}, state {state}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
    except OSError as error:
        with suppress(OSError):
            log.unlink(missing_ok=True)
        raise SystemExit(f"ua3dtalk: {title} failed: {one_line(error, log)}") from None


@contextmanager
def _to_log(log: Path, prefix: str) -> Iterator[None]:
    """Send standard output and error, those of C libraries too, into the log; remember the terminal for `say`."""
    global _terminal
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    file = log.open("a", buffering=1, errors="replace")
    with os.fdopen(os.dup(2), "w") as terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        _terminal = _Terminal(terminal, prefix)
        try:
            yield
        finally:
            _terminal = None
            sys.stdout, sys.stderr = streams
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            with suppress(OSError):  # what a full disk has no room for
                file.close()


def _end_log(log: Path, failure: str) -> None:
    """The line that `failures` looks for; in place of all others where the disk has no room for one more."""
    line = f"error: {failure}\n"
    try:
        with log.open("a") as file:
            file.write(line)
    except OSError:
        with log.open("r+") as file:
            file.write(line)
            file.truncate()


def _remove_leftovers(outputs: list[Path]) -> None:
    """Temporary siblings that a killed run of this rule left; no other job writes these files."""
    for output in outputs:
        pattern = re.compile(rf"\.{re.escape(output.stem)}\.\d+{re.escape(output.suffix)}")
        if output.parent.is_dir():
            for path in output.parent.iterdir():
                if pattern.fullmatch(path.name) and path.is_file():
                    path.unlink(missing_ok=True)


def _remove_checkpoints(inputs: Iterable[Path | str]) -> None:
    """Those of the jobs before this one.

    They could not do it themselves: who is killed on its way out, its results written, loses them and starts anew.
    """
    for path in map(Path, inputs):
        if path.parts[0] == RESULTS.name:
            for checkpoint in checkpoints_of(path):
                checkpoint.unlink(missing_ok=True)


def _summary(frame: Job, seconds: float) -> dict[str, Any]:
    """Of a job that has done its work, for its record."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    kilobytes = max(each.ru_maxrss for each in used)
    return {
        "rule": frame.rule,
        "actor": frame.actor,
        "state": frame.state,
        "seconds": round(seconds, 2),
        "processor_seconds": round(sum(each.ru_utime + each.ru_stime for each in used), 2),
        "peak_memory_mb": round(kilobytes / (1 << 20 if sys.platform == "darwin" else 1 << 10)),
    }
