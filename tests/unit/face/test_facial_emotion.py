"""The facial-expression net under its published names, and the pictures that it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ua3dtalk.errors import AssetError
from ua3dtalk.face.emotion import MiniXception, _names, face_picture, face_square, facial_emotions, halve, load_net
from ua3dtalk.subject import Landmarks

h5py = pytest.importorskip("h5py", reason="h5py is not installed")


def keras_file(path: Path, net: MiniXception) -> None:
    """The net's weights as Keras writes them."""
    state = net.state_dict()
    with h5py.File(path, "w") as file:
        for name, (layer, weight) in _names(net):
            values = state[name].numpy()
            if values.ndim == 4:
                values = values.transpose((2, 3, 0, 1) if weight == "depthwise_kernel" else (2, 3, 1, 0))
            file[f"model_weights/{layer}/{layer}_1/{weight}:0"] = values


def test_every_weight_has_its_published_name(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = MiniXception().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                value.data.uniform_(0.5, 1.5)
    names = dict(_names(net))
    assert set(names) == {name for name in net.state_dict() if not name.endswith("num_batches_tracked")}
    assert len(set(names.values())) == len(names)
    assert names["blocks.1.shortcut_norm.bias"] == ("batch_normalization_6", "beta")
    keras_file(tmp_path / "net.hdf5", net)
    faces = torch.rand(2, 1, 64, 64) * 2 - 1
    torch.testing.assert_close(load_net(tmp_path / "net.hdf5")(faces), net(faces))


def test_another_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").write_bytes(b"text")
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["model_weights/conv2d_1/conv2d_1_1/kernel:0"] = np.zeros((3, 3, 1, 8))
    for name in "ab":
        with pytest.raises(AssetError, match=r"is not the facial expression net .*: delete it and run again"):
            load_net(tmp_path / f"{name}.hdf5")


@pytest.mark.parametrize("side", [4, 5])
def test_halving_pads_as_keras_does(side: int) -> None:
    x = torch.randn(1, 1, side, side)
    before = (side % 2) * 1  # an even side is padded behind its end only
    found = halve(x)[0, 0]
    count = (side + 1) // 2
    assert found.shape == (count, count)
    for row in range(count):
        for column in range(count):
            rows = slice(max(2 * row - before, 0), 2 * row - before + 3)
            columns = slice(max(2 * column - before, 0), 2 * column - before + 3)
            assert found[row, column] == x[0, 0, rows, columns].max()


def test_the_square_holds_all_points() -> None:
    points = np.random.default_rng(0).uniform([50, 80, 0], [90, 160, 1], (478, 3))
    left, top, side = face_square(points, crop=1.2)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    assert side == pytest.approx(1.2 * (high - low).max())
    np.testing.assert_allclose([left + side / 2, top + side / 2], (low + high) / 2)


@pytest.mark.parametrize("side", [32.0, 64.0, 200.0])
def test_the_picture_shows_the_square(side: float) -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3)).copy()
    picture = face_picture(ramp, (20.0, 10.0, side))
    assert picture.shape == (64, 64)
    expected = 20 + (np.arange(64) + 0.5) * side / 64 - 0.5
    np.testing.assert_allclose((picture[32] + 1) * 127.5, expected, atol=2.5)


def test_frames_without_a_face_are_nan() -> None:
    landmarks = Landmarks(
        np.random.default_rng(0).uniform(5, 40, (3, 478, 3)), np.zeros((3, 52)), np.array([True, False, True]), ()
    )
    found = facial_emotions(MiniXception().eval(), np.zeros((3, 48, 48, 3), np.uint8), landmarks)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]].sum(1), 1, atol=1e-5)
