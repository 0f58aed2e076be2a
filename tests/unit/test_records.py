"""Records know a file again that another job wrote, whatever was done to it since."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ua3dtalk import records
from ua3dtalk.errors import DataError
from ua3dtalk.records import check_inputs, write_record

VIDEO = Path("results/May/video.npy")
RENDERS = Path("results/May/renders/test")
RECORD = Path("results/May/logs/decode.json")


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a folder that a job wrote."""
    monkeypatch.chdir(tmp_path)
    RENDERS.mkdir(parents=True)
    VIDEO.write_bytes(bytes(range(256)))
    for name in ("a.npy", "b.npy"):
        (RENDERS / name).write_bytes(name.encode())
    write_record(RECORD, {"rule": "decode"}, [VIDEO, RENDERS])


def change(path: Path, data: bytes) -> None:
    """Write without a trace in the times that programs may set."""
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_not_touched_passes() -> None:
    (RENDERS / ".snakemake_timestamp").touch()
    check_inputs([VIDEO, RENDERS, "a_clip_of_the_user.mp4"])
    assert json.loads(RECORD.read_text())["outputs"] == {str(VIDEO): 256, str(RENDERS): 10}


def test_a_part_of_a_folder_of_weights_is_compared_too() -> None:
    part = Path("results/.assets/whisper_base/model.bin")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"weights")
    write_record(Path("results/.assets/logs/whisper_base/model.bin.json"), {"rule": "fetch_asset"}, [part])
    check_inputs([part])
    change(part, b"Weights")
    with pytest.raises(DataError, match=r"whisper_base/model\.bin has another content since fetch_asset wrote it"):
        check_inputs([part])


@pytest.mark.parametrize("always", [0, 64 << 20])
def test_a_flipped_bit_is_found_in_small_and_in_large_files(monkeypatch: pytest.MonkeyPatch, always: int) -> None:
    monkeypatch.setattr(records, "READ_ALWAYS", always)
    check_inputs([VIDEO])
    data = bytearray(VIDEO.read_bytes())
    data[100] ^= 1
    change(VIDEO, bytes(data))
    with pytest.raises(DataError) as caught:
        check_inputs([VIDEO])
    assert str(caught.value) == (
        f"{VIDEO} has another content since decode wrote it: delete it and run again "
        f"(if it was changed on purpose, delete {RECORD} instead)"
    )
    RECORD.unlink()
    check_inputs([VIDEO])


def test_a_cut_file_is_found() -> None:
    change(VIDEO, bytes(128))
    with pytest.raises(DataError, match="has 128 bytes instead of 256 since decode wrote it"):
        check_inputs([VIDEO])


@pytest.mark.parametrize("damage", ["another", "gone", "renamed"])
def test_a_folder_is_known_by_names_and_content(damage: str) -> None:
    if damage == "another":
        change(RENDERS / "b.npy", b"c.npy")
    elif damage == "gone":
        (RENDERS / "b.npy").unlink()
    else:
        (RENDERS / "b.npy").rename(RENDERS / "c.npy")
    with pytest.raises(DataError, match=f"^{RENDERS} has "):
        check_inputs([RENDERS])


def test_a_large_file_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "READ_ALWAYS", 0)
    check_inputs([VIDEO])
    monkeypatch.setattr(records.hashlib, "file_digest", None)
    check_inputs([VIDEO])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sha256": 3}', '{"rule": "decode", "outputs": {}}'])
def test_a_broken_or_older_record_tells_nothing(text: str) -> None:
    RECORD.write_text(text)
    check_inputs([VIDEO])


def test_a_file_in_a_store_is_the_stores_to_look_after(tmp_path: Path) -> None:
    VIDEO.unlink()
    (tmp_path / "store.npy").write_bytes(b"another one")
    VIDEO.symlink_to(tmp_path / "store.npy")
    check_inputs([VIDEO])
