"""A sheet of actors: one bad clip stops nobody else, and one page tells how far each came."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow

from ua3dtalk.config import load_config
from ua3dtalk.provenance import States
from ua3dtalk.report.summary import write_summary

SHEET = "actor,path,clips,media.size\nanna,clips,a*.mp4,\nbert,clips,b.mp4,128\ncarl,clips,c.mp4,\n"


@pytest.fixture(scope="module")
def sheet(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    made = copy_workflow(root, tmp_path_factory.mktemp("sheet") / "copy", real=["summary"])
    (made.folder / "clips").mkdir()
    for name in ("a1", "a2", "b", "c"):
        (made.folder / "clips" / f"{name}.mp4").write_text(name)
    (made.folder / "actors.csv").write_text(SHEET)
    made.config = ["actors=actors.csv"]
    return made


def table(workflow: Workflow) -> dict[str, dict[str, str]]:
    with (workflow.folder / "results/summary.csv").open() as file:
        return {row["actor"]: row for row in csv.DictReader(file)}


def test_one_bad_clip_stops_nobody_else(sheet: Workflow) -> None:
    bad = sheet.folder / "fail_landmarks_bert"
    bad.touch()
    done = sheet.run()
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-2:]
    assert last == [
        "ua3dtalk: 1 of 3 actors failed, 2 of 3 actors done: results/summary.html",
        "ua3dtalk: bert: landmarks failed: no face in clip.mp4: use another clip",
    ]
    rows = table(sheet)
    assert {name: row["status"] for name, row in rows.items()} == {"anna": "done", "bert": "failed", "carl": "done"}
    assert (rows["bert"]["failed"], rows["bert"]["reason"]) == ("landmarks", "no face in clip.mp4: use another clip")
    assert rows["anna"]["reached"] == "metrics" and float(rows["anna"]["share"]) == 1
    assert rows["bert"]["reached"] == "speech" and 0 < float(rows["bert"]["share"]) < 0.5
    assert rows["anna"]["clips"] == "2"
    page = (sheet.folder / "results/summary.html").read_text()
    assert "landmarks failed: no face in clip.mp4: use another clip" in page

    bad.unlink()
    again = sheet.run()
    assert again.returncode == 0, again.stderr[-2000:]
    assert {row["status"] for row in table(sheet).values()} == {"done"}
    assert sheet.stale() == {}


def test_a_setting_of_one_actor_makes_only_that_actor_stale(sheet: Workflow) -> None:
    path = sheet.folder / "actors.csv"
    path.write_text(SHEET.replace("128", "160"))
    try:
        stale = sheet.stale()
        assert stale["decode"] == 1 and stale["metrics"] == 1
        assert stale["locate"] == 0, "the crop does not depend on the size"
    finally:
        path.write_text(SHEET)
    assert sheet.stale() == {}


def test_all_mistakes_of_a_sheet_are_told_before_the_first_job(sheet: Workflow) -> None:
    path = sheet.folder / "actors.csv"
    path.write_text(SHEET + "dora,clips,d.mp4,\n../e,clips,c.mp4,\n")
    try:
        done = sheet.run()
    finally:
        path.write_text(SHEET)
    assert done.returncode != 0
    head, *lines = done.stderr.strip().splitlines()[-3:]
    assert head == "ua3dtalk: config: 2 mistakes:"
    assert "line 5: dora: no file clips/d.mp4" in lines[0] and "found '../e' as a name" in lines[1]


def test_an_actor_of_older_settings_is_stale_and_a_new_one_unfinished(sheet: Workflow, root: Path) -> None:
    folder = sheet.folder
    actors = {
        "anna": {"clips": [f"{folder}/clips/a1.mp4"]},
        "nobody": {"clips": [f"{folder}/clips/c.mp4"]},
        "carl": {"clips": [f"{folder}/clips/c.mp4"]},
    }
    (folder / "results/anna/metrics.json").write_text('{"rows": []}')
    states = States(load_config({"actors": actors, "seed": 7}), root, folder / "workflow_scripts", folder)
    words = write_summary(states, folder / "results", "0" * 16)
    rows = table(sheet)
    assert {name: row["status"] for name, row in rows.items()} == {
        "anna": "stale",
        "nobody": "unfinished",
        "carl": "unfinished",
    }
    assert words == "2 of 3 actors unfinished, 1 of 3 actors stale"
    assert rows["nobody"]["reached"] == "" and float(rows["nobody"]["share"]) == 0


@pytest.mark.parametrize("target", ["results/../x/metrics.json", "results/anna/../../x/metrics.json", "results/.."])
def test_no_target_leads_out_of_the_results(sheet: Workflow, target: str) -> None:
    done = sheet.snakemake("--cores", "2", "--", target)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == (
        f"ua3dtalk: {target}: leads out of results/; name what you want without .."
    )
    assert not (sheet.folder / "x").exists()
