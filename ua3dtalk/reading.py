"""Opening files that others may have written: every one is checked before memory is taken for what it announces.

A file may be cut off, damaged, of another version, or made to harm whoever opens it. Each reader here refuses what is
no regular file and what is larger than a limit, runs nothing that a file holds, compares what a header announces with
what is there, and says what is wrong in one line. Readers of tensors are in `ua3dtalk.tensors`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ua3dtalk.errors import DataError, UserError

AGAIN = "delete it and run again"
MOST_JSON = 64 << 20  # bytes; Python takes about ten times as many
MOST_YAML = 128 << 10  # bytes; PyYAML reads some 100 kB a second
MOST_TABLE = 256 << 20  # bytes of a csv
DEEPEST = 50  # groups inside groups of a yaml
# Arrays of an npz together: this much, or this many times the file's own bytes. Real ones shrink to a tenth at most,
# but where no frame shows a face all rows are alike.
MOST_ARRAYS = 1 << 30
MOST_RATIO = 20
MOST_BESIDES = 1 << 30  # bytes that weights in a pickle may take beside thrice their file
MOST_HEADER = 10_000  # bytes of an array's header, numpy's own limit
CHUNK = 1 << 20
MOST_WORDS = 300  # signs of a foreign error message


@contextmanager
def reading(path: Path | str, fix: str = AGAIN, kind: type[UserError] = DataError, what: str = "") -> Iterator[None]:
    """Frame of everything that builds something from a file: whatever is wrong with the file is one clear line.

    Args:
        path: the file, for the line.
        fix: what to do about it, for the line.
        kind: of the error: DataError for what the pipeline writes, InputError for what the user brings.
        what: it should be.
    """
    said = f" as {what}" if what else ""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # parsers raise kinds of their own, and foreign content can break anything
        raise kind(f"{path} cannot be read{said} ({cause(error)}): {fix}") from error


def cause(error: BaseException) -> str:
    """An error in one printable line of bounded length."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "groups inside groups without end"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = "".join(sign if sign.isprintable() else " " for sign in str(error))
    return " ".join(text.split())[:MOST_WORDS] or type(error).__name__


@contextmanager
def limited_memory(most: int) -> Iterator[None]:
    """At most so many bytes more than now, while a foreign parser builds what a file announces in a few of its own.

    Where the system cannot limit a process (all but Linux), nothing is limited.

    Raises:
        ValueError: for `reading`; more was asked for.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):
        yield
        return
    limit = pages * resource.getpagesize() + most
    soft = limit if before[0] == resource.RLIM_INFINITY else min(limit, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (soft, before[1]))
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise ValueError(f"it asks for more than {most >> 20} MB") from None
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def open_regular(path: Path | str, most: float = math.inf) -> BinaryIO:
    """Open a regular file, never a pipe, a device, a socket or a folder, on which a reader would wait for ever.

    Args:
        most: bytes that it may have.
    Raises:
        OSError, ValueError: for `reading`, or for a caller with words of its own.
    """
    stream = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    try:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > most:
            raise ValueError(f"it has {status.st_size} bytes, more than the {most:.0f} that are read")
    except BaseException:
        stream.close()
        raise
    return stream


def is_name(name: object) -> bool:
    """Whether a text of a foreign file names a file below the folder that it stands in, and nothing elsewhere."""
    return isinstance(name, str) and "\0" not in name and not name.startswith("/") and ".." not in name.split("/")


def is_regular(path: Path | str) -> bool:
    """Whether a path leads to a regular file; False for a loop of links too."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def read_text(path: Path | str, most: int) -> str:
    """UTF-8 text of a regular file of at most so many bytes; to be called inside `reading`."""
    with open_regular(path, most) as file:
        return file.read().decode("utf-8-sig")


def read_json(path: Path | str, fix: str = AGAIN, kind: type[UserError] = DataError) -> dict[str, Any]:
    """The object that a json file holds.

    Raises:
        UserError of the kind: missing, damaged, too large, or no object.
    """
    with reading(path, fix, kind):
        document = json.loads(read_text(path, MOST_JSON))
        if not isinstance(document, dict):
            raise ValueError(f"it holds {type(document).__name__} where an object belongs")
        return document


def parse_yaml(text: str) -> Any:
    """Plain values of a yaml text, without anchors, which a few lines of can stand for any number of values.

    Raises:
        ValueError, yaml.YAMLError: for `reading`.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it repeats values by *name: write them out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("groups inside groups without end")
    return yaml.safe_load(text)


def read_yaml(path: Path | str, fix: str, kind: type[UserError], what: str) -> Any:
    """Plain values of a yaml file; nothing that it holds is run.

    Raises:
        UserError of the kind.
    """
    with reading(path, fix, kind, what):
        return parse_yaml(read_text(path, MOST_YAML))


def table_rows(path: Path | str) -> Iterator[list[str]]:
    """Rows of a csv one after the other, spaces after commas taken off; to be called inside `reading`."""
    with open_regular(path, MOST_TABLE) as file:
        yield from csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""), skipinitialspace=True)


@dataclass(frozen=True)
class Field:
    """What one array of a file has to be.

    shape: numbers, and names of lengths: equal names of one file are equal lengths; kinds: numpy's letters of types;
    finite: whether every number has to be; needed: whether another version of the file may lack it.
    """

    shape: tuple[int | str, ...]
    kinds: str = "f"
    finite: bool = True
    needed: bool = True


def floats(*shape: int | str, finite: bool = True, needed: bool = True) -> Field:
    """A field of floating point numbers."""
    return Field(shape, "f", finite, needed)


def texts(*shape: int | str) -> Field:
    """A field of texts."""
    return Field(shape, "U")


def read_npz(
    path: Path | str, fields: Mapping[str, Field], lengths: Mapping[str, int], fix: str = AGAIN
) -> dict[str, np.ndarray]:
    """Those arrays of an npz that are named, checked.

    Args:
        lengths: of the names in the fields' shapes, as far as they are known.
    Raises:
        DataError: missing, damaged, with arrays that do not fit, or larger than the file can be meant to hold.
    """
    with reading(path, fix):
        found: dict[str, np.ndarray] = {}
        known = dict(lengths)
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            left = max(MOST_ARRAYS, MOST_RATIO * os.fstat(file.fileno()).st_size)
            members = {member.filename: member for member in archive.infolist()}
            for name, field in fields.items():
                member = members.get(f"{name}.npy")
                if member is None:
                    if field.needed:
                        raise DataError(f"{path} has no {name}: another version wrote it; run the pipeline again")
                    continue
                left -= member.file_size
                if left < 0:
                    raise ValueError("it would take far more memory than the file has bytes")
                with archive.open(member) as stream:
                    found[name] = _read_member(stream, member.file_size, name, field, known)
        return found


def _read_member(stream: Any, size: int, name: str, field: Field, known: dict[str, int]) -> np.ndarray:
    shape, fortran, dtype = _header(stream)
    held = math.prod(shape) * dtype.itemsize
    if held != size - stream.tell():
        raise ValueError(f"{name} announces {held} bytes and holds {size - stream.tell()}")
    check_shape(name, shape, dtype, field, known)
    # Not np.empty(shape, dtype), which would be as long as the header, not the data, wants it.
    memory = bytearray(held)
    place = 0
    while block := stream.read(CHUNK):
        memory[place : place + len(block)] = block
        place += len(block)
    if place != held or len(memory) != held:
        raise ValueError(f"{name} ends after {place} of {held} bytes")
    array = np.frombuffer(memory, dtype).reshape(shape, order="F" if fortran else "C")
    if field.finite and dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type that the header of an .npy announces; a type that would need pickle is refused."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of numpy's format is not read")
    shape, fortran, dtype = read(stream, max_header_size=MOST_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds objects, which are not read")
    if dtype.kind not in "biufU" or not dtype.isnative or (dtype.kind == "f" and dtype.itemsize > 8):
        raise ValueError(f"it holds {dtype}, which is not read")
    if any(length < 0 for length in shape):
        raise ValueError(f"shape {shape} is none")
    return shape, fortran, dtype


def check_shape(
    name: str, shape: tuple[int, ...], dtype: np.dtype, field: Field, known: dict[str, int] | None = None
) -> None:
    """Compare an array's shape and type with its field; lengths that are met for the first time are kept in `known`.

    Raises:
        ValueError: for `reading`.
    """
    known = {} if known is None else known
    fits = len(shape) == len(field.shape) and dtype.kind in field.kinds
    for length, wanted in zip(shape, field.shape, strict=False):
        fits &= length == (known.setdefault(wanted, length) if isinstance(wanted, str) else wanted)
    if not fits:
        said = [str(known.get(part, part)) if isinstance(part, str) else str(part) for part in field.shape]
        raise ValueError(f"{name} is {dtype} {list(shape)} where [{', '.join(said)}] belongs")


def map_npy(path: Path | str, field: Field | None = None, lengths: Mapping[str, int] | None = None) -> np.ndarray:
    """An .npy in place, memory-mapped for reading; to be called inside `reading`."""
    with open_regular(path) as file:
        shape, _, dtype = _header(file)
        held, there = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
        if held != there:
            raise ValueError(f"its header announces {held} bytes, the file holds {there}")
        if field is not None:
            check_shape("it", shape, dtype, field, dict(lengths or {}))
    if held == 0:  # nothing can be mapped
        return np.zeros(shape, dtype)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_picture(path: Path | str, most_pixels: int, fix: str = AGAIN) -> np.ndarray:
    """uint8 [H, W, 3] of a png, jpeg or webp.

    Raises:
        DataError: missing, damaged, or of more pixels.
    """
    from PIL import Image

    with (
        reading(path, fix),
        open_regular(path) as file,
        Image.open(file, formats=("PNG", "JPEG", "WEBP")) as picture,
    ):
        if picture.width * picture.height > most_pixels:
            raise ValueError(f"{picture.width}x{picture.height} pixels are more than the {most_pixels} that are read")
        return np.asarray(picture.convert("RGB"))
