"""The bench as a fixture, and what makes its runs quick or its checkpoints frequent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_bench import Bench

from ua3dtalk.subject import Subject
from ua3dtalk.training import stages
from ua3dtalk.training.checkpoint import Checkpoint
from ua3dtalk.training.picture import Curve


@pytest.fixture
def bench(tiny_subject: Subject, tmp_path: Path) -> Bench:
    return Bench(tiny_subject, tmp_path)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve itself instead of a picture of it: drawing would take longer than training."""

    def write(*given: object) -> None:
        curve = next((item.to_list() for item in given if isinstance(item, Curve)), [])
        given[-1].write_text(json.dumps(curve))  # type: ignore[attr-defined]

    for name in ("listening_picture", "branch_picture", "fuse_picture"):
        monkeypatch.setattr(stages, name, write)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every seventh step instead of every few seconds."""
    calls = iter(range(10**6))
    monkeypatch.setattr(Checkpoint, "due", lambda self: next(calls) % 7 == 6)
