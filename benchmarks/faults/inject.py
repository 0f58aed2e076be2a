"""The faults: each runs a stage in a fresh folder, damages it, and repairs what the user is told to repair.

A fault returns what the user saw and how many seconds of work were lost; afterwards the same command is run again.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.faults.folder import METRICS, Ended, Folder, Reference, Stage

# Arrays of the bundle that stages learn from; others are for people to read.
LEARNED_FROM = frozenset(
    (
        *("points", "blendshapes", "K", "world_to_camera", "neutral", "coefficients", "action_units", "mouth_opening"),
        *("features", "mel", "expression", "lip_expression", "voice_style", "mixed", "embedding", "probabilities"),
    )
)
PATIENCE = 600.0  # seconds until a stage has to have begun


class Missed(Exception):
    """The stage was over before the fault came."""


class NotSurvived(Exception):
    """What the user should have seen or kept, and did not."""


@dataclass
class Case:
    """One fault in one stage.

    Attributes:
        folder: a copy of the finished run without the stage and all below it.
        draw: seeded; what is left to chance.
        early: share of the chosen moment that is waited for; smaller in each further attempt.
    """

    reference: Reference
    folder: Folder
    stage: Stage
    draw: random.Random
    early: float = 1.0

    def start(self) -> subprocess.Popen[str]:
        return self.folder.start(*self.stage.outputs)

    def file(self, name: str) -> Path:
        return self.folder.path / name


@dataclass
class Seen:
    """What the user read, and seconds of work that have to be done again."""

    lines: list[str] = field(default_factory=list)
    lost: float = 0.0


def one_line(ended: Ended) -> list[str]:
    """The one line of a run that failed, and nothing that frightens."""
    if ended.code == 0:
        raise NotSurvived("the run ended as if nothing had been")
    if "Traceback" in ended.error or len(ended.lines) != 1:
        raise NotSurvived(f"not one line but {len(ended.lines)}: {ended.error[-1500:]}")
    if "(a bug:" in ended.lines[0]:
        raise NotSurvived(f"a line without a remedy: {ended.lines[0]}")
    return ended.lines


def in_time(ended: Ended) -> Ended:
    """A run that failed, as it had to if the fault did not come after the stage's end."""
    if ended.code == 0:
        raise Missed
    return ended


def wait_for_job(case: Case, driver: subprocess.Popen[str], shares: tuple[float, float] = (0.1, 0.7)) -> psutil.Process:
    """The stage's process, somewhere in the middle of its work; a training has saved a checkpoint by then."""
    log, stage = case.file(case.stage.log), case.stage
    sign = case.file(f"{stage.checkpoint}.before") if stage.checkpoint else log
    end = time.monotonic() + PATIENCE
    while not sign.exists():
        if driver.poll() is not None or time.monotonic() > end:
            raise Missed
        time.sleep(0.01)
    time.sleep(case.early * case.draw.uniform(*shares) * stage.seconds)
    if case.file(stage.record).exists():
        raise Missed
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(driver.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any(".snakemake/scripts/" in word for word in child.cmdline()) and "python" in child.name():
                    return child
    raise Missed


def lost_seconds(case: Case) -> float:
    """Work since the last checkpoint, or since the stage began."""
    names = [case.stage.checkpoint, case.stage.log]
    marks = [case.file(name) for name in names if name and case.file(name).exists()]
    if not marks:
        return 0.0
    # A log's time of change is that of its last line: its first one says when the job began.
    if marks[0].suffix == ".log":
        began = marks[0].read_text().splitlines()[0].rsplit(", ", 1)[1]
        return time.time() - time.mktime(time.strptime(began, "%Y-%m-%d %H:%M:%S"))
    return time.time() - marks[0].stat().st_mtime


def _signal_job(number: int) -> Callable[[Case], Seen]:
    def inject(case: Case) -> Seen:
        driver = case.start()
        job = wait_for_job(case, driver)
        lost = lost_seconds(case)
        with suppress(psutil.NoSuchProcess):
            job.send_signal(number)
        return Seen(one_line(in_time(case.folder.end(driver))), lost)

    return inject


def kill_driver(case: Case) -> Seen:
    """kill -9 of the run: its jobs end too, or are done within that second; nothing can be said until the next one."""
    driver = case.start()
    wait_for_job(case, driver)
    jobs = psutil.Process(driver.pid).children(recursive=True)
    lost = lost_seconds(case)
    if driver.poll() is not None:
        raise Missed
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(jobs, timeout=60)
    if alive:
        raise NotSurvived(f"jobs outlive their run: {alive}")
    return Seen([], lost)


def terminate_driver(case: Case) -> Seen:
    """SIGTERM of the run, which lets its jobs end and starts no more."""
    driver = case.folder.start(*case.stage.outputs, METRICS) if case.stage.name != "report" else case.start()
    wait_for_job(case, driver)
    driver.terminate()
    ended = case.folder.end(driver)
    if ended.code == 0:  # it was the last job, and ended as if nothing had been
        return Seen()
    return Seen(one_line(ended))


def bundle(case: Case) -> Path:
    """The folder of results that the stage writes into."""
    return case.file(case.stage.log).parents[1]


@contextmanager
def _mounted(*words: str, at: Path) -> Iterator[None]:
    done = subprocess.run(["mount", *words, str(at)], capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f"needs a user who may mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def full_disk(case: Case) -> Seen:
    """The results lie on a disk with room for half of what the stage writes, then for none; room is made then."""
    folder = bundle(case)
    kept = folder.with_name(f"{folder.name}.kept")
    size = sum(path.stat().st_size for name in case.stage.outputs for path in _files(case.reference.path / name))
    folder.rename(kept)
    folder.mkdir()
    with _mounted("-t", "tmpfs", "-o", "size=2g", "tmpfs", at=folder):
        shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
        filler = folder / "filler"
        free = os.statvfs(folder)
        room = free.f_bavail * free.f_frsize - (size // 2 if size > 65536 else case.draw.choice((0, 4096)))
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(room, 1))
        lines = one_line(case.folder.run(*case.stage.outputs))
        filler.unlink()
        again = case.folder.run(*case.stage.outputs)
        shutil.rmtree(kept)
        shutil.copytree(folder, kept, symlinks=True)
    folder.rmdir()
    kept.rename(folder)
    if again.code:
        raise NotSurvived(f"with room on the disk: {again.error[-1500:]}")
    return Seen(lines)


def read_only(case: Case) -> Seen:
    """The results may not be written; then they may."""
    folder = bundle(case)
    with _mounted("--bind", str(folder), at=folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        return Seen(one_line(case.folder.run(*case.stage.outputs)))


def no_memory(case: Case) -> Seen:
    """From some moment on the job gets no more address space."""
    driver = case.start()
    job = wait_for_job(case, driver, (0.0, 0.5))
    with suppress(psutil.NoSuchProcess):
        room = job.memory_info().vms
        job.rlimit(psutil.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    return Seen(one_line(in_time(case.folder.end(driver))))


def _damage(flip: bool, touch: bool) -> Callable[[Case], Seen]:
    def inject(case: Case) -> Seen:
        name = some_input(case)
        damage(case.file(name), flip, touch)
        return refused(case, name, case.folder.run(*case.stage.outputs))

    return inject


def refused(case: Case, name: str, ended: Ended) -> Seen:
    """A damaged file has to be named; it is deleted, as the line says."""
    lines = one_line(ended)
    if name not in lines[0] or "delete it and run again" not in lines[0]:
        raise NotSurvived(f"{name} was damaged, and the line is: {lines[0]}")
    path = case.file(name)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return Seen(lines)


def some_input(case: Case) -> str:
    """One of the stage's inputs that another stage or a download made, of those that are soon made again."""
    names = sorted({name for name in case.stage.inputs if name.startswith("results/")})
    cost = {name: case.reference.seconds_to_remake(name, case.stage) for name in names}
    return case.draw.choice([name for name in names if cost[name] <= 2 * min(cost.values()) + 5])


def damage(path: Path, flip: bool, touch: bool) -> None:
    """Flip one bit in the middle of a file or cut it in half; in place of the file, which may be shared."""
    if path.is_dir():
        path = max(_files(path), key=lambda each: each.stat().st_size)
    data, status = bytearray(path.read_bytes()), path.stat()
    if flip:
        data[len(data) // 2] ^= 16
    replace(path, bytes(data if flip else data[: len(data) // 2]))
    if not touch:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(data)
    temporary.replace(path)


def _files(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]


def deleted(case: Case) -> Seen:
    """An input is gone: nothing is to be said, it is made again."""
    path = case.file(some_input(case))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return Seen()


def nan_input(case: Case) -> Seen:
    """A row of an input is NaN, and its stage believes that it wrote it so."""
    names = [name for name in case.stage.inputs if name.endswith(".npz") and name.startswith("results/May/")]
    name = case.draw.choice(names)
    path, maker = case.file(name), case.reference.maker(name)
    assert maker is not None
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    broken = arrays[case.draw.choice([key for key in arrays if key in LEARNED_FROM])]
    broken[len(broken) // 3] = np.nan
    status = path.stat()
    temporary = path.with_name(".nan.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    record = case.file(maker.record)
    content = json.loads(record.read_text())
    from ua3dtalk.records import digest_of, size_of

    content["outputs"][name], content["sha256"][name] = size_of(path), digest_of(path)
    replace(record, json.dumps(content).encode())
    ended = case.folder.run(*case.stage.outputs)
    # A stage may not use the array; whether that is so is seen from its results, which have to be as without NaN.
    return Seen() if ended.code == 0 else refused(case, name, ended)


# Python runs it at the start of the copy's processes: one loss of a training is NaN, once.
NAN_ONCE = """
import importlib.abc, importlib.util
from pathlib import Path


class _Break(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name != "ua3dtalk.training.objectives" or Path("nan.txt").exists():
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        true, calls = module.photometric, []

        def photometric(*arguments, **options):
            loss = true(*arguments, **options)
            calls.append(1)
            if len(calls) >= {first} and Path({checkpoint!r}).exists() and not Path("nan.txt").exists():
                Path("nan.txt").write_text("")
                return loss * float("nan")
            return loss

        module.photometric = photometric


sys.meta_path.insert(0, _Break())
"""


def nan_batch(case: Case) -> Seen:
    """One batch of a training gives NaN, at some step after the first checkpoint."""
    site = case.file("sitecustomize.py")
    clean = site.read_text()
    site.write_text(clean + NAN_ONCE.format(first=case.draw.randrange(5, 15), checkpoint=case.stage.checkpoint))
    ended = case.folder.run(*case.stage.outputs)
    site.write_text(clean)
    lines = one_line(ended)
    assert case.stage.checkpoint is not None
    happened, saved = (case.file(name).stat().st_mtime for name in ("nan.txt", case.stage.checkpoint))
    return Seen(lines, max(0.0, happened - saved))


def _broken_checkpoint(flip: bool) -> Callable[[Case], Seen]:
    def inject(case: Case) -> Seen:
        assert case.stage.checkpoint is not None
        seen = _signal_job(signal.SIGKILL)(case)
        path = case.file(case.stage.checkpoint)
        seen.lost += path.stat().st_mtime - path.with_name(f"{path.name}.before").stat().st_mtime
        damage(path, flip, touch=False)
        return seen

    return inject


def two_drivers(case: Case) -> Seen:
    """A second run of the same command while the first one is at work."""
    driver = case.start()
    job = wait_for_job(case, driver, (0.0, 0.2))
    said = case.file("stderr.txt")
    mine = case.file("first.txt")
    said.rename(mine)
    with suppress(psutil.NoSuchProcess):
        job.suspend()  # a second run needs longer to start than a short stage to end
    second = case.folder.run(*case.stage.outputs)
    with suppress(psutil.NoSuchProcess):
        job.resume()
    driver.wait(PATIENCE)
    if driver.returncode:
        raise NotSurvived(f"the first run failed: {mine.read_text()[-1500:]}")
    return Seen(one_line(in_time(second)))


@dataclass(frozen=True)
class Fault:
    """A fault, what it is called for a reader, and the stages that it can happen to."""

    title: str
    inject: Callable[[Case], Seen]
    applies: Callable[[Stage], bool] = lambda stage: True


def _reads(stage: Stage) -> bool:
    return any(name.startswith("results/") for name in stage.inputs)


def _reads_arrays(stage: Stage) -> bool:
    return any(name.endswith(".npz") and name.startswith("results/May/") for name in stage.inputs)


def _trains(stage: Stage) -> bool:
    return stage.checkpoint is not None


FAULTS = {
    "kill_job": Fault("`kill -9` of the job", _signal_job(signal.SIGKILL)),
    "kill_driver": Fault("`kill -9` of the run", kill_driver),
    "terminate_job": Fault("SIGTERM of the job", _signal_job(signal.SIGTERM)),
    "terminate_driver": Fault("SIGTERM of the run", terminate_driver),
    "full_disk": Fault("full disk", full_disk),
    "read_only": Fault("read-only results", read_only),
    "flipped": Fault("a bit of an input flipped, same time of change", _damage(True, False), _reads),
    "flipped_newer": Fault("a bit of an input flipped, newer", _damage(True, True), _reads),
    "cut": Fault("an input cut in half, same time of change", _damage(False, False), _reads),
    "cut_newer": Fault("an input cut in half, newer", _damage(False, True), _reads),
    "deleted": Fault("an input deleted", deleted, _reads),
    "nan_input": Fault("NaN in an input", nan_input, _reads_arrays),
    "nan_batch": Fault("NaN in a batch of training", nan_batch, _trains),
    "checkpoint_flipped": Fault("killed, and a bit of the checkpoint flipped", _broken_checkpoint(True), _trains),
    "checkpoint_cut": Fault("killed, and the checkpoint cut in half", _broken_checkpoint(False), _trains),
    "no_memory": Fault("no more memory for the job", no_memory),
    "two_drivers": Fault("a second run on the same folder", two_drivers),
}
