"""More speech of the built-in actor: lips and sound belong together, and two runs give the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the built-in actor's voice is the extra `demo`")

from ua3dtalk.demo import rehearsal
from ua3dtalk.demo.child import run_module


@pytest.fixture(scope="module")
def one_voice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("rehearsal")
    patch = pytest.MonkeyPatch()
    patch.setattr(rehearsal, "VOICES", rehearsal.VOICES[:1])
    rehearsal.main(folder / "one.npz", "abc")
    patch.undo()
    with np.load(folder / "one.npz") as data:
        return dict(data)


def test_sound_and_lips_have_one_length(one_voice: dict[str, np.ndarray]) -> None:
    (frames,) = one_voice["lengths"]
    assert 15 * 25 < frames <= 30 * 25, "Whisper hears 30 s at a time"
    assert one_voice["sound"].shape == (frames * 640,) and one_voice["blendshapes"].shape == (frames, 52)
    assert str(one_voice["state"]) == "abc" and len(one_voice["names"]) == 52


def test_the_mouth_moves_with_the_sound(one_voice: dict[str, np.ndarray]) -> None:
    """Loudness and jaw have their best correlation within a frame or two of each other."""
    loud = np.log(np.abs(one_voice["sound"].astype(float)).reshape(-1, 640).mean(axis=1) + 10)
    jaw = one_voice["blendshapes"][:, one_voice["names"].tolist().index("jawOpen")]
    found = [np.corrcoef(jaw[15:-15], loud[15 + shift : len(loud) - 15 + shift])[0, 1] for shift in range(-15, 16)]
    assert abs(int(np.argmax(found)) - 15) <= 2 and max(found) > 0.3


def test_a_fresh_process_gives_the_same_samples(tmp_path: Path) -> None:
    for name in "ab":
        run_module("ua3dtalk.demo.rehearsal", str(tmp_path / f"{name}.npz"), "s")
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert all(np.array_equal(a[key], b[key]) for key in a.files)
        assert len(a["lengths"]) == len(rehearsal.VOICES)
