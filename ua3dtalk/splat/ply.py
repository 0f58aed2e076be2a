"""Clouds as .ply files in the layout of 3D Gaussian splatting, which its viewers read.

One vertex per Gaussian, float32, binary little endian: position, an unused normal, the constant band of the colour
(f_dc), the other bands channel by channel (f_rest), the logit of the opacity, log scales, the rotation w first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from ua3dtalk.errors import InputError
from ua3dtalk.splat.cloud import Cloud, inverse_softplus
from ua3dtalk.splat.sh import DEGREE_MAX, coefficients
from ua3dtalk.workflow import atomic

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip
_HEADER_LINES = 4096
_SCALE_MIN = 1e-30  # softplus underflows to 0, which has no logarithm


def save_ply(cloud: Cloud, path: Path | str) -> None:
    """Write a cloud for viewers."""
    tensors = {name: tensor.detach().cpu() for name, tensor in cloud.tensors().items()}
    sh = tensors["sh"]  # [N, K, 3]
    columns = [
        tensors["means"],
        torch.zeros_like(tensors["means"]),
        sh[:, 0],
        sh[:, 1:].transpose(1, 2).flatten(1),
        tensors["raw_opacities"][:, None],
        cloud.scales.detach().cpu().clamp_min(_SCALE_MIN).log(),
        tensors["quats"],
    ]
    rows = torch.cat([column.float() for column in columns], 1).numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for name in _names(sh.shape[1])]
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode())
        file.write(rows.tobytes())


def load_ply(path: Path | str) -> Cloud:
    """Read a cloud; properties may come in any order, unknown ones are ignored.

    Raises:
        InputError: the file is missing, cut short, or no Gaussian cloud in this layout.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            count, layout = _read_header(file, path)
            bands = _bands(layout.names or (), path)
            there = (path.stat().st_size - file.tell()) // layout.itemsize
            if there < count:
                raise InputError(f"{path}: ends after {there} of {count} Gaussians; copy it again")
            rows = np.frombuffer(file.read(count * layout.itemsize), layout)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    columns = {name: torch.from_numpy(rows[name].astype(np.float32)) for name in _names(bands) if name[0] != "n"}
    if not all(bool(column.isfinite().all()) for column in columns.values()):
        raise InputError(f"{path}: holds values that are not numbers; export it again")

    def table(prefix: str, width: int) -> torch.Tensor:
        chosen = [columns[f"{prefix}_{i}"] for i in range(width)]
        return torch.stack(chosen, 1) if chosen else torch.zeros(count, 0)

    rest = table("f_rest", 3 * (bands - 1)).view(count, 3, bands - 1).transpose(1, 2)
    return Cloud(
        means=torch.stack([columns[axis] for axis in "xyz"], 1),
        quats=table("rot", 4),
        raw_scales=inverse_softplus(table("scale", 3).exp().clamp_min(_SCALE_MIN)),
        raw_opacities=columns["opacity"],
        sh=torch.cat([table("f_dc", 3)[:, None], rest], 1),
    )


def _bands(names: Sequence[str], path: Path) -> int:
    """Coefficients per channel of a file with these properties; refuses one that is no cloud of Gaussians."""
    rest = sum(name.startswith("f_rest_") for name in names)
    bands = rest // 3 + 1
    missing = [name for name in _names(bands) if name not in names and name[0] != "n"]
    if missing or bands not in [coefficients(degree) for degree in range(DEGREE_MAX + 1)]:
        what = f"no property {missing[0]!r}" if missing else f"{rest} properties f_rest_*"
        raise InputError(f"{path}: not a cloud of Gaussians ({what}); expected a file that 3DGS viewers read")
    return bands


def _names(bands: int) -> list[str]:
    """The columns of a cloud with this many coefficients per channel."""
    return [
        *("x", "y", "z", "nx", "ny", "nz"),
        *(f"f_dc_{i}" for i in range(3)),
        *(f"f_rest_{i}" for i in range(3 * (bands - 1))),
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    ]


def _read_header(file: BinaryIO, path: Path) -> tuple[int, np.dtype]:
    """The number of vertices and their layout; the file is left at the first vertex."""
    if file.readline(16).strip() != b"ply":
        raise InputError(f"{path}: not a .ply file")
    count: int | None = None
    fields: list[tuple[str, str]] = []
    in_vertices = False  # elements after the vertices are not read
    for _ in range(_HEADER_LINES):
        line = file.readline(1024).decode("ascii", "replace")
        match line.split():
            case ["format", kind, *_] if kind != "binary_little_endian":
                raise InputError(f"{path}: format {kind}; only binary_little_endian is read")
            case ["element", "vertex", number] if number.isdecimal() and count is None:
                count, in_vertices = int(number), True
            case ["element", name, *_] if count is None:
                raise InputError(f"{path}: element {name!r} comes before the vertices; expected a cloud of Gaussians")
            case ["element", *_]:
                in_vertices = False
            case ["property", kind, name] if in_vertices and kind in _TYPES and name not in dict(fields):
                fields.append((name, _TYPES[kind]))
            case ["property", *_] if in_vertices:
                raise InputError(f"{path}: cannot read {line.strip()!r}; expected a cloud of Gaussians")
            case ["end_header"] if count is not None:
                return count, np.dtype(fields)
        if not line:
            break
    raise InputError(f"{path}: its header is cut short")
