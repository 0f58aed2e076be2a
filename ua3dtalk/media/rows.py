"""A growing .npy file: rows are appended, the header learns their number at the end; memory stays constant."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from ua3dtalk.errors import DataError

# numpy leaves room in the header for a longer first axis, so the header keeps its length when the number is known.
LARGEST = 10**12


class RowWriter:
    """Write ``[T, *shape]`` of one dtype, row by row; a file readable by ``np.load(mmap_mode="r")``."""

    def __init__(self, path: Path | str, shape: tuple[int, ...], dtype: np.dtype | type = np.uint8) -> None:
        self.path, self.shape, self.dtype, self.count = Path(path), shape, np.dtype(dtype), 0
        self.stream = self.path.open("wb")
        self._header(LARGEST)
        self.header_length = self.stream.tell()

    def append(self, row: np.ndarray) -> None:
        """Add one row of the right shape and dtype."""
        if row.shape != self.shape or row.dtype != self.dtype:
            raise ValueError(f"a row is {row.dtype}{row.shape}, not {self.dtype}{self.shape}")
        self.stream.write(np.ascontiguousarray(row).data)
        self.count += 1

    def close(self) -> None:
        """Write the number of rows into the header."""
        if self.stream.closed:
            return
        self.stream.seek(0)
        self._header(self.count)
        if self.stream.tell() != self.header_length:
            raise DataError(f"{self.path}: the header of a .npy file grew; this version of numpy is not supported")
        self.stream.close()

    def _header(self, count: int) -> None:
        fields = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self.stream, {**fields, "shape": (count, *self.shape)})

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.stream.close()
