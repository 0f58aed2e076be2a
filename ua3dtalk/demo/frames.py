"""A child process that draws its share of the built-in actor's frames.

``python -m ua3dtalk.demo.frames FOLDER WORKER WORKERS``: the folder holds `scene.npz`, `motion.npz`, and the open
arrays `video.npy` and `regions.npy` that are filled in place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ua3dtalk.demo.child import one_line_errors
from ua3dtalk.demo.draw import Scene, draw, load_scene
from ua3dtalk.demo.performance import Motion
from ua3dtalk.workflow import progress


def main(folder: Path, worker: int, workers: int) -> None:
    """Draw frames worker, worker + workers, ..."""
    scene = load_scene(folder / "scene.npz")
    with np.load(folder / "motion.npz", allow_pickle=False) as data:
        motion = Motion(data["blendshapes"], data["head"], data["torso"])
    video = np.load(folder / "video.npy", mmap_mode="r+", allow_pickle=False)
    regions = np.load(folder / "regions.npy", mmap_mode="r+", allow_pickle=False)
    draw_frames(scene, motion, video, regions, range(worker, len(video), workers))
    video.flush()
    regions.flush()


def draw_frames(scene: Scene, motion: Motion, video: np.ndarray, regions: np.ndarray, which: range) -> None:
    """Fill rows of video [T, H, W, 3] and regions [T, H, W]."""
    for index in progress(which, "built-in actor"):
        frame = draw(scene, motion.blendshapes[index], motion.head[index], motion.torso[index], video.shape[1])
        video[index], regions[index] = frame.image, frame.regions


if __name__ == "__main__":
    with one_line_errors():
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
