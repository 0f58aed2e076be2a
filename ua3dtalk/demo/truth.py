"""What is known of the built-in actor's clip: written beside it, read back by tests and by the curious."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ua3dtalk.demo.figure import SKIN, Figure
from ua3dtalk.demo.performance import Motion
from ua3dtalk.demo.pose import ROW, head_frame, head_pose, project
from ua3dtalk.demo.script import Performance
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.subject import FPS, Region

REGION_COLOURS = np.array(
    [[20, 20, 20], [232, 190, 160], [120, 70, 20], [60, 90, 230], [240, 220, 90], [90, 200, 90], [220, 60, 70],
     [150, 20, 90], [240, 150, 70], [40, 130, 140], [110, 60, 35], [255, 255, 255], [200, 200, 200]], np.uint8
)  # fmt: skip


def write_truth(
    path: Path,
    figure: Figure,
    motion: Motion,
    performance: Performance,
    K: np.ndarray,
    regions: np.ndarray,
    state: str,
    seed: int,
) -> None:
    """One compressed npz, loads with allow_pickle=False; keys in docs/built-in-actor.md."""
    frames = len(motion.blendshapes)
    marks = landmark_vertices(figure)
    poses = np.stack([head_pose(figure, motion.head[i], motion.torso[i])[0] for i in range(frames)])
    local = np.stack([_mark(figure, motion.blendshapes, which) for which in marks.values()], axis=1)
    points = np.stack([project(K, local[i] @ poses[i, :3, :3].T + poses[i, :3, 3])[:, :2] for i in range(frames)])
    names = list(marks)
    gap = np.linalg.norm(local[:, names.index("upper_lip")] - local[:, names.index("lower_lip")], axis=1)
    closed = _closed_gap(figure, marks)
    eyes = np.linalg.norm(figure.eye_centres[0] - figure.eye_centres[1])
    np.savez_compressed(
        path,
        K=K,
        world_to_camera=poses @ head_frame(),
        blendshapes=motion.blendshapes,
        names=np.array(BLENDSHAPE_NAMES),
        head_motion=motion.head,
        mouth_opening=np.maximum(gap - closed, 0) / eyes,
        points=points.astype(np.float32),
        point_names=np.array(names),
        regions=regions,
        phoneme_symbols=np.array([phoneme.symbol for phoneme in performance.phonemes]),
        phoneme_start=np.array([phoneme.start for phoneme in performance.phonemes]),
        phoneme_end=np.array([phoneme.end for phoneme in performance.phonemes]),
        phoneme_stress=np.array([phoneme.stress for phoneme in performance.phonemes]),
        emotion=performance.emotion.astype(np.uint8),
        emotions=np.array(performance.emotions),
        stretches=np.array(performance.stretches),
        fps=np.array(FPS),
        seed=np.array(seed),
        state=np.array(state),
    )


def read_truth(path: Path) -> dict[str, np.ndarray]:
    """All keys of the truth."""
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def landmark_vertices(figure: Figure) -> Mapping[str, int]:
    """Name -> soft vertex (or -1, -2: centre of the left, right eyeball). Left is the person's left (+x)."""
    rest, skin = figure.rest[: figure.soft], figure.part[: figure.soft] == SKIN
    lips = (figure.masks["lips"][: figure.soft] > 0.5) & skin
    jaw = np.linalg.norm(figure.deltas[ROW["jawOpen"]], axis=1)
    middle = lips & (np.abs(rest[:, 0]) < 0.0015)
    half = 0.5 * float(jaw[middle].max())
    upper, lower = np.flatnonzero(middle & (jaw < half)), np.flatnonzero(middle & (jaw >= half))
    all_lips = np.flatnonzero(lips)
    nose = np.flatnonzero(skin & (np.abs(rest[:, 0]) < 0.002))
    return {
        "left_eye": -1,
        "right_eye": -2,
        "nose_tip": int(nose[rest[nose, 2].argmin()]),
        "mouth_left": int(all_lips[rest[all_lips, 0].argmax()]),
        "mouth_right": int(all_lips[rest[all_lips, 0].argmin()]),
        "upper_lip": int(upper[rest[upper, 1].argmax()]),
        "lower_lip": int(lower[rest[lower, 1].argmin()]),
    }


def _mark(figure: Figure, blendshapes: np.ndarray, which: int) -> np.ndarray:
    """[T, 3] m of one point in the rest frame."""
    if which < 0:
        return np.broadcast_to(figure.eye_centres[-1 - which], (len(blendshapes), 3))
    return figure.rest[which] + blendshapes @ figure.deltas[:, which]


def _closed_gap(figure: Figure, marks: Mapping[str, int]) -> float:
    rest = figure.rest
    return float(np.linalg.norm(rest[marks["upper_lip"]] - rest[marks["lower_lip"]]))


def contact_sheet(
    path: Path, video: np.ndarray, regions: np.ndarray, performance: Performance, tile: int = 256
) -> None:
    """A row of five frames with open eyes for each emotion; at its end the regions of the last one."""
    rows = []
    for first, end in performance.stretches:
        middles = first + (np.arange(5) + 0.5) / 5 * (end - first)
        picks = [_open_eyes(regions, max(int(middle) - 8, first), min(int(middle) + 8, end)) for middle in middles]
        pictures = [*(video[index] for index in picks), REGION_COLOURS[regions[picks[-1]]]]
        tiles = [Image.fromarray(picture).resize((tile, tile), Image.Resampling.BOX) for picture in pictures]
        rows.append(np.concatenate([np.asarray(picture) for picture in tiles], axis=1))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


def _open_eyes(regions: np.ndarray, first: int, end: int) -> int:
    """The frame of first .. end - 1 that shows most of the eyes."""
    return first + int((regions[first:end] == Region.EYES).sum(axis=(1, 2)).argmax())
