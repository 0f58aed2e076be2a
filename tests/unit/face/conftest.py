"""What the tests of the face stages share: bundles written on the spot and the models, where they can be had."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.subject import FPS, Subject, split_point


def _asset(name: str) -> Path:
    try:
        return fetch(name)
    except AssetError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


@pytest.fixture(scope="session")
def landmarker_model() -> Path:
    return _asset("face_landmarker")


@pytest.fixture(scope="session")
def parser_weights() -> Path:
    return _asset("bisenet")


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Subject]:
    """A function that writes video.npy and clips.json: frames uint8 [T, H, W, 3], lengths of the clips."""

    def make(video: np.ndarray, lengths: Sequence[int] | None = None) -> Subject:
        lengths = list(lengths or [len(video)])
        clips, first = [], 0
        for length, trained in zip(lengths, split_point(lengths), strict=True):
            clips.append(
                {
                    "path": f"clip{first}.mp4",
                    "sha256": "0" * 64,
                    "first": first,
                    "length": length,
                    "test_first": first + trained,
                    "emotion": None,
                    "fps": float(FPS),
                    "width": video.shape[2],
                    "height": video.shape[1],
                    "crop": [0, 0, video.shape[1]],
                }
            )
            first += length
        document = {"state": "0", "fps": FPS, "size": video.shape[1], "frames": len(video), "clips": clips}
        (tmp_path / "clips.json").write_text(json.dumps(document))
        np.save(tmp_path / "video.npy", video)
        return Subject(tmp_path)

    return make
