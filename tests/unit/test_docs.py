"""What is written from the code is current, and links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest


def test_generated_pages_are_current(root: Path) -> None:
    pages = runpy.run_path(str(root / "docs" / "generate.py"))["PAGES"]
    for name, write in pages.items():
        assert (root / "docs" / name).read_text() == write(), f"run python docs/generate.py: {name} is not current"


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def test_links_inside_the_project_lead_somewhere(root: Path) -> None:
    for page in pages(root):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_address_of_the_machine_that_it_was_made_on(root: Path) -> None:
    for page in pages(root):
        assert not re.search(r"/(work|home|root)/", page.read_text()), page.name


@pytest.mark.parametrize("name", ["tutorial.md", "stages.md", "configuration.md", "troubleshooting.md", "licences.md"])
def test_readme_leads_to_every_page(root: Path, name: str) -> None:
    assert f"docs/{name}" in (root / "README.md").read_text()
