"""The native kernels as a ctypes library, in the variant that suits this processor.

The shared objects are built by ``pip install .`` from the folder ``native/``; their C interface is
``native/interface.h``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
import threading
from ctypes import c_char_p, c_double, c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch  # noqa: F401  (before the library, so that both share one OpenMP)

from ua3dtalk.errors import UserError

ABI = 3  # UA3D_ABI in native/interface.h
ISAS = ("baseline", "avx2", "avx512")  # each one needs what the ones before it need
_P = c_void_p
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "ua3d_project": (c_int32, [c_int64] + [_P] * 6 + [c_int32] * 2 + [c_float] * 3 + [_P] * 4 + [c_int32]),
    "ua3d_project_backward": (c_int32, [c_int64] + [_P] * 5 + [c_int32] * 2 + [c_float] + [_P] * 9 + [c_int32]),
    "ua3d_rasterise": (_P, [c_int64] + [c_int32] * 2 + [_P] * 6 + [c_int32] * 2 + [_P] * 2 + [c_int32]),
    "ua3d_rasterise_backward": (c_int32, [_P] * 9 + [c_int32]),
    "ua3d_rasterise_free": (None, [_P]),
    "ua3d_harmonics": (c_int32, [c_int64] + [c_int32] * 2 + [_P] * 3 + [c_int32]),
    "ua3d_harmonics_backward": (c_int32, [c_int64] + [c_int32] * 2 + [_P] * 6 + [c_int32]),
    "ua3d_l1_ssim": (c_int32, [_P] * 3 + [c_int32] * 3 + [c_float] * 2 + [ctypes.POINTER(c_double), c_int32]),
    "ua3d_fuse_saved": (c_int64, [c_int64, c_int32]),
    "ua3d_fuse": (c_int32, [c_int64] + [c_int32] * 2 + [_P] * 7 + [c_int32]),
    "ua3d_fuse_backward": (c_int32, [c_int64] + [c_int32] * 2 + [_P] * 10 + [c_int32]),
    "ua3d_mesh_rasterise": (c_int32, [c_int64, _P, c_int64, _P, c_int32, c_int32, _P, _P, _P]),
    "ua3d_mesh_interpolate": (c_int32, [c_int64, _P, _P, _P, c_int32, _P, _P]),
}

_loaded: dict[str, ctypes.CDLL] = {}
_lock = threading.Lock()


def library(isa: str | None = None) -> ctypes.CDLL:
    """The library for this processor.

    Args:
        isa: one of ISAS; by default the environment's ``UA3DTALK_ISA``, else the best this machine can run.
    Raises:
        UserError: the library is not built, is of another version, or the machine cannot run the variant asked for.
    """
    key = isa or os.environ.get("UA3DTALK_ISA", "")
    with _lock:
        if key not in _loaded:
            name = _checked(key) if key else available()[-1]
            _loaded[key] = _open(name)
        return _loaded[key]


def available() -> tuple[str, ...]:
    """The variants that are built and that this machine can run, the best one last."""
    best = _open("baseline").ua3d_best_isa().decode()
    return tuple(isa for isa in ISAS[: ISAS.index(best) + 1] if _find(isa))


def is_available() -> bool:
    """Whether ``library()`` works here."""
    try:
        library()
    except UserError:
        return False
    return True


def _checked(isa: str) -> str:
    if isa not in available():
        raise UserError(f"UA3DTALK_ISA={isa!r} cannot be used here; choose one of {', '.join(available())}")
    return isa


def _folders() -> list[Path]:
    """Beside this file (a wheel), or in the site-packages that an editable install writes to."""
    roots = [sysconfig.get_paths()["platlib"], sysconfig.get_paths()["purelib"], *sys.path]
    return [Path(__file__).parent, *(Path(root) / "ua3dtalk" / "native" for root in roots if root)]


def _find(isa: str) -> Path | None:
    candidates = (folder / f"libua3dtalk-{isa}.so" for folder in _folders())
    return next((path for path in candidates if path.is_file()), None)


def _open(isa: str) -> ctypes.CDLL:
    path = _find(isa)
    if path is None:
        raise UserError("the native kernels are not built: run 'make install' (or 'pip install .') in the checkout")
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be loaded ({error}): run 'make install' again") from error
    lib.ua3d_isa.restype = lib.ua3d_best_isa.restype = c_char_p
    if lib.ua3d_abi() != ABI:
        raise UserError(f"{path} is of another version than the package: run 'make install' again")
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
