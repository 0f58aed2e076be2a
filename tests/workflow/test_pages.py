"""The pages are made when somebody asks for them, and again when what they show has changed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow

PAGES = ("results/May/report.html", "results/compare.html")


@pytest.fixture(scope="module")
def pages(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """Both pages, made by stubs."""
    made = copy_workflow(root, tmp_path_factory.mktemp("pages") / "copy")
    made.config = ["compare={methods: [baseline, ua3dtalk], seeds: [0]}"]
    done = made.snakemake("--cores", "2", "--", *PAGES)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def stale(workflow: Workflow, *targets: str, config: str = "") -> Counter[str]:
    """How many jobs of each rule making the targets would start."""
    done = workflow.snakemake("--dry-run", "--cores", "2", "--", *targets, config=config)
    assert done.returncode == 0, done.stderr + done.stdout
    table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)^total", done.stdout + done.stderr, re.M | re.S)
    rows = [line.split() for line in table.group(1).splitlines()] if table else []
    return Counter({name: int(count) for name, count in rows})


def test_one_command_makes_every_form_of_the_comparison(pages: Workflow) -> None:
    for suffix in ("json", "md", "csv", "tex", "html"):
        assert (pages.folder / f"results/compare.{suffix}").exists()
    assert len(list((pages.folder / "results/May/ablation").glob("*/0/metrics.json"))) == 2
    assert stale(pages, *PAGES) == {}


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("ua3dtalk/report/data/report.css", {"report": 1, "compare": 1}),
        ("ua3dtalk/report/bootstrap.py", {"compare": 1}),
        ("ua3dtalk/report/record.py", {"report": 1, "compare": 1}),
        ("ua3dtalk/metrics/opponents.py", {"metrics": 1, "ablation_metrics": 2, "report": 1, "compare": 1}),
    ],
)
def test_an_edit_makes_the_pages_again_that_show_it(pages: Workflow, file: str, jobs: dict[str, int]) -> None:
    path = pages.folder / file
    before = path.read_text()
    try:
        path.write_text(before + ("\n_EDITED = 1\n" if file.endswith(".py") else "\n/* edited */\n"))
        assert stale(pages, *PAGES) == jobs
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("setting", "jobs"),
    [
        ("compare={methods: [baseline, ua3dtalk], block_frames: 12}", {"compare": 1}),
        ("report={video_side: 256}", {"report": 1, "compare": 1}),
        ("ablation={seeds: [7]}", {}),
    ],
)
def test_a_setting_makes_the_pages_again_that_read_it(pages: Workflow, setting: str, jobs: dict[str, int]) -> None:
    assert stale(pages, *PAGES, config=setting) == jobs


def test_a_name_that_is_no_actor_is_one_line(pages: Workflow) -> None:
    done = pages.snakemake("--dry-run", "--", PAGES[1], config="compare={actors: [Mai]}")
    assert done.returncode != 0
    assert "ua3dtalk: config: compare.actors[0]: found 'Mai'; did you mean May?" in done.stderr
