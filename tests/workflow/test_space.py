"""What is not made twice and what is not kept: results shared between working folders, and frames that go."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_copy import Workflow, copy_workflow

CACHED = ("decode", "landmarks", "regions")


def with_clip(root: Path, folder: Path, name: str) -> Workflow:
    made = copy_workflow(root, folder)
    (folder / "films").mkdir()
    (folder / f"films/{name}.mp4").write_text("the same clip")
    made.config = [f"actors={{{name}: {{clips: [films/{name}.mp4]}}}}"]
    return made


def test_another_working_folder_takes_decoded_frames_landmarks_and_regions_from_the_cache(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    one, two = with_clip(root, tmp_path / "one", "anna"), with_clip(root, tmp_path / "two", "anne")
    for workflow, name in ((one, "anna"), (two, "anne")):
        done = workflow.snakemake("--cores", "2", "--cache", "--", f"results/{name}/metrics.json")
        assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = one.folder / "results/anna", two.folder / "results/anne"
    ran = {path.stem for path in (theirs / "logs").glob("*.json")}
    assert ran == {path.stem for path in (ours / "logs").glob("*.json")} - set(CACHED)
    for file in ("video.npy", "clips.json", "landmarks.npz", "regions.npy"):
        assert (ours / file).read_text() == (theirs / file).read_text()
        assert (ours / file).resolve() == (theirs / file).resolve(), "on disk once"
    assert two.snakemake("--dry-run", "--cores", "2", "--cache").returncode == 0

    changed = two.snakemake("--cores", "2", "--cache", "--", "results/anne/regions.npy", config="media={size: 96}")
    assert changed.returncode == 0, changed.stderr[-2000:]
    assert (theirs / "video.npy").read_text() != (ours / "video.npy").read_text(), "other settings, other frames"
    assert (theirs / "logs/decode.json").exists()


def test_frames_that_need_not_be_kept_go_and_nothing_is_made_again(root: Path, tmp_path: Path) -> None:
    workflow = with_clip(root, tmp_path / "copy", "anna")
    workflow.config.append("media={keep_frames: false}")
    done = workflow.run()
    assert done.returncode == 0, done.stderr[-2000:]
    folder = workflow.folder / "results/anna"
    for gone in ("video.npy", "regions.npy", "renders/test"):
        assert not (folder / gone).exists(), gone
    for kept in ("layers/torso.npy", "model/fused.safetensors", "metrics.json", "report.html", "renders/test.mp4"):
        assert (folder / kept).exists(), kept
    assert workflow.stale() == {}
