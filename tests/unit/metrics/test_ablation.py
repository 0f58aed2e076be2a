"""The table of methods over seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import DataError
from ua3dtalk.metrics.ablation import write_ablation

PSNR = {"baseline": [30.0, 31.0, 32.0], "ua3dtalk": [31.0, 31.5, 33.5]}


def runs(folder: Path) -> list[Path]:
    paths = []
    for method, values in PSNR.items():
        for seed, psnr in enumerate(values):
            row = {"name": "ours", "region": "face", "psnr": psnr, "st_lpips_alex": 0.05 - psnr / 1000, "lmd_px": None}
            whole = {**row, "region": "frame", "psnr": 99.0}
            document = {
                "actor": "tiny", "method": method, "budget": "demo", "seed": seed, "frames": 20,
                "extractors": {"perceptual": "st_lpips_alex"},
                "cost": {"stages": {"train_mouth": {"seconds": 10.0}, "train_face": {"seconds": 20.0 + seed}}},
                "rows": [{**row, "name": "truth", "psnr": None}, whole, row],
            }  # fmt: skip
            path = folder / f"{method}-{seed}.json"
            path.write_text(json.dumps(document))
            paths.append(path)
    return paths


def test_means_spreads_and_gains_paired_by_seed(tmp_path: Path) -> None:
    write_ablation(runs=runs(tmp_path), table=tmp_path / "a.json", page=tmp_path / "a.md", state="abc")
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["state"] == "abc" and result["seeds"] == [0, 1, 2] and result["region"] == "face"
    baseline, ours = result["rows"]
    assert baseline["psnr"] == {"mean": 31.0, "spread": 1.0, "gain": 0.0, "gain_spread": 0.0}
    assert ours["psnr"]["mean"] == 32.0
    gains = np.subtract(PSNR["ua3dtalk"], PSNR["baseline"])
    assert ours["psnr"]["gain"] == pytest.approx(gains.mean(), abs=1e-6)
    assert ours["psnr"]["gain_spread"] == pytest.approx(gains.std(ddof=1), abs=1e-6)
    assert ours["training_seconds"]["mean"] == 31.0
    assert ours["lmd_px"]["mean"] is None
    page = (tmp_path / "a.md").read_text()
    assert "| ua3dtalk | 32.00 ± 1.32 |" in page and "psnr ↑" in page


def test_a_broken_run_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "metrics.json"
    broken.write_text("{")
    with pytest.raises(DataError, match="delete it and run again"):
        write_ablation(runs=[broken], table=tmp_path / "a.json", page=tmp_path / "a.md", state="")
