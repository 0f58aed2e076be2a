"""Clouds as .ply: round trip, the layout that viewers expect, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from splat_scenes import few_examples

from ua3dtalk.errors import InputError
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.splat.ply import load_ply, save_ply


def make_cloud(n: int, degree: int, seed: int = 0) -> Cloud:
    g = torch.Generator().manual_seed(seed)
    return Cloud(
        means=torch.randn(n, 3, generator=g),
        quats=torch.randn(n, 4, generator=g),
        raw_scales=4 * torch.randn(n, 3, generator=g) - 4,
        raw_opacities=3 * torch.randn(n, generator=g),
        sh=torch.randn(n, (degree + 1) ** 2, 3, generator=g),
    )


@settings(few_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(0, 30), degree=st.integers(0, 3), seed=st.integers(0, 1000))
def test_round_trip(tmp_path: Path, n: int, degree: int, seed: int) -> None:
    cloud = make_cloud(n, degree, seed)
    save_ply(cloud, tmp_path / "cloud.ply")
    again = load_ply(tmp_path / "cloud.ply")
    for name in ("means", "quats", "raw_opacities", "sh"):
        assert torch.equal(getattr(cloud, name), getattr(again, name))
    torch.testing.assert_close(again.scales, cloud.scales, rtol=1e-5, atol=0)


def test_layout_is_that_of_viewers(tmp_path: Path) -> None:
    """Read by hand: names in their order, colours channel by channel, logarithms of scales."""
    cloud = make_cloud(3, 1)
    save_ply(cloud, tmp_path / "cloud.ply")
    header, _, body = (tmp_path / "cloud.ply").read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 3"]
    names = [line.removeprefix("property float ") for line in lines[3:]]
    rest = [f"f_rest_{i}" for i in range(9)]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:] == [*rest, "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    table = np.frombuffer(body, "<f4").reshape(3, len(names))
    row = dict(zip(names, table[1], strict=True))
    assert row["f_rest_1"] == cloud.sh[1, 2, 0] and row["f_rest_3"] == cloud.sh[1, 1, 1]
    assert row["scale_2"] == pytest.approx(float(cloud.scales[1, 2].log()), rel=1e-5)
    assert row["rot_0"] == cloud.quats[1, 0] and row["opacity"] == cloud.raw_opacities[1]


def test_order_and_extra_properties_do_not_matter(tmp_path: Path) -> None:
    cloud = make_cloud(2, 0)
    save_ply(cloud, tmp_path / "a.ply")
    header, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    names = [line.split()[-1] for line in lines[3:]]
    table = np.frombuffer(body, "<f4").reshape(2, -1)[:, ::-1]
    head = [*lines[:3], "comment made by hand", *(f"property float {n}" for n in names[::-1]), "property uchar label"]
    rows = b"".join(row.astype("<f4").tobytes() + b"\x07" for row in table)
    (tmp_path / "b.ply").write_bytes(("\n".join([*head, "end_header"]) + "\n").encode() + rows)
    assert torch.equal(load_ply(tmp_path / "b.ply").means, cloud.means)


def test_refusals_are_one_line(tmp_path: Path) -> None:
    save_ply(make_cloud(5, 1), tmp_path / "good.ply")
    good = (tmp_path / "good.ply").read_bytes()
    broken = {
        "missing": None,
        "not a .ply": b"PK\x03\x04" + good,
        "format ascii": good.replace(b"binary_little_endian", b"ascii"),
        "cut short": good[: good.index(b"end_header")],
        "ends after 4 of 5": good[:-8],
        "ends after 5 of 5000000000000": good.replace(b"vertex 5", b"vertex 5000000000000"),
        "no property 'opacity'": good.replace(b"float opacity", b"float opaqueness"),
        "9 properties": good.replace(b"property float f_rest_8\n", b"property float nothing\n"),
        "not numbers": good[:-4] + b"\x00\x00\xc0\x7f",
        "element 'face' comes before": good.replace(b"element vertex", b"element face"),
        "cannot read 'property list": good.replace(b"property float nx", b"property list uchar int nx"),
    }
    for words, data in broken.items():
        path = tmp_path / "broken.ply"
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            load_ply(path)
        line = str(caught.value)
        assert "\n" not in line and str(path) in line
        if words not in ("missing", "9 properties"):
            assert words in line
