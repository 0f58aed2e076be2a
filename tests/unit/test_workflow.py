"""A job logs everything, ends errors as one line, and leaves a record; files appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import soundfile

from ua3dtalk import driver, workflow
from ua3dtalk.config import Config
from ua3dtalk.errors import InputError
from ua3dtalk.outcomes import cost, failures
from ua3dtalk.workflow import atomic, checkpoints_of, job, one_line, progress


@pytest.fixture(autouse=True)
def the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever enters as a run tells its children so."""
    monkeypatch.setenv(driver.RUN, "nobody")


@pytest.fixture
def snakemake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "end_with_run", lambda: None)
    for name in workflow._THREAD_VARIABLES:
        monkeypatch.setenv(name, "7")
    return SimpleNamespace(
        rule="decode",
        wildcards=SimpleNamespace(actor="May"),
        params=SimpleNamespace(state="abc"),
        config={"actors": {"May": {"clips": "builtin"}}, "seed": 5},
        output=["results/May/clips.json"],
        log=["results/May/logs/decode.log"],
        threads=3,
    )


LOG = Path("results/May/logs/decode.log")


def test_a_job_knows_its_settings_and_leaves_a_record(snakemake: SimpleNamespace) -> None:
    with job(snakemake) as run:
        assert (run.rule, run.actor, run.state, run.seed) == ("decode", "May", "abc", 5)
        assert run.settings.size == 256
        assert run.subject.root == Path("results/May")
        assert os.environ["OMP_NUM_THREADS"] == "3"
        run.subject.root.joinpath("clips.json").write_text("{}")
    record = json.loads(LOG.with_suffix(".json").read_text())
    assert record["state"] == "abc"
    assert record["outputs"] == {"results/May/clips.json": 2}
    assert record["sha256"] == {"results/May/clips.json": hashlib.sha256(b"{}").hexdigest()}
    assert record["peak_memory_mb"] > 10
    assert record["processor_seconds"] > 0


def test_a_job_opens_the_bundles_that_it_pools(snakemake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Config, "pooled", lambda self, stage, actor: ("anna", f"{stage}-{actor}"))
    with job(snakemake) as run:
        Path("results/May/clips.json").write_text("{}")
        assert [subject.root for subject in run.pooled] == [Path("results/anna"), Path("results/decode-May")]


def test_what_a_c_library_prints_is_in_the_log_too(snakemake: SimpleNamespace) -> None:
    with job(snakemake):
        Path("results/May/clips.json").write_text("{}")
        print("from python")
        os.write(1, b"from C, out\n")
        os.write(2, b"from C, err\n")
    first, *others = LOG.read_text().splitlines()
    assert re.fullmatch(r"May decode, state abc, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first)
    assert others == ["from python", "from C, out", "from C, err"]


def test_progress_reaches_log_and_terminal(snakemake: SimpleNamespace, capfd: pytest.CaptureFixture[str]) -> None:
    with job(snakemake):
        Path("results/May/clips.json").write_text("{}")
        assert list(progress(range(3), "frames", every=0)) == [0, 1, 2]
    assert "frames: 2/3" in LOG.read_text()
    assert "ua3dtalk: May decode: frames: 2/3" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.mp4 has no face: choose another\nclip"), "a.mp4 has no face: choose another clip"),
        (OSError(28, "No space left on device", "x.npy"), "disk full while writing x.npy: make room and run again,"),
        (RuntimeError("write failed: No space left on device"), "disk full: make room and run again"),
        (OSError(30, "Read-only file system", "x.npy"), "x.npy may not be written (Read-only file system): allow it"),
        (soundfile.LibsndfileError(2), "disk full: make room and run again"),
        (MemoryError(), "out of memory: "),
        (OSError(12, "Cannot allocate memory"), "out of memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), "out of memory: "),
        (ImportError("libx.so: failed to map segment from shared object"), "out of memory: "),
        (RuntimeError("mkl_malloc: failed to allocate memory"), "out of memory: "),
        (SystemError("error return without exception set"), "out of memory: "),
        (KeyboardInterrupt(), "stopped; run again to go on"),
        (SystemExit(3), "ended early with 3 (a bug: see "),
        (KeyError("x"), "KeyError: 'x' (a bug: see results/May/logs/decode.log)"),
        (ImportError("libEGL.so.1: cannot open shared object file"), "a system library is missing (libEGL.so.1): "),
    ],
)
def test_an_error_is_the_last_line_of_the_log(
    snakemake: SimpleNamespace, error: BaseException, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.time() - 1
    with pytest.raises(SystemExit) as end, job(snakemake):
        raise error
    assert end.value.code == 1
    lines = LOG.read_text().splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1].startswith(f"error: {line}")
    assert capfd.readouterr() == ("", "")
    assert failures(Path("results"), started) == [f"ua3dtalk: May: decode failed: {lines[-1][7:]}"]


def test_a_job_that_was_killed_is_named(snakemake: SimpleNamespace) -> None:
    LOG.parent.mkdir(parents=True)
    LOG.write_text("frames: 3/9\n")
    assert failures(Path("results"), 0) == [
        "ua3dtalk: May: decode failed: was killed (by a person, or by the system for memory): run again to go on; "
        f"what it printed is in {LOG}"
    ]
    assert failures(Path("results"), time.time() + 9) == []


def test_jobs_that_failed_for_the_same_cause_share_a_line(snakemake: SimpleNamespace) -> None:
    LOG.parent.mkdir(parents=True)
    for stage, cause in {"landmarks": "x is broken", "regions": "x is broken", "sound": "no sound"}.items():
        LOG.with_stem(stage).write_text(f"...\nerror: {cause}\n")
    assert failures(Path("results"), 0) == [
        "ua3dtalk: May: landmarks, regions failed: x is broken",
        "ua3dtalk: May: sound failed: no sound",
    ]


def test_a_job_that_is_terminated_says_so_and_cleans_up(snakemake: SimpleNamespace) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, job(snakemake), atomic("results/May/clips.json") as half:
        half.write_text("{")
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 1
    assert LOG.read_text().splitlines()[-1].startswith("error: stopped by SIGTERM ")
    assert [path.name for path in LOG.parents[1].iterdir()] == ["logs"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_log_that_cannot_be_written_is_one_line(snakemake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, text: str) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SystemExit) as end, job(snakemake):
        raise AssertionError("the stage must not begin")
    assert end.value.code == (
        f"ua3dtalk: May decode failed: {LOG} may not be written (Read-only file system): allow it and run again"
    )


def test_a_log_without_room_for_one_more_line_holds_the_cause_alone(
    snakemake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Path.open

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        if mode == "a" and "buffering" not in options:
            raise OSError(28, "No space left on device")
        return usual(self, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(SystemExit), job(snakemake):
        raise OSError(28, "No space left on device", "x.npy")
    assert LOG.read_text() == "error: disk full while writing x.npy: make room and run again, nothing is lost\n"


def test_a_job_that_succeeds_is_no_failure(snakemake: SimpleNamespace) -> None:
    with job(snakemake):
        Path("results/May/clips.json").write_text("{}")
    assert failures(Path("results"), 0) == []


def test_full_disk_for_real(snakemake: SimpleNamespace) -> None:
    with pytest.raises(SystemExit), job(snakemake), open("/dev/full", "wb") as full:
        full.write(b"x" * 100_000)
    assert LOG.read_text().splitlines()[-1].startswith("error: disk full")


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(snakemake: SimpleNamespace) -> None:
    folder = Path("results/May")
    folder.mkdir(parents=True)
    for name in (".clips.123.json", ".clips.checkpoint", ".other.123.json", "clips.123.json"):
        (folder / name).write_text("")
    with job(snakemake):
        (folder / "clips.json").write_text("")
    left = sorted(path.name for path in folder.iterdir() if path.is_file())
    assert left == [".clips.checkpoint", ".other.123.json", "clips.123.json", "clips.json"]


def test_a_checkpoint_goes_when_the_result_is_read(snakemake: SimpleNamespace) -> None:
    model = Path("results/May/model/face.safetensors")
    others = model.with_name(".mouth.checkpoint")
    model.parent.mkdir(parents=True)
    for path in (model, others, *checkpoints_of(model)):
        path.write_text("")
    snakemake.output = [str(model)]
    with job(snakemake):
        pass
    assert all(path.exists() for path in checkpoints_of(model)), "who trained it may be killed on its way out"
    snakemake.input, snakemake.output = [str(model)], ["results/May/clips.json"]
    with job(snakemake):
        assert sorted(path.name for path in model.parent.iterdir()) == [".mouth.checkpoint", "face.safetensors"]
        Path(snakemake.output[0]).write_text("{}")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.json"
    with pytest.raises(ValueError, match="half"), atomic(target) as temporary:
        temporary.write_text("half")
        raise ValueError("half")
    assert list(target.parent.iterdir()) == []
    with atomic(target) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def test_one_line_of_anything() -> None:
    assert one_line(ValueError("a\n b")) == "ValueError: a b (a bug: see the log)"


def test_cost_reads_the_benchmarks(tmp_path: Path) -> None:
    for stage, row in {"decode": "2.04\t0:00:02\t131.6", "landmarks": "0.5\t0:00:00\tNA", "metrics": "9\t0\t9"}.items():
        path = tmp_path / "benchmarks" / f"{stage}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{row}\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/landmarks.json").write_text('{"peak_memory_mb": 200}')
    # A rule whose results may come out of a cache has no table.
    (tmp_path / "logs/regions.json").write_text('{"seconds": 60.26, "peak_memory_mb": 449}')
    assert cost(tmp_path) == {
        "stages": {
            "decode": {"seconds": 2.0, "peak_memory_mb": 132},
            "landmarks": {"seconds": 0.5, "peak_memory_mb": 200},
            "regions": {"seconds": 60.3, "peak_memory_mb": 449},
        },
        "seconds": 62.8,
        "peak_memory_mb": 449,
    }


def run_python(text: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text], cwd=folder, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


RUN = "import time; from ua3dtalk import driver; print(driver.enter('.'), flush=True); time.sleep(60)"


def test_the_lock_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "0.output.lock"
    lock.parent.mkdir()
    first = run_python(RUN, tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "False\n"
    lock.write_text("a")
    first.kill()
    # Not waited for: a killed run stays a zombie until its parent looks, and a busy parent looks late.
    while psutil.Process(first.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert driver.enter(tmp_path)
    assert not lock.exists()
    first.wait()


def test_the_lock_of_a_living_or_unknown_run_stays(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "0.output.lock"
    lock.parent.mkdir()
    lock.write_text("a")
    assert not driver.enter(tmp_path / "unknown" / "..")
    other = run_python(RUN, tmp_path)
    assert other.stdout is not None
    assert other.stdout.readline() == "False\n"
    assert not driver.enter(tmp_path)
    assert lock.exists()
    other.kill()
    other.wait()


@pytest.fixture
def snakemakes_logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """As a run finds it that has just begun."""
    logger = logging.getLogger("snakemake.logging")
    monkeypatch.setattr(logger, "filters", [])
    monkeypatch.setattr(driver, "_said", set())
    return logger


def test_who_holds_the_lock_is_said_in_one_line(
    tmp_path: Path, snakemakes_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    other = run_python(RUN, tmp_path)
    assert other.stdout is not None and other.stdout.readline() == "False\n"
    driver.enter(tmp_path)
    snakemakes_logger.error("LockException:\nError: Directory ...", extra={"exception": "LockException"})
    snakemakes_logger.error("MissingInputException:\nno", extra={"exception": "MissingInputException"})
    other.kill()
    other.wait()
    assert [record.getMessage() for record in caplog.records] == [
        f"ua3dtalk: another run (process {other.pid} on {socket.gethostname()}) is making the same files: "
        "wait for its end, then run again",
        "MissingInputException:\nno",
    ]
    assert driver.last_words(tmp_path, 0) == []


def test_a_lock_of_nobody_known_is_one_line_too(
    tmp_path: Path, snakemakes_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    driver.enter(tmp_path)
    snakemakes_logger.error("LockException:\nError: Directory ...", extra={"exception": "LockException"})
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("ua3dtalk: a run of another machine or user has locked the files ")
    assert "make unlock" in line and "\n" not in line


TRACE = "OSError:\n[Errno {}\n  File x\nOSError: [Errno {}\n"


def test_what_snakemake_says_of_a_disk_is_said_once_and_in_one_line(
    tmp_path: Path, snakemakes_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    driver.enter(tmp_path)
    assert driver.last_words(tmp_path, 0) == [workflow.STOPPED]
    for text in ("30] Read-only file system: 'results/May/a.npz'", "30] Read-only file system: 'results/May/a.npz'"):
        snakemakes_logger.error(TRACE.format(text, text), extra={"exception": "OSError"})
    text = "28] No space left on device"
    snakemakes_logger.error(TRACE.format(text, text), extra={"exception": "OSError"})
    assert [record.getMessage() for record in caplog.records] == [
        "ua3dtalk: results/May/a.npz may not be written (Read-only file system): allow it and run again",
        "ua3dtalk: disk full: make room and run again, nothing is lost",
    ]
    assert driver.last_words(tmp_path, 0) == []


CHILD = "import time; from ua3dtalk.driver import end_with_run; time.sleep({}); end_with_run(0.05); time.sleep(60)"


@pytest.mark.parametrize("delay", [0, 1])
def test_a_job_ends_with_its_run_even_if_that_died_before_the_job_was_awake(tmp_path: Path, delay: float) -> None:
    text = f"""
import subprocess, sys, time
from ua3dtalk import driver
driver.enter('.')
print(subprocess.Popen([sys.executable, '-c', {CHILD.format(delay)!r}]).pid, flush=True)
time.sleep(60)
"""
    run = run_python(text, tmp_path)
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    time.sleep(0.5)
    run.kill()
    run.wait()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.fixture
def far_away(tmp_path: Path) -> Path:
    """The note of a run on another machine of the file system."""
    note = tmp_path / "ua3dtalk" / "far.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"host": "far-away", "pid": 1, "created": 0.0}))
    return note


def test_a_run_of_another_machine_is_dead_when_its_note_is_untouched_for_long(tmp_path: Path, far_away: Path) -> None:
    lock = tmp_path / "locks" / "0.output.lock"
    lock.parent.mkdir()
    lock.write_text("a")
    assert not driver.enter(tmp_path)
    assert lock.exists()
    Path(os.environ[driver.RUN]).unlink()  # this process is a run that goes on
    long_ago = time.time() - 2 * driver.SILENCE
    os.utime(far_away, (long_ago, long_ago))
    assert driver.enter(tmp_path)
    assert not lock.exists()
    assert not far_away.exists()


def test_who_unlocks_says_that_runs_of_other_machines_are_over(tmp_path: Path, far_away: Path) -> None:
    here = run_python(RUN, tmp_path)
    assert here.stdout is not None
    here.stdout.readline()
    driver.enter(tmp_path, unlock=True)
    assert not far_away.exists()
    notes = [json.loads(note.read_text())["pid"] for note in (tmp_path / "ua3dtalk").glob("*.json")]
    assert sorted(notes) == sorted([here.pid, os.getpid()]), "what lives on this machine is seen to live"
    here.kill()
    here.wait()


WAITING = """
import time
from ua3dtalk.driver import end_with_run
end_with_run(0.05, {})
print('a', flush=True)
time.sleep(60)
"""


def test_a_job_of_a_run_that_is_over_does_not_begin(
    tmp_path: Path, far_away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(driver.RUN, str(far_away))
    far_away.unlink()
    job_of_it = run_python(WAITING.format(60), tmp_path)
    assert job_of_it.wait(20) == 1


@pytest.mark.parametrize("end", ["silence", "removed"])
def test_a_job_on_another_machine_ends_with_its_run(
    tmp_path: Path, far_away: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv(driver.RUN, str(far_away))
    job_of_it = run_python(WAITING.format(1.5 if end == "silence" else 60), tmp_path)
    assert job_of_it.stdout is not None
    assert job_of_it.stdout.readline() == "a\n"
    for _ in range(8):  # touched notes are of living runs
        time.sleep(0.25)
        os.utime(far_away)
        assert job_of_it.poll() is None
    if end == "removed":
        far_away.unlink()
    assert job_of_it.wait(20) == 1
