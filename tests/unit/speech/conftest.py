"""What the tests of speech share: clips on the frame index, bundles with sound, the model where it can be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.subject import AUDIO_RATE, Clip, Subject


@pytest.fixture(scope="session")
def whisper_folder() -> Path:
    try:
        return fetch("whisper_base")
    except AssetError as error:
        pytest.skip(f"whisper_base cannot be had here: {error}")


@pytest.fixture
def lay_clips() -> Callable[..., tuple[Clip, ...]]:
    """A function that lays clips of the given lengths end to end."""

    def lay(*lengths: int) -> tuple[Clip, ...]:
        firsts = np.cumsum([0, *lengths]).tolist()
        return tuple(
            Clip(f"clip{k}.mp4", "0" * 64, first, length, first + length - length // 3, None, 25.0, 64, 64, (0, 0, 64))
            for k, (first, length) in enumerate(zip(firsts, lengths, strict=False))
        )

    return lay


@pytest.fixture
def make_bundle(tmp_path: Path, lay_clips: Callable[..., tuple[Clip, ...]]) -> Callable[..., Subject]:
    """A function that writes audio.wav and clips.json."""

    def make(samples: np.ndarray, *lengths: int) -> Subject:
        document = {"clips": [asdict(clip) for clip in lay_clips(*lengths)]}
        (tmp_path / "clips.json").write_text(json.dumps(document))
        soundfile.write(tmp_path / "audio.wav", samples, AUDIO_RATE, subtype="PCM_16")
        return Subject(tmp_path)

    return make
