"""Files that were made to harm whoever opens them end in one line, soon, and run nothing."""

from __future__ import annotations

import ast
import io
import json
import os
import resource
import socket
import struct
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ua3dtalk.errors import DataError, InputError, UserError
from ua3dtalk.reading import (
    Field,
    floats,
    is_name,
    limited_memory,
    map_npy,
    read_json,
    read_npz,
    read_picture,
    read_yaml,
    reading,
)


def npy_announcing(shape: str, kind: str = "<f4", data: bytes = b"1234") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def write_npz(path: Path, packed: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def one_line(kind: type[UserError], call: Callable[[], object], match: str) -> None:
    with pytest.raises(kind, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    a, names = np.arange(12, dtype=np.float32).reshape(3, 4), np.array(["x", "yy"])
    np.savez_compressed(tmp_path / "a.npz", a=a, f=np.asfortranarray(a), names=names, more=np.zeros(9))
    fields = {"a": floats("T", "D"), "f": floats("T", "D"), "names": Field((2,), "U"), "b": floats(needed=False)}
    found = read_npz(tmp_path / "a.npz", fields, {"T": 3})
    assert set(found) == {"a", "f", "names"}
    for name, wanted in (("a", a), ("f", a), ("names", names)):
        assert found[name].dtype == wanted.dtype and np.array_equal(found[name], wanted)
    found["a"][0] = 1  # may be written to, as numpy's own


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy_announcing("(1000000000000,)"), "announces 4000000000000 bytes and holds 4"),
        (npy_announcing("(9999999999999999999999,)"), "announces"),
        (npy_announcing("(1,)", "|O"), "objects"),
        (npy_announcing("(1,)", ">f4"), "not read"),
        (npy_announcing("(1,)", "<i4"), r"a is int32 \[1\] where"),
        (npy_announcing("(1, 1)"), "where"),
        (npy_announcing("(1,)", "<f4", struct.pack("<f", np.nan)), "not finite"),
        (npy_announcing("(" * 100 + "1" + ")" * 100), "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_members_that_lie_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_npz(tmp_path / "a.npz", a=content)
    one_line(DataError, lambda: read_npz(path, {"a": floats("T")}, {"T": 1}), message)


def test_a_zip_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A member of 1.2 GB that packs to a megabyte."""
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(npy_announcing("(300000000,)", data=b""))
        for _ in range(1200):
            member.write(bytes(1_000_000))
    assert path.stat().st_size < 10e6
    tracemalloc.start()
    one_line(DataError, lambda: read_npz(path, {"a": floats("T")}, {}), "far more memory than the file has bytes")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_objects_of_a_bundle_are_not_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    objects = np.empty(1, object)
    objects[0] = Trap(trap)
    np.savez(tmp_path / "a.npz", a=objects)
    np.save(tmp_path / "a.npy", objects)
    one_line(DataError, lambda: read_npz(tmp_path / "a.npz", {"a": floats("T")}, {}), "objects")
    with pytest.raises(DataError), reading(tmp_path / "a.npy"):
        map_npy(tmp_path / "a.npy")
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert trap.exists(), "the trap would have worked"


def test_mapped_arrays_hold_what_they_announce(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6, dtype=np.uint8).reshape(2, 3))
    found = map_npy(path, Field(("T", 3), "u"), {"T": 2})
    assert isinstance(found, np.memmap) and found[1, 2] == 5
    for content, message in (
        (path.read_bytes()[:-1], "announces 6 bytes, the file holds 5"),
        (b"\x93NUMPY", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message), reading(path):
            map_npy(path)
    path.write_bytes(npy_announcing("(10**30,)"))
    with pytest.raises(DataError), reading(path):
        map_npy(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{", "[]", "\udcff", '{"a": ' + "9" * 5000 + "}"])
def test_damaged_json_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    one_line(
        DataError, lambda: read_json(tmp_path / "a.json"), r"a\.json cannot be read \(.*\): delete it and run again"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: [*a, *a]", "write them out"),
        ("- " * 3000, "without end"),
        ("a: 2001-99-99", "cannot be read"),
        ("a: " + "9" * 5000, "cannot be read"),
        ("a: [", "cannot be read"),
        ("#" * 200_000, "more than the"),
    ],
)
def test_yaml_that_stands_for_more_than_it_says_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    one_line(InputError, lambda: read_yaml(tmp_path / "a.yaml", "correct it", InputError, "a list"), message)


def test_tags_of_yaml_run_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "a.yaml").write_text(f"!!python/object/apply:os.mkdir ['{trap}']")
    one_line(InputError, lambda: read_yaml(tmp_path / "a.yaml", "correct it", InputError, "a list"), "cannot be read")
    assert not trap.exists()
    yaml.unsafe_load((tmp_path / "a.yaml").read_text())
    assert trap.exists(), "the trap would have worked"


def test_official_weights_run_nothing(tmp_path: Path) -> None:
    import pickle

    import torch

    from ua3dtalk.array_pickle import read_numpy_pickle
    from ua3dtalk.official_weights import read_official
    from ua3dtalk.perceptual import load_weights
    from ua3dtalk.training.checkpoint import Checkpoint

    trap, path = tmp_path / "trap", tmp_path / "a.pth"
    for new in (True, False):
        torch.save({"state": "0", "a": Trap(trap)}, path, _use_new_zipfile_serialization=new)
        one_line(UserError, lambda: read_official(path, "from here"), "more than tensors|cannot be read")
        one_line(UserError, lambda: load_weights(path), "cannot be read as weights")
        assert Checkpoint(path, "0", 1.0).load() is None
    path.write_bytes(pickle.dumps(Trap(trap)))
    one_line(UserError, lambda: read_numpy_pickle(path), "do not use it")
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists(), "the trap would have worked"


def test_a_head_is_not_larger_than_its_file(tmp_path: Path) -> None:
    """Facts that ask for planes of a terabyte, and a reader that listens for ever."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    from tiny_subject import write_tiny_subject
    from tiny_training import tiny_head

    from ua3dtalk.rendering.head import load_head, save_head

    path = tmp_path / "head.safetensors"
    save_head(tiny_head(write_tiny_subject(tmp_path / "actor", frames=12, size=16)), path, "0")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["facts"])

    def saved(**changed: Any) -> Path:
        save_file({**tensors, **changed}, path, {"facts": json.dumps(facts)})
        return path

    load_head(saved())
    one_line(DataError, lambda: load_head(saved(**{"reader.radius": torch.tensor(10**9)})), "listens")
    one_line(DataError, lambda: load_head(saved(**{"face.cloud.quats": torch.zeros(2, 4)})), "quats")
    one_line(DataError, lambda: load_head(saved(**{"face.cloud.means": torch.full((400, 3), torch.nan)})), "not finite")
    facts["face"]["shape"]["plane_sides"] = [500_000, 8]
    one_line(DataError, lambda: load_head(saved()), "planes")
    facts["face"]["shape"]["plane_sides"], facts["face"]["token_width"] = [5, 8], 10**12
    facts["face"]["free_code"] = 10**9
    one_line(DataError, lambda: load_head(saved()), "cannot be read")


def test_times_of_curves_do_not_stand_for_any_number_of_frames(tmp_path: Path) -> None:
    from ua3dtalk.rendering.curves import read_curves

    names = "time,jawOpen,mouthClose,mouthFunnel,mouthPucker,eyeBlinkLeft"
    (tmp_path / "a.csv").write_text(f"{names}\n0,0,0,0,0,0\n1e12,0,0,0,0,0\n")
    one_line(InputError, lambda: read_curves(tmp_path / "a.csv"), "spans 1e\\+12 s")


def test_a_picture_has_limits(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("1", (6000, 6000)).save(tmp_path / "a.png")
    one_line(DataError, lambda: read_picture(tmp_path / "a.png", 4096 * 4096), "6000x6000 pixels are more")
    (tmp_path / "b.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    )  # would be given to Ghostscript
    one_line(DataError, lambda: read_picture(tmp_path / "b.png", 100), "cannot be read")


def test_names_inside_files_stay_below_their_folder() -> None:
    assert is_name("test/ours.npy") and is_name("a..b")
    assert not any(is_name(name) for name in ("../a", "a/../../b", "/etc/passwd", "a\0", 3, None))


def special_files(folder: Path) -> list[Path]:
    """A pipe, a device, a socket, links that lead to each other, a folder, and names that are no files."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    (folder / "one").symlink_to(folder / "two")
    (folder / "two").symlink_to(folder / "one")
    names = ("http://localhost/a.mp4", "file:/etc/passwd", "concat:a|b", "pipe:0", "-i", "a\0b", "x" * 5000, "")
    here = [folder / name for name in ("pipe", "socket", "one")]
    return [*here, Path("/dev/zero"), Path("/dev/stdin"), folder, *map(Path, names)]


def test_what_is_no_regular_file_is_one_line_at_once(tmp_path: Path) -> None:
    from ua3dtalk.media.probe import probe
    from ua3dtalk.media.samples import store_sound

    def ask() -> None:
        for path in special_files(tmp_path):
            for call in (probe, lambda each: store_sound(each, tmp_path / "out.wav"), read_json):
                with pytest.raises(UserError) as caught:
                    call(path)  # type: ignore[operator]
                assert "\n" not in str(caught.value)
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(60)
    assert done, "a file was waited on, or an answer was none of ours"


def alias_of(target: Path) -> bytes:
    """QuickTime's record of a file that lies elsewhere, the body of a data reference `alis`."""
    name, path = target.name.encode(), str(target).encode()
    path += b"\0" * (len(path) % 2)
    body = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    body += bytes([min(len(name), 63)]) + name[:63].ljust(63, b"\0") + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    return bytes(4) + body + struct.pack(">HH", 2, len(path)) + path + struct.pack(">Hh", 0xFFFF, 0)


def with_alias(film: bytes, target: Path) -> bytes:
    """A film of QuickTime whose first track's samples lie in another file; its index comes last."""
    content = bytearray(film)
    place = content.index(b"url ", content.index(b"dref")) - 4
    old = int.from_bytes(content[place : place + 4], "big")
    entry = b"alis" + alias_of(target)
    content[place : place + old] = struct.pack(">I", len(entry) + 4) + entry
    grown = len(entry) + 4 - old
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        start = content.rindex(box, 0, place) - 4
        content[start : start + 4] = struct.pack(">I", int.from_bytes(content[start : start + 4], "big") + grown)
    return bytes(content)


def test_files_that_name_other_files_lead_nowhere(tmp_path: Path) -> None:
    """What they name is a pipe: whoever opened it would wait for ever."""
    from fuzzing.seeds import films

    from ua3dtalk.media.frames import frames_at
    from ua3dtalk.media.probe import probe
    from ua3dtalk.media.samples import store_sound

    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    mov = next(film for film in films("mp4") if film[8:10] == b"qt")
    hostile = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{pipe}\n#EXT-X-ENDLIST\n".encode(),
        "relative.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\npipe.ts\n#EXT-X-ENDLIST\n",
        "list.txt": f"ffconcat version 1.0\nfile {pipe}\nfile 'http://127.0.0.1:1/a.ts'\n".encode(),
        "a.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        b"a=rtpmap:96 H264/90000\n",
        "a.mpd": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{pipe}</BaseURL></MPD>'.encode(),
        "a.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{pipe}"/></svg>'.encode(),
        "a.mov": with_alias(mov, pipe),
    }
    assert b"alis" in hostile["a.mov"] and probe_works(tmp_path, mov)
    answers: dict[str, str] = {}

    def ask() -> None:
        for name, content in hostile.items():
            (tmp_path / name).write_bytes(content)
            try:
                probe(tmp_path / name, need_audio=False)
                answers[name] = f"{sum(1 for _ in frames_at(tmp_path / name))} frames"
            except InputError as error:
                answers[name] = str(error)
            try:
                store_sound(tmp_path / name, tmp_path / "out.wav")
            except InputError:
                pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(60)
    assert set(answers) == set(hostile), f"a file was waited on after {answers}"
    for name, answer in answers.items():
        if name != "a.mov":  # its own pictures may be shown
            assert "is not a video or sound file" in answer, (name, answer)


def probe_works(folder: Path, film: bytes) -> bool:
    from ua3dtalk.media.probe import probe

    (folder / "good.mov").write_bytes(film)
    return probe(folder / "good.mov", need_audio=False).duration > 1


def test_a_large_file_is_refused_by_its_size(tmp_path: Path) -> None:
    from ua3dtalk.media.probe import probe
    from ua3dtalk.settings import MediaSettings

    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(2_000_000)
    one_line(
        InputError, lambda: probe(tmp_path / "a.mp4", MediaSettings(max_bytes=1_000_000)), "media.max_bytes 1000000"
    )


def test_sound_of_absurd_rates_and_channels_is_one_line(tmp_path: Path) -> None:
    import soundfile

    from ua3dtalk.media.samples import store_sound

    for rate, channels in ((5, 1), (16_000, 100)):
        memory = io.BytesIO()
        soundfile.write(memory, np.zeros((400, channels), np.float32), rate, format="WAV")
        (tmp_path / "a.wav").write_bytes(memory.getvalue())
        one_line(
            InputError, lambda: store_sound(tmp_path / "a.wav", tmp_path / "out.wav"), "channels of sound|cannot be"
        )


def test_messages_move_no_cursor() -> None:
    assert str(InputError("no file \x1b[2J\x07a\u202e")) == r"no file \x1b[2J\x07a\u202e"
    assert len(str(InputError("x" * 10_000))) < 1300


FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "dill.load",
    "joblib.load",
    "shelve.open",
    "torch.jit.load",
    "np.loadtxt",
    "subprocess.getoutput",
}


def test_no_module_can_run_what_a_file_holds(root: Path) -> None:
    found = []
    for path in [*(root / "ua3dtalk").rglob("*.py"), *(root / "workflow_scripts").glob("*.py")]:
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            bad = name in FORBIDDEN or given.get("shell") == "True" or given.get("allow_pickle") == "True"
            bad |= name == "torch.load" and given.get("weights_only") != "True"
            if bad:
                found.append(f"{path.relative_to(root)}:{call.lineno}: {name}")
    assert found == []


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory of a process can be limited on Linux alone")
def test_memory_is_limited_while_a_foreign_parser_works() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(ValueError, match="more than 256 MB"), limited_memory(256 << 20):
        bytearray(1 << 30)
    with limited_memory(256 << 20):
        assert len(bytearray(64 << 20)) == 64 << 20
    with pytest.raises(RuntimeError, match="another"), limited_memory(256 << 20):
        raise RuntimeError("another error")
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(300 << 20)) == 300 << 20
