"""FAN's network through the package face-alignment, with random weights in the place of the official ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ua3dtalk.errors import AssetError
from ua3dtalk.metrics.fan import load_fan, points_68


def test_the_given_file_is_what_fan_runs_on(tmp_path: Path) -> None:
    package = pytest.importorskip("face_alignment.api", reason="the extra face-alignment is not installed")
    torch.manual_seed(0)
    network = package.FAN(4)
    torch.save(network.state_dict(), tmp_path / "fan.pth.tar")
    before = torch.hub.get_dir()
    fan = load_fan(tmp_path / "fan.pth.tar")
    assert torch.hub.get_dir() == before
    loaded = fan.face_alignment_net.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())
    rng = np.random.default_rng(0)
    points = rng.uniform([40, 50], [140, 170], (478, 2))
    found = points_68(fan, rng.integers(0, 255, (200, 180, 3), np.uint8), points)
    assert found.shape == (68, 2) and np.isfinite(found).all()
    assert np.isnan(points_68(fan, np.zeros((9, 9, 3), np.uint8), np.full((478, 3), np.nan))).all()


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "fan.pth.tar").write_bytes(b"nothing")
    with pytest.raises(AssetError, match=r"face-alignment|cannot be used as FAN's weights") as caught:
        load_fan(tmp_path / "fan.pth.tar")
    assert "\n" not in str(caught.value)
