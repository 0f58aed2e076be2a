"""Methods over actors and seeds: means, paired differences, and the same numbers in every form."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_bundle import PER_FRAME, centred_noise, metrics_document, write_frames

from ua3dtalk.config import ConfigError, load_config
from ua3dtalk.errors import DataError
from ua3dtalk.report.compare_tables import CSV_HEAD, as_csv, escaped, latex, markdown
from ua3dtalk.report.comparison import comparison, load_runs
from ua3dtalk.settings import CompareSettings

SETTINGS = CompareSettings(block_frames=10, resamples=500)


def made(folder: Path, gains: dict[str, float], actors: tuple[str, ...] = ("tiny",), seeds: int = 1) -> list[Path]:
    """Runs of 200 frames; their noise is shared by the methods of an actor and seed but for a tenth."""
    paths = []
    for actor in actors:
        for number, (method, gain) in enumerate(gains.items()):
            for seed in range(seeds):
                run = folder / actor / method / str(seed)
                run.mkdir(parents=True)
                document = metrics_document(np.arange(100, 300), gain, actor=actor, method=method, seed=seed)
                noise = centred_noise(200, seed=seed) + 0.1 * number * centred_noise(200, seed=99 + seed)
                (run / "metrics.json").write_text(json.dumps(document))
                write_frames(run / "metrics_frames.csv", document, noise)
                paths.append(run / "metrics.json")
    return paths


def document_of(paths: list[Path], settings: CompareSettings = SETTINGS) -> dict[str, Any]:
    return comparison(load_runs(paths), settings, "state")


def row(
    document: dict[str, Any], method: str, actor: str | None = "tiny", region: str = "face", name: str = "ours"
) -> Any:
    (table,) = [
        t for t in document["tables"] if (t["actor"], t["region"], t["codec"]) == (actor, region, "none")
    ]  # fmt: skip
    return next(r["figures"] for r in table["rows"] if (r["name"], r["method"], r["variant"]) == (name, method, 0))


def test_a_method_compared_with_itself_differs_by_nothing(tmp_path: Path) -> None:
    """Equal frames, equal figures: the difference is 0, and so is its interval."""
    paths = made(tmp_path, {"baseline": 1.0})
    twin = json.loads(paths[0].read_text()) | {"method": "ua3dtalk"}
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin/metrics.json").write_text(json.dumps(twin))
    (tmp_path / "twin/metrics_frames.csv").write_bytes(paths[0].with_name("metrics_frames.csv").read_bytes())
    figures = row(document_of([*paths, tmp_path / "twin/metrics.json"]), "ua3dtalk")
    for key in ("psnr", "lmd_px"):
        assert figures[key]["difference"] == 0 and figures[key]["interval"] == [0, 0]


def test_differences_are_paired_by_frame(tmp_path: Path) -> None:
    """Noise that both methods share does not widen the interval."""
    figures = row(document_of(made(tmp_path, {"baseline": 0.0, "ua3dtalk": 1.0})), "ua3dtalk")
    low, high = figures["psnr"]["interval"]
    assert figures["psnr"]["difference"] == 1.0 and low < 1 < high
    assert high - low < 0.03, "the deviation of a single method's mean alone is .02"


def test_means_and_spreads_over_seeds(runs: list[Path]) -> None:
    document = document_of(runs)
    ours, baseline = row(document, "ua3dtalk"), row(document, "baseline")
    assert baseline["psnr"] == {"mean": 29.0, "spread": 0.0}
    assert ours["psnr"]["mean"] == pytest.approx(30.05) and ours["psnr"]["spread"] == pytest.approx(
        0.1 / np.sqrt(2), abs=1e-6
    )
    assert ours["psnr"]["difference"] == pytest.approx(1.05)
    assert ours["psnr"]["difference_spread"] == pytest.approx(0.1 / np.sqrt(2), abs=1e-6)
    assert ours["training_seconds"]["mean"] == 75.0 and ours["frames_per_second"]["mean"] == 50.0


def test_fifty_frames_hold_too_few_blocks_of_a_second(runs: list[Path]) -> None:
    figures = row(document_of(runs, CompareSettings()), "ua3dtalk")
    assert "difference" in figures["psnr"] and "interval" not in figures["psnr"]


def test_figures_that_are_no_mean_of_frames_have_no_interval(tmp_path: Path) -> None:
    paths = made(tmp_path, {"baseline": 0.0, "ua3dtalk": 1.0})
    for path in paths:  # a root mean square, say: its frames have another mean
        document = json.loads(path.read_text())
        for entry in document["rows"]:
            entry["lmd_px"] *= 1.01
        path.write_text(json.dumps(document))
    figures = row(document_of(paths), "ua3dtalk")
    assert "interval" not in figures["lmd_px"] and "interval" in figures["psnr"]
    assert "interval" not in figures["mouth_opening_correlation"], "there are no frames of it"


def test_without_a_table_of_frames_there_are_means_alone(runs: list[Path], tmp_path: Path) -> None:
    paths = made(tmp_path, {"baseline": 0.0, "ua3dtalk": 1.0})
    paths[1].with_name("metrics_frames.csv").unlink()
    figures = row(document_of(paths), "ua3dtalk")
    assert figures["psnr"]["difference"] == 1.0 and "interval" not in figures["psnr"]


def test_truth_and_opponents_are_always_there_and_no_method_is_compared_with_them(runs: list[Path]) -> None:
    for table in document_of(runs)["tables"]:
        names = [(r["name"], r["method"]) for r in table["rows"]]
        assert names[0] == ("truth", "")
        if table["codec"] == "none":
            assert names[1:4] == [("static_mean", "baseline"), ("nearest_pose", ""), ("nearest_audio", "")]
        for found in table["rows"]:
            differs = any("difference" in figure for figure in found["figures"].values())
            assert differs == (found["name"] == "ours" and found["method"] == "ua3dtalk")


def test_all_actors_together(tmp_path: Path) -> None:
    actors = ("anna", "bert", "carl")
    paths = [
        made(tmp_path, {"baseline": 0.0, "ua3dtalk": gain}, (actor,))
        for actor, gain in zip(actors, (1, 2, 6), strict=True)
    ]
    document = document_of([path for each in paths for path in each])
    assert document["actors"] == list(actors)
    pooled = row(document, "ua3dtalk", actor=None)["psnr"]
    assert pooled["mean"] == pytest.approx(32.0) and pooled["difference"] == pytest.approx(3.0)
    one = row(document, "ua3dtalk", actor="anna")["psnr"]
    width, single = np.diff(pooled["interval"])[0], np.diff(one["interval"])[0]
    assert width == pytest.approx(single / np.sqrt(3), rel=0.25), "three actors, each with frames of its own"


def test_a_broken_run_is_one_line(runs: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "metrics.json"
    broken.write_text("{")
    with pytest.raises(DataError, match="delete it and run again"):
        load_runs([*runs, broken])


def test_a_comparison_names_only_actors_of_the_config() -> None:
    with pytest.raises(ConfigError, match=r"compare\.actors\[0\]: found 'Mai'; did you mean May\?"):
        load_config({"actors": {"May": {"clips": "builtin"}}, "compare": {"actors": ["Mai"]}})


def test_markdown_is_a_table_with_the_block_length_stated(runs: list[Path]) -> None:
    page = markdown(document_of(runs))
    assert "10 frames, 0.4 s, a block" in page and "over the seeds 0, 1" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert "PSNR (dB) ↑" in lines[0] and "LMD (px) ↓" in lines[0]
    assert any(line.startswith("| Truth | – |") for line in lines)
    assert any("| **30.05 ± 0.07** |" in line for line in lines)
    assert any(re.match(r"\| ua3dtalk − baseline \| \+1\.05 \[", line) for line in lines)


def test_csv_holds_every_number_of_the_json(runs: list[Path]) -> None:
    document = document_of(runs)
    lines = list(csv.DictReader(io.StringIO(as_csv(document))))
    assert tuple(lines[0]) == CSV_HEAD
    assert len(lines) == sum(len(r["figures"]) for table in document["tables"] for r in table["rows"])
    (found,) = [
        line for line in lines
        if (line["region"], line["codec"], line["method"], line["figure"]) == ("face", "none", "ua3dtalk", "psnr")
        and "action_units" in line["driven_by"]
    ]  # fmt: skip
    figure = row(document, "ua3dtalk")["psnr"]
    assert float(found["mean"]) == figure["mean"] and float(found["difference"]) == figure["difference"]
    assert [float(found["low"]), float(found["high"])] == figure["interval"]


def test_latex_has_matching_environments_and_as_many_cells_as_columns(runs: list[Path]) -> None:
    text = latex(document_of(runs) | {"methods": ["baseline", "ua3dtalk"], "budgets": ["a_b&c"]})
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert sorted(begun) == sorted(ended) == ["table", "tabular"]
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.rstrip().endswith(r"\\")]
    assert len(rows) >= 8
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1 for line in rows)
    assert all(line.strip().endswith((r"\\", r"\midrule")) or not line.strip() for line in body.splitlines())
    assert text.count("{") == text.count("}") and text.count("$") % 2 == 0
    assert text.isascii(), "signs that not every engine has"


def test_latex_escapes_what_means_something_to_it() -> None:
    assert escaped(r"a_b & 50 % $x$ #1 {y} ~^\ −1 ± 2") == (
        r"a\_b \& 50 \% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{} $-$1 $\pm$ 2"
    )


def test_per_frame_names_are_those_of_the_tables(runs: list[Path]) -> None:
    table = load_runs(runs)[0].frames
    assert table is not None
    (first, *_) = table.rows.values()
    assert tuple(first) == PER_FRAME
