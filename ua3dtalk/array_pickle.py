"""Reading the one weight file that is published as a pickle, without running what a pickle may hold."""

from __future__ import annotations

import pickle
from pathlib import Path

from ua3dtalk.errors import AssetError
from ua3dtalk.reading import MOST_BESIDES, cause, limited_memory, open_regular


def read_numpy_pickle(path: Path | str) -> object:
    """Read a pickle that may hold nothing but numpy arrays in plain containers.

    A pickle can call any function when it is loaded. This reader allows the few names that rebuild an array and
    refuses every other one before it is called.
    """
    try:
        # A damaged pickle may ask for gigabytes in a few bytes.
        with open_regular(path) as stream, limited_memory(MOST_BESIDES + 3 * Path(path).stat().st_size):
            return _ArrayUnpickler(stream, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may break anything
        raise AssetError(f"{path} is not a pickle of plain numpy arrays ({cause(error)}): do not use it") from error


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        import numpy as np

        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module == "_codecs" and name == "encode":  # how old protocols write bytes
            return lambda text, encoding: str(text).encode("latin1")
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
