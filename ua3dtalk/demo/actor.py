"""The built-in actor May: clips of nobody, and beside them the truth of everything that is seen and heard."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.demo.child import finish, start_module
from ua3dtalk.demo.draw import Scene, make_scene, save_scene
from ua3dtalk.demo.figure import build_figure
from ua3dtalk.demo.frames import draw_frames
from ua3dtalk.demo.performance import Motion, move
from ua3dtalk.demo.pose import camera
from ua3dtalk.demo.script import SCRIPT, Performance, perform
from ua3dtalk.demo.truth import contact_sheet, write_truth
from ua3dtalk.errors import InputError
from ua3dtalk.subject import FPS
from ua3dtalk.workflow import atomic

SECONDS = 24.0
SIZE = 512
FINE_ABOVE = 200  # px; smaller pictures need no fine mesh


def make_actor(
    out_clips: Sequence[Path],
    out_truth: Path,
    picture: Path | None = None,
    *,
    mesh: Path,
    seconds: float = SECONDS,
    size: int = SIZE,
    seed: int = 0,
    workers: int = 2,
    state: str = "",
) -> None:
    """Make the clips (h264 and aac), one for each emotion, their truth, and a contact sheet.

    Args:
        out_clips: an `.mp4` for each stretch of the script, in its order; laid end to end their frames are the truth's.
        out_truth: `.npz`, see docs/built-in-actor.md; picture: `.png` or None.
        mesh: the wheel of the open head mesh, or the folder of its members.
        seconds: of all clips; each of the three emotions gets a third. size: side in px, even.
        workers: processes that draw; 0 draws in this one.
    Raises:
        AssetError: the mesh or espeak-ng is missing.
        InputError: length or size make no clip.
    """
    if len(out_clips) != len(SCRIPT):
        raise ValueError(f"the script has {len(SCRIPT)} stretches, {len(out_clips)} clips were asked for")
    frames = round(seconds * FPS)
    if frames < 6 or size < 32 or size % 2:
        raise InputError(
            f"the built-in actor needs 0.24 s and an even size of 32 px or more, not {seconds} s, {size} px"
        )
    performance = perform(frames)
    motion = move(performance, seed)
    fine = size > FINE_ABOVE
    scene = make_scene(build_figure(Path(mesh), seed, detail=2 if fine else 1), prune=fine)
    with tempfile.TemporaryDirectory(dir=_existing(Path(out_truth).parent)) as folder:
        video, regions = _draw_all(scene, motion, size, workers, Path(folder))
        for out, (first, end) in zip(out_clips, performance.stretches, strict=True):
            with atomic(out) as path:
                encode_clip(path, video[first:end], _sound(performance, first, end), performance.rate)
        with atomic(out_truth) as path:
            write_truth(path, scene.figure, motion, performance, camera(size), regions, state, seed)
        if picture is not None:
            with atomic(picture) as path:
                contact_sheet(path, video, regions, performance)
        del video, regions


def _sound(performance: Performance, first: int, end: int) -> np.ndarray:
    """The samples of frames first .. end - 1."""
    start, stop = (round(frame / FPS * performance.rate) for frame in (first, end))
    return performance.sound[start:stop]


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _draw_all(scene: Scene, motion: Motion, size: int, workers: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(video [T, H, W, 3], regions [T, H, W]) as files in `folder` that the workers fill."""
    frames = len(motion.blendshapes)
    shapes = {"video": (frames, size, size, 3), "regions": (frames, size, size)}
    arrays = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape) for name, shape in shapes.items()
    ]
    video, regions = arrays
    if workers == 0:
        draw_frames(scene, motion, video, regions, range(frames))
        return video, regions
    save_scene(folder / "scene.npz", scene)
    np.savez(folder / "motion.npz", blendshapes=motion.blendshapes, head=motion.head, torso=motion.torso)
    others = range(1, workers)
    children = [start_module("ua3dtalk.demo.frames", str(folder), str(worker), str(workers)) for worker in others]
    # This process draws a share too: its progress is the one that reaches the terminal.
    draw_frames(scene, motion, video, regions, range(0, frames, workers))
    for child in children:
        finish(child)
    return video, regions


def encode_clip(path: Path, video: np.ndarray, sound: np.ndarray, rate: int) -> None:
    """Write h264 (crf 12, 4:2:0) and aac at 44.1 kHz.

    Args:
        video: uint8 [T, H, W, 3]; sound: float32 [N] mono at `rate`.
    """
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "veryfast", "threads": "2"})
        picture.width, picture.height, picture.pix_fmt = video.shape[2], video.shape[1], "yuv420p"
        voice = container.add_stream("aac", rate=44_100, layout="mono")
        voice.bit_rate = 128_000
        for image in video:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(picture.encode(None))
        _encode_sound(container, voice, sound, rate)


def _encode_sound(container: Any, voice: Any, sound: np.ndarray, rate: int) -> None:
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono", rate=44_100)
    whole = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    whole.rate, whole.pts = rate, 0
    fifo = av.AudioFifo()
    for piece in (*resampler.resample(whole), *resampler.resample(None)):
        piece.pts = None
        fifo.write(piece)
    position = 0
    while (packet := fifo.read(1024, partial=True)) is not None:
        packet.pts, position = position, position + packet.samples
        container.mux(voice.encode(packet))
    container.mux(voice.encode(None))
