"""A state changes when the result may change, and only then."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ua3dtalk import code_digest as code
from ua3dtalk import config, provenance
from ua3dtalk.code_digest import digest, normalised
from ua3dtalk.config import load_config
from ua3dtalk.errors import ConfigError
from ua3dtalk.provenance import STAGES, Stage, States, settings_of
from ua3dtalk.records import FileDigests
from ua3dtalk.settings import Settings


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
    code.read_module.cache_clear()
    code.code_digest.cache_clear()
    return code.code_digest(root, f"ua3dtalk.room.{module}")


def test_the_closure_follows_every_kind_of_import_and_stops_at_the_house(package: Path) -> None:
    names = {name.removeprefix("ua3dtalk.room.") for name in code.closure(package, "ua3dtalk.room.a")}
    assert names == {"ua3dtalk", "ua3dtalk.room", "a", "b", "c"}
    assert "ua3dtalk.room.c" in code.closure(package, "ua3dtalk.room.d")


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


class Pooled(Settings):
    pool: tuple[str, ...] = ()


@pytest.fixture
def pooled_state(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """State of a stage that reads the speech of one's own and of pooled clips; each clip holds its own name."""
    learn = Stage("ua3dtalk.speech.features", ("decode", "speech"), pool=True)
    monkeypatch.setattr(provenance, "STAGES", {**STAGES, "learn": learn})
    monkeypatch.setitem(config.SECTION_OF_STAGE, "learn", "learn")
    models = {**config.section_models(), "learn": Pooled}
    monkeypatch.setattr(config, "section_models", lambda: models)
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_text(name)

    def state(*pool: str, actor: str = "a", **changes: object) -> str:
        actors = {name: {"clips": [f"{name}.mp4"]} for name in "abc"} | {"May": {"clips": "builtin"}}
        raw = {"actors": actors, "learn": {"pool": list(pool)}, **changes}
        return States(load_config(raw), root, root / "workflow_scripts", tmp_path).of("learn", actor)

    return state


def test_a_stage_depends_on_the_actors_that_it_pools(pooled_state: Callable[..., str], tmp_path: Path) -> None:
    alone, both = pooled_state(), pooled_state("b")
    assert alone != both != pooled_state("c")
    assert both == pooled_state("a", "b"), "an actor learns from itself in any case"
    assert alone == pooled_state("a")
    assert pooled_state("b", "c") != pooled_state("c", "b"), "the order of the examples is the pool's"
    assert pooled_state("b", actor="b") == pooled_state(actor="b")
    (tmp_path / "b.mp4").write_text("another clip")
    assert pooled_state() == alone
    assert pooled_state("b") != both


def test_a_pooled_builtin_actor_brings_its_own_stage(pooled_state: Callable[..., str]) -> None:
    assert pooled_state("May") != pooled_state("May", demo={"seconds": 12})
    assert pooled_state("b") == pooled_state("b", demo={"seconds": 12})


def test_an_actor_that_the_config_lacks_cannot_be_pooled(pooled_state: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match=r"^learn.pool\[1\]: found 'Mai'; did you mean May\?$"):
        pooled_state("b", "Mai")


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


def test_a_shared_stage_depends_on_the_actors_that_it_learns_from(root: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_text(name)

    def state(stage: str = "train_sync", actor: str = "a", a: object = "a.mp4", **changes: object) -> str:
        actors = {"May": {"clips": "builtin"}, "a": {"clips": [a]}, "b": {"clips": ["b.mp4"]}}
        return States(load_config({"actors": actors, **changes}), root, root / "workflow_scripts", tmp_path).of(
            stage, actor
        )

    alone, with_a = state(), state(sync={"train_on": ["a"]})
    moved = {"path": "a.mp4", "audio_offset": 0.2}
    assert alone == state(actor="b") == state(a=moved) == state(seed=7), "made once, from the built-in actor"
    assert alone != state(demo={"seconds": 12})
    assert with_a != alone and with_a != state(a=moved, sync={"train_on": ["a"]})
    assert state("audio_offset", "b") != state("audio_offset", "b", sync={"train_on": ["a"]}), "the net is another"
    assert state("sound", "b") == state("sound", "b", sync={"train_on": ["a"]}), "but the sound is taken as it is"
    fixed = state("sound", "b", media={"fix_audio_offset": True})
    assert fixed != state("sound", "b", media={"fix_audio_offset": True}, sync={"train_on": ["a"]}), "unless it moves"
    assert state("decode") == state("decode", media={"fix_audio_offset": True}) == state("decode", a=moved)
    assert state("sound") != state("sound", a=moved)


def test_nothing_depends_on_lip_sync_that_cannot_be_learned(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("a")
    config_of = load_config({"actors": {"a": {"clips": ["a.mp4"]}}})
    before = States(config_of, root, root / "workflow_scripts", tmp_path).ingredients("metrics", "a")["before"]
    assert not {"train_sync", "audio_offset"} & set(before) and "sound" in before
