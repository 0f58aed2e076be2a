"""Windows of speech: centred, edge-replicated, never across a clip's border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ua3dtalk.speech.windows import mel_windows, row_windows, token_windows
from ua3dtalk.subject import Clip, Speech


def lay(lengths: list[int]) -> tuple[Clip, ...]:
    firsts = np.cumsum([0, *lengths]).tolist()
    return tuple(
        Clip("c", "0", first, length, first, None, 25.0, 8, 8, (0, 0, 8))
        for first, length in zip(firsts, lengths, strict=False)
    )


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    radius=st.integers(0, 12),
    per_frame=st.sampled_from([2, 4]),
)
def test_windows_agree_with_a_loop_over_each_clip(lengths: list[int], radius: int, per_frame: int) -> None:
    clips, total = lay(lengths), sum(lengths)
    rows = np.arange(total * per_frame, dtype=np.float32)[:, None]
    frames = np.arange(total)[::-1]
    windows = row_windows(rows, per_frame, clips, frames, radius)
    assert windows.shape == (total, 2 * radius + per_frame, 1)
    for window, frame in zip(windows, frames, strict=True):
        clip = next(clip for clip in clips if clip.first <= frame < clip.end)
        own = rows[clip.first * per_frame : clip.end * per_frame, 0]
        padded = np.pad(own, radius, mode="edge")
        start = (frame - clip.first) * per_frame
        np.testing.assert_array_equal(window[:, 0], padded[start : start + 2 * radius + per_frame])


@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=4), radius=st.integers(0, 30))
def test_windows_never_cross_a_border(lengths: list[int], radius: int) -> None:
    clips, total = lay(lengths), sum(lengths)
    which = np.repeat(np.arange(len(lengths)), lengths)
    windows = row_windows(np.repeat(which, 2)[:, None], 2, clips, np.arange(total), radius)
    assert (windows[..., 0] == which[:, None]).all()


def test_a_frame_s_own_tokens_stand_in_the_middle() -> None:
    clips = lay([10])
    speech = Speech(np.arange(20.0)[:, None], np.arange(40.0)[:, None], "test")
    assert token_windows(speech, clips, np.array([3]), 4)[0, 4:6, 0].tolist() == [6, 7]
    assert mel_windows(speech, clips, np.array([3]), 6)[0, 6:10, 0].tolist() == [12, 13, 14, 15]


def test_frames_outside_the_clips_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.9"):
        row_windows(np.zeros((20, 1)), 2, lay([10]), np.array([10]), 1)
    with pytest.raises(ValueError, match="negative"):
        row_windows(np.zeros((20, 1)), 2, lay([10]), np.array([1]), -1)
