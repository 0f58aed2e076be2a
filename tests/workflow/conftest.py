"""One finished run of the copied workflow for all tests of a module."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow


@pytest.fixture(scope="module")
def workflow(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """Two actors, everything made: the built-in one, and one with two clips whose names are awkward."""
    made = copy_workflow(root, tmp_path_factory.mktemp("workflow") / "copy")
    clips = ["clips/a ü (1), b.mp4", "clips/c.mp4"]
    for clip in clips:
        path = made.folder / clip
        path.parent.mkdir(exist_ok=True)
        path.write_text(clip)
    made.config = [f"actors={{May: {{clips: builtin}}, anna: {{clips: ['{clips[0]}', '{clips[1]}']}}}}"]
    done = made.run()
    assert done.returncode == 0, done.stderr[-3000:]
    return made
