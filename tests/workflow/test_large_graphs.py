"""What is remembered while a large graph is built changes nothing about the graph."""

from __future__ import annotations

import re
from pathlib import Path

from workflow_copy import Workflow, copy_workflow

from ua3dtalk import large_graphs


def graph(workflow: Workflow) -> list[str]:
    """Jobs, their reasons and edges, as Snakemake prints them."""
    dag = workflow.snakemake("--dag", "--cores", "2")
    assert dag.returncode == 0, dag.stderr[-2000:]
    dry = workflow.snakemake("--dry-run", "--cores", "2")
    assert dry.returncode == 0, dry.stderr[-2000:]
    # In which order a reason names the files hangs on Python's hashes.
    lines = [line for line in dry.stdout.splitlines() if line.startswith(("rule ", "    ", "total "))]
    reasons = [" ".join(sorted(re.split(r"[,;\s]+", line.strip()))) for line in lines]
    edges = [line for line in dag.stdout.splitlines() if "->" in line or "label" in line]
    return [*sorted(reasons), str(len(edges)), *sorted(line.split("label")[-1] for line in edges if "label" in line)]


def test_the_graph_is_the_same_without_it(root: Path, tmp_path: Path) -> None:
    workflow = copy_workflow(root, tmp_path / "copy")
    (workflow.folder / "a.mp4").write_text("a")
    workflow.config = ["actors={May: {clips: builtin}, anna: {clips: [a.mp4]}, bert: {clips: [a.mp4]}}"]
    remembered = graph(workflow)
    assert sum("regions" in line for line in remembered) >= 3
    snakefile = workflow.folder / "Snakefile"
    text = snakefile.read_text()
    assert "    large_graphs.prepare()\n" in text
    snakefile.write_text(text.replace("    large_graphs.prepare()\n", "    pass\n"))
    assert graph(workflow) == remembered


def test_this_snakemake_is_helped() -> None:
    assert large_graphs.prepare() == ["file2jobs", "process_job", "parse_uri"]
    assert large_graphs.prepare() == ["file2jobs", "process_job", "parse_uri"], "once is enough"
