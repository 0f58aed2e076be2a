"""Finding the library, choosing a variant, and one line when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ua3dtalk import native
from ua3dtalk.errors import UserError

needs_native = pytest.mark.skipif(not native.is_available(), reason="the native kernels are not built")


@needs_native
def test_the_best_variant_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UA3DTALK_ISA", raising=False)
    assert native.library().ua3d_isa().decode() == native.available()[-1]
    assert native.available()[0] == "baseline"


@needs_native
def test_the_variant_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for isa in native.available():
        monkeypatch.setenv("UA3DTALK_ISA", isa)
        assert native.library().ua3d_isa().decode() == isa
    monkeypatch.setenv("UA3DTALK_ISA", "sse9")
    with pytest.raises(UserError, match="baseline"):
        native.library()


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "_folders", lambda: [tmp_path])
    monkeypatch.setattr(native, "_loaded", {})
    assert not native.is_available()
    with pytest.raises(UserError, match="make install") as caught:
        native.library()
    assert "\n" not in str(caught.value)


def test_a_broken_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libua3dtalk-baseline.so").write_bytes(b"not a library")
    monkeypatch.setattr(native, "_folders", lambda: [tmp_path])
    monkeypatch.setattr(native, "_loaded", {})
    with pytest.raises(UserError, match="make install"):
        native.library()


@needs_native
def test_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "ABI", native.ABI + 1)
    monkeypatch.setattr(native, "_loaded", {})
    with pytest.raises(UserError, match="another version"):
        native.library()
