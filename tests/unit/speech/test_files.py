"""Features of other tools: shapes and widths are read from the file, lengths have to fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import ConfigError, InputError
from ua3dtalk.speech.files import fit_length, load_tokens, read_features
from ua3dtalk.subject import Clip

Lay = Callable[..., tuple[Clip, ...]]


def deepspeech_windows(tokens: np.ndarray, width: int = 16) -> np.ndarray:
    """As AD-NeRF's script cuts them: zeros on both sides, a window of 16 every second token."""
    padded = np.concatenate([np.zeros((width // 2, tokens.shape[1])), tokens, np.zeros((width // 2, tokens.shape[1]))])
    return np.stack([padded[start : start + width] for start in range(0, len(tokens), 2)])


def save(path: Path, array: np.ndarray) -> str:
    np.save(path, array)
    return str(path)


@pytest.mark.parametrize("width", [29, 44, 7])
def test_deepspeech_windows_give_their_tokens_back(tmp_path: Path, width: int) -> None:
    tokens = np.random.default_rng(0).normal(size=(40, width)).astype(np.float16)
    path = save(tmp_path / "aud.npy", deepspeech_windows(tokens.astype(np.float64)))
    np.testing.assert_array_equal(load_tokens(Path(path), 20), tokens)


def test_hubert_pairs_and_plain_tokens(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(40, 1024)).astype(np.float16)
    pairs = save(tmp_path / "hu.npy", tokens.reshape(20, 2, 1024).astype(np.float32))
    plain = save(tmp_path / "w2v.npy", tokens)
    np.testing.assert_array_equal(load_tokens(Path(pairs), 20), tokens)
    np.testing.assert_array_equal(load_tokens(Path(plain), 20), tokens)


@pytest.mark.parametrize("extra", [-4, -1, 0, 3, 4])
def test_two_frames_too_many_or_too_few_are_mended(extra: int) -> None:
    tokens = np.arange(40 + extra, dtype=np.float16)[:, None]
    fitted = fit_length(tokens, 20, "x.npy")
    assert fitted.shape == (40, 1)
    np.testing.assert_array_equal(fitted[:, 0], np.minimum(np.arange(40), 39 + min(extra, 0)))


@pytest.mark.parametrize("extra", [-5, 5, 40])
def test_more_than_two_frames_apart_is_one_line(extra: int) -> None:
    with pytest.raises(InputError, match=r"x\.npy covers .* frames of 25 fps, the video has 20") as caught:
        fit_length(np.zeros((40 + extra, 3), np.float16), 20, "x.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((40, 3), np.int64), "expected floats"),
        (np.zeros(40), "expected floats"),
        (np.zeros((0, 3)), "expected floats"),
        (np.zeros((20, 3, 8)), "an even number is needed"),
        (np.full((40, 3), np.nan), "not finite"),
        (np.full((40, 3), 1e9), "not finite"),
    ],
)
def test_unusable_arrays_are_one_line(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = save(tmp_path / "bad.npy", array)
    with pytest.raises(InputError, match=message), np.errstate(over="ignore"):
        load_tokens(Path(path), 20)


def test_missing_text_and_pickled_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_tokens(tmp_path / "no.npy", 20)
    (tmp_path / "text.npy").write_text("not numbers")
    with pytest.raises(InputError, match=r"not a \.npy"):
        load_tokens(tmp_path / "text.npy", 20)
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a \.npy"):
        load_tokens(tmp_path / "object.npy", 20)


def test_several_clips_take_a_file_each(tmp_path: Path, lay_clips: Lay) -> None:
    clips = lay_clips(5, 8)
    for k, clip in enumerate(clips):
        np.save(tmp_path / f"clip{k}.npy", np.full((2 * clip.length, 6), k, np.float32))
    features = read_features(str(tmp_path / "{clip}.npy"), clips)
    assert features[:, 0].tolist() == [0] * 10 + [1] * 16
    with pytest.raises(ConfigError, match=r"speech\.features_file: 2 clips need a file each"):
        read_features(str(tmp_path / "clip0.npy"), clips)
    np.save(tmp_path / "clip1.npy", np.zeros((16, 7), np.float32))
    with pytest.raises(InputError, match="different widths"):
        read_features(str(tmp_path / "{clip}.npy"), clips)
