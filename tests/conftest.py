"""What several rooms' tests need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
