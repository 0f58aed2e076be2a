"""A copy of the workflow in a folder of its own: for tests, and for runs that are to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

# An editable install finds its own folder before any other; Python runs this file of the copy at its start.
SITE = """
import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
sys.path.insert(0, {folder!r})
"""

PARTS = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "profiles", "envs", "ua3dtalk", "native")


def copy_checkout(root: Path, folder: Path) -> None:
    """Copy what a run needs; with `folder` as PYTHONPATH every Python imports the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = root / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, folder / part)
    (folder / "sitecustomize.py").write_text(SITE.format(folder=str(folder)))
