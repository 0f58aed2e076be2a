"""One run of the built-in actor that all of these tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow


@pytest.fixture(scope="session")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The built-in actor from nothing to the last page, at the smallest budget; for reading only."""
    workflow = copy_workflow(root, tmp_path_factory.mktemp("e2e") / "straight", stub=False)
    workflow.config = ["budget=tiny", "training={checkpoint_seconds: 0.1}"]
    done = workflow.run()
    assert done.returncode == 0, done.stderr[-3000:]
    return workflow
