"""Where the head is unsure: maps of the predicted deviation beside each held-out frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.media.encode import write_video
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import atomic, progress

DEVIATION, RESIDUAL = "deviation.npy", "training_residual.npy"
RESIDUAL_FRAMES = 60  # training frames that the map of the mean error is made of, evenly taken
FULL_SCALE = 0.2  # deviation of a colour in 0..1 that the pictures show as white

Place = Callable[[int], Camera]
Behind = Callable[[int], Tensor]


def write_uncertainty(
    folder: Path,
    subject: Subject,
    renderer: HeadRenderer,
    controls: ControlTrack,
    camera: Place,
    background: Behind,
    sound: np.ndarray,
) -> dict[str, str]:
    """Write `deviation.npy` float16 [n, H, W] of the held-out frames (root of the predicted variance), the film of it,
    and `training_residual.npy` float32 [H, W], the mean error of training frames, which any head knows for nothing.

    Returns: the files' names, for test.json.
    """
    test = subject.test_frames
    shape = subject.video.shape[1:3]
    with atomic(folder / DEVIATION) as temporary:
        maps = np.lib.format.open_memmap(temporary, "w+", np.float16, (len(test), *shape))
        with torch.no_grad():
            for index, frame in enumerate(progress(test, "uncertainty")):
                maps[index] = renderer.variance(camera(frame), controls(frame)).sqrt().cpu().numpy()
        maps.flush()
    with atomic(folder / RESIDUAL) as temporary:
        np.save(temporary, training_residual(subject, renderer, controls, camera, background))
    write_video(folder / "deviation.mp4", coloured(np.load(folder / DEVIATION, mmap_mode="r")), audio=sound)
    return {"deviation": f"{folder.name}/{DEVIATION}", "training_residual": f"{folder.name}/{RESIDUAL}"}


def training_residual(
    subject: Subject, renderer: HeadRenderer, controls: ControlTrack, camera: Place, background: Behind
) -> np.ndarray:
    """Mean error [H, W] (root mean square of the channels, 0..1) of training frames driven by their speech."""
    train = subject.train_frames
    chosen = train[np.linspace(0, len(train) - 1, min(len(train), RESIDUAL_FRAMES)).round().astype(int)]
    total = np.zeros(subject.video.shape[1:3], np.float32)
    for frame in chosen:
        shown = renderer(camera(frame), controls(frame), background(frame)).cpu().numpy()
        total += np.sqrt(((shown - subject.video[frame].astype(np.float32) / 255) ** 2).mean(-1))
    return total / len(chosen)


def coloured(maps: np.ndarray) -> Iterator[np.ndarray]:
    """Deviations [n, H, W] as pictures uint8 [H, W, 3]: black is sure, red to yellow to white is not."""
    for deviation in maps:
        yield heat(np.asarray(deviation, np.float32) / FULL_SCALE)


def heat(values: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of values [H, W]: 0 black, 1/3 red, 2/3 yellow, 1 white."""
    ramps = [np.clip(3 * values - start, 0, 1) for start in (0, 1, 2)]
    return (np.stack(ramps, -1) * 255 + 0.5).astype(np.uint8)


def columns(folder: Path, chosen: Iterable[int]) -> list[np.ndarray]:
    """Pictures of some held-out frames' deviation."""
    maps = np.load(folder / DEVIATION, mmap_mode="r")
    return [heat(np.asarray(maps[index], np.float32) / FULL_SCALE) for index in chosen]
