"""The container of glTF 2.0 binary files: arrays in, one .glb out."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ua3dtalk.workflow import atomic

Kind = Literal["SCALAR", "VEC3", "VEC4"]
WIDTHS: dict[Kind, int] = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
COMPONENT_TYPES = {"b": 5120, "B": 5121, "h": 5122, "H": 5123, "f": 5126}
VERTICES = 34962  # ARRAY_BUFFER
MAGIC, VERSION, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942


class Buffer:
    """The one buffer of a file, and what its document says of it: `views` and `accessors`."""

    def __init__(self) -> None:
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []
        self._bytes = bytearray()

    def blob(self, content: bytes, **more: int) -> int:
        """A view of bytes that are no numbers; returns its index."""
        self._bytes += bytes(-len(self._bytes) % 4)
        self.views.append({"buffer": 0, "byteOffset": len(self._bytes), "byteLength": len(content), **more})
        self._bytes += content
        return len(self.views) - 1

    def vertices(self, values: np.ndarray, kind: Kind, bounds: bool = False) -> int:
        """An attribute [N] or [N, width], of whole numbers if they are normalised; returns the accessor's index."""
        rows = np.ascontiguousarray(values).reshape(len(values), -1)
        width = rows.shape[1] * rows.itemsize
        stride = width + -width % 4  # vertices begin at multiples of four bytes
        padded = np.zeros((len(rows), stride), np.uint8)
        padded[:, :width] = rows.view(np.uint8).reshape(len(rows), width)
        view = self.blob(padded.tobytes(), byteStride=stride, target=VERTICES)
        return self._accessor(rows, kind, view, bounds)

    def track(self, values: np.ndarray, kind: Kind, bounds: bool = False) -> int:
        """Numbers of an animation, float32 [n] or [n, width]; returns the accessor's index."""
        rows = np.ascontiguousarray(values, np.float32).reshape(-1, WIDTHS[kind])
        return self._accessor(rows, kind, self.blob(rows.tobytes()), bounds)

    def zeros(self, count: int) -> int:
        """VEC3 [count] that takes no space: an accessor without a view is all zeros."""
        zero = [0.0, 0.0, 0.0]
        told = {"componentType": COMPONENT_TYPES["f"], "count": count, "type": "VEC3", "min": zero, "max": zero}
        self.accessors.append(told)
        return len(self.accessors) - 1

    def _accessor(self, rows: np.ndarray, kind: Kind, view: int, bounds: bool) -> int:
        told: dict[str, Any] = {"bufferView": view, "componentType": COMPONENT_TYPES[rows.dtype.char]}
        if rows.dtype.kind in "iu":
            told["normalized"] = True
        told |= {"count": len(rows), "type": kind}
        if bounds:
            told |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(told)
        return len(self.accessors) - 1

    def write(self, path: Path, document: dict[str, Any]) -> None:
        """Write the file: the document with the buffer, its views and its accessors added."""
        binary = bytes(self._bytes) + bytes(-len(self._bytes) % 4)
        added = {"buffers": [{"byteLength": len(binary)}], "bufferViews": self.views, "accessors": self.accessors}
        text = json.dumps(document | added, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        with atomic(path) as temporary, temporary.open("wb") as file:
            file.write(struct.pack("<3I", MAGIC, VERSION, 12 + 8 + len(text) + 8 + len(binary)))
            file.write(struct.pack("<2I", len(text), JSON_CHUNK) + text)
            file.write(struct.pack("<2I", len(binary), BINARY_CHUNK) + binary)
