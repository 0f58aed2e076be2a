"""What a job leaves beside its log, and what the next one checks with it: files that changed since they were made.

A truncated array may fail to load, but a flipped bit in a video or a model loads without a murmur. So each job's record
holds the size and sha256 of what it wrote, and each job compares its inputs with the records of those that wrote them.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ua3dtalk.errors import DataError
from ua3dtalk.reading import is_regular
from ua3dtalk.workflow import RESULTS, atomic, sha256_of

READ_ALWAYS = 64 << 20  # bytes: a larger file is read again only if the file system says that it was written or copied
REMEMBER_SECONDS = 10  # a run that is killed while it reads clips reads again what these took
_OF_SNAKEMAKE = ".snakemake_timestamp"  # which it puts into folders when their job has ended


def write_record(record: Path, content: dict[str, Any], outputs: Iterable[Path]) -> None:
    """Write a job's record: `content`, and the bytes and the sha256 of each output."""
    files = list(outputs)
    content |= {
        "outputs": {str(path): size_of(path) for path in files},
        "sha256": {str(path): digest_of(path) for path in files},
    }
    with atomic(record) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def check_inputs(paths: Iterable[Path | str]) -> None:
    """Compare results with the records of the jobs that wrote them; a file without a record is the user's.

    Raises:
        DataError: one that is not as it was written.
    """
    records: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}
    for path in map(Path, paths):
        # A link leads to a store that looks after its files itself.
        if path.parts[0] != RESULTS.name or path.is_symlink() or not path.exists():
            continue
        for folder in path.parents:
            if folder not in records:
                records[folder] = _read_records(folder)
            for record, content in records[folder]:
                if str(path) in content.get("sha256", {}):
                    _compare(path, record, content)


def _read_records(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The records of an actor's, a run's or the assets' folder; a broken one tells nothing."""
    found = []
    for record in sorted((folder / "logs").rglob("*.json")):  # of an asset that is a folder's part, one deeper
        try:
            content = json.loads(record.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get("sha256", {}), dict):
            found.append((record, content))
    return found


def _compare(path: Path, record: Path, content: dict[str, Any]) -> None:
    before, now = content["outputs"].get(str(path)), size_of(path)
    if before != now:
        difference = f"has {now} bytes instead of {before}"
    elif _digest_again(path, record.parent, now) != content["sha256"][str(path)]:
        difference = "has another content"
    else:
        return
    raise DataError(
        f"{path} {difference} since {content.get('rule', 'its stage')} wrote it: delete it and run again "
        f"(if it was changed on purpose, delete {record} instead)"
    )


def _digest_again(path: Path, logs: Path, size: int) -> str:
    if size <= READ_ALWAYS or path.is_dir():
        return digest_of(path)
    return FileDigests(logs / ".digests.json").of(path)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(inner.stat().st_size for inner in _inside(path))
    return path.stat().st_size


def digest_of(path: Path) -> str:
    """sha256 of a file, or of the names and digests of a folder's files."""
    if not path.is_dir():
        return sha256_of(path)
    listing = [[str(inner.relative_to(path)), sha256_of(inner)] for inner in _inside(path)]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _inside(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.rglob("*") if inner.is_file() and inner.name != _OF_SNAKEMAKE)


class FileDigests:
    """sha256 of large files, remembered by size and time of change so that a clip is read once."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        try:
            self.known: dict[str, list[Any]] = json.loads(memory.read_text())
        except (OSError, ValueError):
            self.known = {}
        self._written = float(-REMEMBER_SECONDS)
        self._news = False

    def of(self, path: Path) -> str:
        """sha256 of the file, empty where there is none (its stage says so when it runs)."""
        if not is_regular(path):  # nor a pipe, which would be waited on
            return ""
        status = path.stat()
        key = [status.st_size, status.st_ctime_ns, status.st_ino]  # unlike mtime, ctime cannot be set back
        entry = self.known.get(str(path))
        if entry is None or entry[:3] != key:
            with path.open("rb") as file:
                entry = [*key, hashlib.file_digest(file, "sha256").hexdigest()]
            self.known[str(path)] = entry
            if not self._news:
                atexit.register(self._remember)
            self._news = True
            if time.monotonic() > self._written + REMEMBER_SECONDS:
                self._remember()
        return str(entry[3])

    def _remember(self) -> None:
        """Write what is known; rarely, since of a thousand clips it is long."""
        self._written = time.monotonic()
        if not os.access(self.memory.parent if self.memory.parent.exists() else self.memory.parent.parent, os.W_OK):
            return
        with suppress(OSError), atomic(self.memory) as temporary:  # a full disk is the jobs' to tell of
            temporary.write_text(json.dumps(self.known, indent=1))
