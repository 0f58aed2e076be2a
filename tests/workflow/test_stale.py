"""Edit X, exactly Y reruns: the table of what makes which results stale."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workflow_copy import Workflow

from ua3dtalk.code_digest import closure
from ua3dtalk.provenance import STAGES, below

ACTORS = ("May", "anna")
ALL = frozenset(STAGES)
SHARED = frozenset(name for name, stage in STAGES.items() if stage.shared)
ONCE = SHARED | {"builtin_actor"}  # shared stages are made from the built-in actor alone


def expected_of_users(root: Path, module: str) -> Counter[str]:
    """Jobs of the stages that run a module, and of all below them; only the built-in actor has its own stage."""
    names = [name for name, stage in STAGES.items() if module in closure(root, stage.module)]
    of_may = below(*names)
    # Anna's stages read what the shared ones make of May's.
    of_anna = below(*(name for name in names if name != "builtin_actor"), *(of_may & SHARED)) - ONCE
    return Counter(of_may) + Counter(of_anna)


@contextmanager
def edited(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """The file with its text changed; restored afterwards, with its time of change."""
    before, times = path.read_text(), path.stat()
    path.write_text(change(before))
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def expected(stages: frozenset[str], actors: tuple[str, ...] = ACTORS) -> Counter[str]:
    names = [(stage, actor) for stage in stages for actor in actors if stage not in ONCE or actor == "May"]
    return Counter(stage for stage, _ in names)


def test_nothing_is_stale_after_a_run(workflow: Workflow) -> None:
    assert workflow.stale() == {}


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("ua3dtalk/metrics/report.py", {"metrics"}),
        ("ua3dtalk/rendering/test.py", {"render_test", "metrics"}),
        ("ua3dtalk/face/tracking.py", below("tracking")),
        ("ua3dtalk/face/landmarks.py", below("landmarks")),
        ("ua3dtalk/media/decode.py", below("decode")),
        ("ua3dtalk/workflow.py", set()),
        ("ua3dtalk/config.py", set()),
        ("ua3dtalk/presets/budgets/full.yaml", set()),
    ],
)
def test_an_edit_of_code(workflow: Workflow, file: str, stages: set[str]) -> None:
    with edited(workflow.folder / file, lambda text: text + "\n_EDITED = 1\n" * file.endswith(".py")):
        assert workflow.stale() == expected(frozenset(stages))


def test_an_edit_of_what_several_stages_import(workflow: Workflow) -> None:
    module = "ua3dtalk.face.landmarker"
    with edited(workflow.folder / "ua3dtalk/face/landmarker.py", lambda text: text + "\n_EDITED = 1\n"):
        assert workflow.stale() == expected_of_users(workflow.folder, module)


def test_an_edit_of_a_comment_or_docstring(workflow: Workflow) -> None:
    change = '"""Another docstring."""\n# another comment\n'.__add__
    with edited(workflow.folder / "ua3dtalk/face/landmarks.py", lambda text: change(text.split('"""', 2)[2])):
        assert workflow.stale() == {}


def test_a_fresh_checkout_has_new_times(workflow: Workflow) -> None:
    for path in [*(workflow.folder / "workflow_scripts").iterdir(), *(workflow.folder / "ua3dtalk").rglob("*.py")]:
        path.touch()
    assert workflow.stale() == {}


def test_an_edit_of_an_adapter(workflow: Workflow) -> None:
    with edited(workflow.folder / "workflow_scripts/expression.py", lambda text: text + "\nprint()\n"):
        assert workflow.stale() == expected(below("expression"))


def test_an_edit_of_the_native_sources(workflow: Workflow) -> None:
    source = next((workflow.folder / "native").glob("*.cpp"))
    with edited(source, lambda text: text + "\nint edited;\n"):
        assert workflow.stale() == expected_of_users(workflow.folder, "ua3dtalk.native")


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("seed=1", below("train_mouth", "train_face", "priors", "emotion")),
        ("priors={steps: 3}", below("priors")),
        ("emotion={iterations: 3}", below("emotion")),
        ("training={beliefs: {anchors: 300}}", below("train_mouth", "train_face")),
        ("ablation={seeds: [7]}", set()),
        ("backends={device: cuda}", set()),
        ("backends={rasteriser: reference}", set()),
        ("backends={landmarks: face-alignment}", below("landmarks")),
        ("media={size: 320}", below("decode")),
        ("media={margin: 1.2}", below("locate")),
        ("media={fix_audio_offset: true}", below("sound")),
        ("sync={iterations: 3}", below("train_sync")),
        ("metrics={syncnet: true}", {"metrics"}),
        ("training={mouth: {iterations: 77}}", below("train_mouth")),
        ("training={face: {iterations: 77}}", below("train_face")),
        ("training={fuse: {iterations: 77}}", below("train_fuse")),
        ("training={plane_channels: 3}", below("train_mouth", "train_face")),
        ("training={checkpoint_seconds: 3}", set()),
        ("rendering={driven_by: [pose]}", {"render_test", "metrics"}),
        ("metrics={perceptual: lpips_squeeze_proxy}", {"metrics"}),
        ("metrics={more_perceptual: [lpips_vgg]}", {"metrics"}),
        ("metrics={inception: true}", {"metrics"}),
    ],
)
def test_a_change_of_a_setting(workflow: Workflow, setting: str, stages: set[str]) -> None:
    stale = workflow.stale(config=setting)
    stale.pop("fetch_asset", None)  # another backend may need another weight
    assert stale == expected(frozenset(stages))


def test_threads_make_nothing_stale(workflow: Workflow) -> None:
    assert workflow.stale(cores=1) == {}


def test_a_clip_replaced_by_an_older_file(workflow: Workflow) -> None:
    clip = workflow.folder / "clips/c.mp4"
    with edited(clip, lambda text: text[::-1]):
        os.utime(clip, (1, 1))
        assert workflow.stale() == expected(ALL, ("anna",))
    assert workflow.stale() == {}


def test_a_label_of_emotion(workflow: Workflow) -> None:
    with_label = workflow.config[0].replace("'clips/c.mp4'", "{path: clips/c.mp4, emotion: happy}")
    assert with_label != workflow.config[0]
    changed = Workflow(workflow.folder, [with_label])
    assert changed.stale() == expected(ALL, ("anna",))


def test_an_offset_of_a_clip_moves_its_sound_alone(workflow: Workflow) -> None:
    moved = workflow.config[0].replace("'clips/c.mp4'", "{path: clips/c.mp4, audio_offset: -0.2}")
    changed = Workflow(workflow.folder, [moved])
    assert changed.stale() == expected(below("sound", "audio_offset"), ("anna",))


def test_another_weight_behind_the_same_name(workflow: Workflow) -> None:
    sha256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
    with edited(workflow.folder / "ua3dtalk/asset_table.py", lambda text: text.replace(sha256, "0" * 64)):
        assert workflow.stale() == expected(below("locate")) + Counter(fetch_asset=1)


def test_a_failure_upstream_never_leaves_old_figures_that_pass_for_new(workflow: Workflow) -> None:
    metrics = workflow.folder / "results/anna/metrics.json"
    before = metrics.read_text()
    switch = workflow.folder / "fail_landmarks"
    try:
        switch.touch()
        done = workflow.run("media={size: 192}")
        assert done.returncode != 0
        assert done.stderr.splitlines()[-1] == "ua3dtalk: anna: landmarks failed: no face in clip.mp4: use another clip"
        assert metrics.read_text() == before, "a failed run takes nothing away"
        assert workflow.stale("media={size: 192}")["metrics"] == len(ACTORS), "but what is there does not pass for new"
        switch.unlink()
        assert workflow.run("media={size: 192}").returncode == 0
        assert metrics.read_text() != before
        assert workflow.stale("media={size: 192}") == {}
    finally:
        switch.unlink(missing_ok=True)
        assert workflow.run().returncode == 0


def test_the_table_of_stages_agrees_with_the_rules(workflow: Workflow) -> None:
    done = workflow.snakemake("--rulegraph", "dot", "--cores", "1", "--forceall")
    names: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    for line in done.stdout.splitlines():
        if "label =" in line or "label=" in line:
            names[line.split("[")[0].strip()] = line.split('"')[1].split("\\n")[0]
        elif "->" in line:
            start, end = line.strip().rstrip(";").split(" -> ")
            edges.append((start.strip(), end.strip()))
    assert edges
    direct = {(names[start], names[end]) for start, end in edges}
    stages = {(start, end) for start, end in direct if start in STAGES and end in STAGES}
    table = {(before, name) for name, stage in STAGES.items() for before in stage.after}
    assert stages == table
