"""A state changes when the result may change, and only then."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from ua3dtalk import provenance
from ua3dtalk.config import load_config
from ua3dtalk.provenance import STAGES, FileDigests, States, digest, normalised, settings_of


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package: a imports b inside a function, b imports c relatively, d stands alone."""
    files = {
        "__init__": "",
        "config": "X = 1",
        "room/__init__": "",
        "room/a": "from ua3dtalk.config import X\ndef f():\n    from ua3dtalk.room import b\n    return b.g()\n",
        "room/b": "from . import c\nfrom .c import h\ndef g():\n    return h()\n",
        "room/c": "def h():\n    return 1\n",
        "room/d": "import importlib\nM = importlib.import_module('ua3dtalk.room.c')\n",
        "native/__init__": "",
        "room/e": "import ua3dtalk.native\n",
    }
    for name, text in files.items():
        path = tmp_path / "ua3dtalk" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "x.cpp").write_text("int x;")
    return tmp_path


def code_digest(root: Path, module: str) -> str:
    provenance._read_module.cache_clear()
    provenance.code_digest.cache_clear()
    return provenance.code_digest(root, f"ua3dtalk.room.{module}")


def test_the_closure_follows_every_kind_of_import_and_stops_at_the_house(package: Path) -> None:
    names = {name.removeprefix("ua3dtalk.room.") for name in provenance.closure(package, "ua3dtalk.room.a")}
    assert names == {"ua3dtalk", "ua3dtalk.room", "a", "b", "c"}
    assert "ua3dtalk.room.c" in provenance.closure(package, "ua3dtalk.room.d")


@pytest.mark.parametrize(
    ("edited", "change", "stale"),
    [
        ("ua3dtalk/room/c.py", "def h():\n    return 2\n", "abcd"),
        ("ua3dtalk/room/b.py", "from .c import h\ndef g():\n    return h() + 1\n", "ab"),
        ("ua3dtalk/room/c.py", '"""New."""\n\n\ndef h():\n    """Say one."""\n    return (1)  # one\n', ""),
        ("ua3dtalk/config.py", "X = 2", ""),
        ("native/x.cpp", "long x;", "e"),
        ("ua3dtalk/room/data/table.txt", "1", "abcde"),
        ("ua3dtalk/__init__.py", "import os", "abcde"),
    ],
)
def test_what_an_edit_makes_stale(package: Path, edited: str, change: str, stale: str) -> None:
    before = {name: code_digest(package, name) for name in "abcde"}
    (package / edited).parent.mkdir(exist_ok=True)
    (package / edited).write_text(change)
    changed = [name for name in "abcde" if code_digest(package, name) != before[name]]
    assert "".join(changed) == stale


def test_a_changed_constant_is_a_change_and_a_changed_layout_is_none() -> None:
    def of(text: str) -> str:
        return normalised(ast.parse(text))

    assert of("x = 1") != of("x = 1.0") != of("x = '1'") != of("x = True")
    assert of("f(a, b)") != of("f(b, a)")
    assert of("def f():\n  'doc'\n  return 1") == of("def f():\n\n    return 1  # said")
    assert of("x = 'not a docstring'") != of("x = 'changed'")
    assert of("if a:\n  b\nc") != of("if a:\n  b\n  c")


def test_settings_without_those_that_change_no_result() -> None:
    class Inner(BaseModel):
        threads: int = 2
        rate: float = 0.1

    class Outer(BaseModel):
        device: str = "cpu"
        parts: tuple[Inner, ...] = (Inner(),)

    assert settings_of(Outer()) == {"parts": [{"rate": 0.1}]}


def test_order_of_keys_does_not_matter() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


def states(root: Path, folder: Path, **changes: object) -> dict[str, str]:
    raw = {"actors": {"May": {"clips": "builtin"}}, "budget": "tiny", **changes}
    computed = States(load_config(raw), root, root / "workflow_scripts", folder)
    return {stage: computed.of(stage, "May") for stage in STAGES}


def test_every_stage_has_a_state_and_each_its_own(root: Path, tmp_path: Path) -> None:
    found = states(root, tmp_path)
    assert len(set(found.values())) == len(STAGES)
    assert all(len(state) == 16 and int(state, 16) >= 0 for state in found.values())


def test_device_and_threads_stay_out(root: Path, tmp_path: Path) -> None:
    other = states(root, tmp_path, backends={"device": "cuda", "rasteriser": "gsplat"})
    assert other == states(root, tmp_path)


def test_a_file_is_known_by_content(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"one")
    memory = tmp_path / "results" / ".digests.json"
    first = FileDigests(memory).of(clip)
    os.utime(clip, (1, 1))
    assert FileDigests(memory).of(clip) == first
    clip.write_bytes(b"two")
    os.utime(clip, (1, 1))
    assert FileDigests(memory).of(clip) != first
    assert FileDigests(memory).of(tmp_path / "missing") == ""


def test_a_damaged_memory_of_digests_is_forgotten(tmp_path: Path) -> None:
    memory = tmp_path / "digests.json"
    memory.write_text("{")
    (tmp_path / "a").write_text("a")
    assert len(FileDigests(memory).of(tmp_path / "a")) == 64
