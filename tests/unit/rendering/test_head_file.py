"""A head in its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_training import tiny_head

from ua3dtalk.errors import DataError
from ua3dtalk.rendering.head import Head, load_branch, load_head, save_branch, save_head
from ua3dtalk.subject import Subject


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "head.safetensors"


def same(a: Head, b: Head) -> None:
    for one, other in ((a.face, b.face), (a.mouth, b.mouth)):
        assert one.net.field.shape == other.net.field.shape
        assert (one.net.token_width, one.net.free_code) == (other.net.token_width, other.net.free_code)
        for key, value in one.cloud.tensors().items():
            assert torch.equal(value, other.cloud.tensors()[key]), key
        for key, value in one.net.state_dict().items():
            assert torch.equal(value, other.net.state_dict()[key]), key
    for key, value in a.reader.state_dict().items():
        assert torch.equal(value, b.reader.state_dict()[key]), key
    assert a.sh_degree == b.sh_degree


def test_the_same_head_is_the_same_bytes(tiny_subject: Subject, path: Path) -> None:
    head, contents = tiny_head(tiny_subject), set()
    for _ in range(8):
        save_head(head, path, "abc")
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("free_code", [0, 4])
def test_file_keeps_the_whole_head(tiny_subject: Subject, path: Path, free_code: int) -> None:
    head = tiny_head(tiny_subject, free_code=free_code)
    save_head(head, path, "abc")
    same(load_head(path), head)
    with safe_open(path, "pt") as file:
        assert file.metadata()["state"] == "abc"


def test_file_keeps_one_branch(tiny_subject: Subject, path: Path) -> None:
    head = tiny_head(tiny_subject)
    save_branch(head.mouth, path, "abc")
    same(Head(head.face, load_branch(path), head.reader, 1), head)


def test_loaded_head_trains_nothing_on_its_device(tiny_subject: Subject) -> None:
    head = tiny_head(tiny_subject).to(torch.device("cpu"))
    for branch in (head.face, head.mouth):
        assert not any(value.requires_grad for value in branch.net.parameters())
        assert not any(value.requires_grad for value in branch.cloud.tensors().values())


def damaged(kind: str, subject: Subject, path: Path) -> None:
    """Write something else where a head should be."""
    head = tiny_head(subject)
    if kind == "branch":
        save_branch(head.face, path, "abc")
    elif kind == "foreign":
        save_file({"x": torch.zeros(2)}, path, metadata={"facts": json.dumps([1, 2])})
    elif kind == "bare":
        save_file({"x": torch.zeros(2)}, path)
    elif kind == "text":
        path.write_text("this is no model\n" * 20)
    elif kind == "truncated":
        save_head(head, path, "abc")
        path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("kind", ["text", "truncated", "branch", "foreign", "bare", "missing"])
def test_anything_else_is_one_line(tiny_subject: Subject, path: Path, kind: str) -> None:
    damaged(kind, tiny_subject, path)
    with pytest.raises(DataError, match=r"head\.safetensors cannot be read") as caught:
        load_head(path)
    assert "\n" not in str(caught.value)


def test_a_head_is_no_branch(tiny_subject: Subject, path: Path) -> None:
    save_head(tiny_head(tiny_subject), path, "abc")
    with pytest.raises(DataError, match="cannot be read"):
        load_branch(path)
