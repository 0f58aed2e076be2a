"""What several rooms' tests need."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ua3dtalk.subject import Subject

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def clips() -> Path:
    """Folder of real clips for development; tests that need them skip where it is missing."""
    folder = Path(os.environ.get("UA3DTALK_CLIPS", ROOT.parent / "shared" / "data"))
    if not (folder / "video").is_dir():
        pytest.skip("the real clips are not here: name their folder in UA3DTALK_CLIPS")
    return folder


@pytest.fixture(scope="session")
def tiny_subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A drawn talking head, 64 px and 60 frames (`tests/tiny_subject.py`); for reading only."""
    from tiny_subject import write_tiny_subject

    return write_tiny_subject(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Path]:
    """A real SLURM of one node on this machine, found by its programs; the folder of its state."""
    from slurm_node import Unavailable, one_node

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="slurm_") as folder:
        node = one_node(Path(folder) / "node", cpus=4)
        try:
            environment = node.__enter__()
        except Unavailable as error:
            pytest.skip(str(error))
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            yield Path(folder) / "node"
        finally:
            node.__exit__(None, None, None)
