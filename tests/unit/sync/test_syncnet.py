"""SyncNet's names and shapes are the official file's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from official_names import random_state, read_names

from ua3dtalk.errors import AssetError
from ua3dtalk.sync.syncnet import SyncNet, load_syncnet

NAMES = read_names(Path(__file__).parent / "data" / "syncnet_names.txt")


def test_names_and_shapes() -> None:
    found = {name: tuple(value.shape) for name, value in SyncNet().state_dict().items()}
    assert found == NAMES


def test_official_weights_load_and_run(tmp_path: Path) -> None:
    torch.save(random_state(NAMES), tmp_path / "syncnet_v2.model")
    net = load_syncnet(tmp_path / "syncnet_v2.model")
    assert not net.training
    with torch.inference_mode():
        heard = net.hear(torch.randn(2, 1, 13, 20))
        seen = net.see(255 * torch.rand(1, 3, 5, 224, 224))
    assert heard.shape == (2, 1024) and seen.shape == (1, 1024)
    assert torch.isfinite(heard).all() and torch.isfinite(seen).all()


def test_weights_from_before_torch_counted_batches(tmp_path: Path) -> None:
    state = {name: value for name, value in random_state(NAMES).items() if not name.endswith("tracked")}
    torch.save(state, tmp_path / "old.model")
    net = load_syncnet(tmp_path / "old.model")
    assert torch.equal(net.netfcaud[0].weight, state["netfcaud.0.weight"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="is missing: SyncNet's"):
        load_syncnet(tmp_path / "none.model")
    state = random_state(NAMES)
    state["netfcaud.3.weight"] = torch.zeros(256, 512)
    torch.save(state, tmp_path / "other.model")
    with pytest.raises(AssetError, match=r"netfcaud.3.weight is \[256, 512\], not \[1024, 512\]"):
        load_syncnet(tmp_path / "other.model")
