"""Foreign voices: made where the config names them, each redone when its own sound or what it is made of changes."""

from __future__ import annotations

import os

import pytest
from workflow_copy import Workflow

CROSS = "cross={voices: {jfk: clips/jfk.wav, radio: clips/radio.wav}}"


@pytest.fixture(scope="module")
def said(workflow: Workflow) -> Workflow:
    """The finished run with two voices said by both actors."""
    for name in ("jfk", "radio"):
        (workflow.folder / f"clips/{name}.wav").write_text(name)
    made = Workflow(workflow.folder, [*workflow.config, CROSS])
    assert made.stale() == {"cross_drive": 4, "cross_metrics": 4}, "and nothing of the actors themselves"
    done = made.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert (made.folder / "results/anna/cross/jfk/cross.json").is_file()
    return made


def test_nothing_is_stale_after_a_run(said: Workflow) -> None:
    assert said.stale() == {}


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("ua3dtalk/metrics/cross.py", {"cross_metrics": 4}),
        ("ua3dtalk/rendering/cross.py", {"cross_drive": 4, "cross_metrics": 4}),
        ("ua3dtalk/rendering/rest.py", {"cross_drive": 4, "cross_metrics": 4}),
    ],
)
def test_an_edit_of_code(said: Workflow, file: str, jobs: dict[str, int]) -> None:
    path = said.folder / file
    before = path.read_text()
    try:
        path.write_text(before + "\n_EDITED = 1\n")
        assert said.stale() == jobs
    finally:
        path.write_text(before)
    assert said.stale() == {}


def test_another_sound_behind_the_same_name(said: Workflow) -> None:
    path = said.folder / "clips/jfk.wav"
    path.write_text("another")
    os.utime(path, (1, 1))
    try:
        assert said.stale() == {"cross_drive": 2, "cross_metrics": 2}
    finally:
        path.write_text("jfk")


def test_one_more_voice_is_one_more_job(said: Workflow) -> None:
    more = Workflow(said.folder, [*said.config[:-1], CROSS.replace("}}", ", anna: clips/jfk.wav}}")])
    assert more.stale() == {"cross_drive": 2, "cross_metrics": 2}


def test_a_film_is_a_target_and_how_it_is_said_makes_only_that_voice_stale(said: Workflow) -> None:
    asked = Workflow(
        said.folder, [*said.config[:-1], CROSS.replace("clips/jfk.wav", "{path: clips/jfk.wav, pose: still}")]
    )
    assert asked.stale() == {"cross_drive": 2, "cross_metrics": 2}
    done = said.snakemake("--cores", "1", "results/anna/say/radio.mp4")
    assert done.returncode == 0, done.stderr[-2000:]
    film = said.folder / "results/anna/say/radio.mp4"
    assert film.read_bytes() == (said.folder / "results/anna/cross/radio/driven.mp4").read_bytes()
    done = said.snakemake("--cores", "1", "-n", "results/anna/say/nobody.mp4")
    assert done.stderr.splitlines()[-1].startswith("ua3dtalk: config: cross.voices.nobody: no such voice; add it")


def test_a_guest_counts_by_content_and_an_actor_as_guest_by_its_state(said: Workflow) -> None:
    path = said.folder / "clips/guest.mp4"
    path.write_text("guest")
    voice = "{path: clips/jfk.wav, style: 'clips/guest.mp4:0.5', pose: results/anna}"
    guided = Workflow(said.folder, [*said.config[:-1], CROSS.replace("radio: clips/radio.wav", f"guided: {voice}")])
    done = guided.run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert guided.stale() == {}
    path.write_text("another")
    os.utime(path, (1, 1))
    assert guided.stale() == {"cross_drive": 2, "cross_metrics": 2}
    path.unlink()
    done = guided.snakemake("--cores", "1", "-n")
    assert done.stderr.splitlines()[-1].startswith("ua3dtalk: config: cross.voices.guided.style: no file clips/guest")


def test_a_voice_that_is_not_there_is_one_line(said: Workflow) -> None:
    done = said.snakemake("--cores", "1", "-n", "results/May/cross/nobody/cross.json")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("ua3dtalk: config: cross.voices.nobody: no such voice; add it")
    broken = Workflow(said.folder, [*said.config[:-1], "cross={voices: {jfk: clips/absent.wav}}"])
    done = broken.snakemake("--cores", "1", "-n")
    assert done.stderr.splitlines()[-1].startswith("ua3dtalk: config: cross.voices.jfk: no file clips/absent.wav")
