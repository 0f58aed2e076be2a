"""Checkpoints: bound to a state, whole or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
import torch

from ua3dtalk.errors import DataError
from ua3dtalk.training.checkpoint import Checkpoint

CONTENT = {
    "iteration": 7,
    "cloud": {"means": torch.arange(6.0).view(2, 3)},
    "curve": [[[1.0, 2.0]], [0.5]],
    "poses": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "face.ckpt"


def test_gives_back_what_was_saved(path: Path) -> None:
    Checkpoint(path, "abc", 0).save(CONTENT)
    loaded = Checkpoint(path, "abc", 0).load()
    assert loaded is not None
    assert torch.equal(loaded["cloud"]["means"], CONTENT["cloud"]["means"])  # type: ignore[index]
    assert loaded["iteration"] == 7 and loaded["curve"] == CONTENT["curve"] and loaded["poses"] is None


def test_another_state_is_ignored(path: Path) -> None:
    Checkpoint(path, "abc", 0).save(CONTENT)
    assert Checkpoint(path, "abd", 0).load() is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty", "another dict"])
def test_a_broken_file_is_ignored_with_a_line(path: Path, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    Checkpoint(path, "abc", 0).save(CONTENT)
    whole = path.read_bytes()
    if damage == "another dict":
        torch.save({"weights": torch.zeros(2)}, path)
    else:
        flipped = whole.replace(torch.arange(6.0).numpy().tobytes(), torch.arange(6.0).flip(0).numpy().tobytes())
        damaged = {"truncated": whole[: len(whole) // 2], "flipped": flipped, "text": b"hello\n", "empty": b""}[damage]
        assert damaged != whole
        path.write_bytes(damaged)
    assert Checkpoint(path, "abc", 0).load() is None
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and str(path) in lines[0] and "starting anew" in lines[0]


def test_code_in_a_checkpoint_is_not_run(path: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    path.parent.mkdir()
    buffer = io.BytesIO()
    torch.save({"state": "abc", "content": Trap()}, buffer)
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    assert Checkpoint(path, "abc", 0).load() is None
    assert not (tmp_path / "sprung").exists()


def test_a_save_that_fails_leaves_the_last_one(path: Path) -> None:
    checkpoint = Checkpoint(path, "abc", 0)
    checkpoint.save(CONTENT)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        checkpoint.save({"iteration": 8, "bad": lambda: 0})
    loaded = checkpoint.load()
    assert loaded is not None and loaded["iteration"] == 7
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_in_place_of_a_broken_one_the_one_before_is_taken(path: Path) -> None:
    checkpoint = Checkpoint(path, "abc", 0)
    for iteration in (7, 8, 9):
        checkpoint.save(CONTENT | {"iteration": iteration})
    path.write_bytes(path.read_bytes()[:-1])
    loaded = checkpoint.load()
    assert loaded is not None and loaded["iteration"] == 8
    path.unlink()
    again = checkpoint.load()
    assert again is not None and again["iteration"] == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_saved(path: Path, value: float) -> None:
    checkpoint = Checkpoint(path, "abc", 0)
    checkpoint.save(CONTENT)
    with pytest.raises(DataError, match=r"training broke at iteration 8 .*run again to go on from the last checkpoint"):
        checkpoint.save({"iteration": 8, "optimiser": {"state": [{"step": torch.tensor([1.0, value])}]}})
    loaded = checkpoint.load()
    assert loaded is not None and loaded["iteration"] == 7


def test_due_by_the_clock(path: Path) -> None:
    assert Checkpoint(path, "abc", 0).due()
    assert not Checkpoint(path, "abc", 1e6).due()


def test_without_a_path_nothing_is_kept() -> None:
    checkpoint = Checkpoint(None, "abc", 0)
    assert checkpoint.load() is None and not checkpoint.due()
