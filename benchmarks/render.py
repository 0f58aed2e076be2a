"""How many frames a second a trained head renders: field, rasteriser and composition, without reading or encoding.

    python benchmarks/render.py results/May [--size 512] [--frames 100]

The head is rendered at any size whatever it was trained at; times are medians over the frames. The last column says
how many times real time (25 frames a second) that is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import torch

from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.test import Row, TestStage
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import FPS, Subject


def scaled(camera: Camera, size: int) -> Camera:
    """The same view in a picture of another size."""
    factor = size / camera.width
    K = camera.K.clone()
    K[:2] *= factor
    return Camera(camera.viewmat, K, size, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", type=Path, help="folder of an actor, e.g. results/May")
    parser.add_argument("--size", type=int, nargs="*", default=[256, 512])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    subject, device = Subject(options.actor), torch.device(options.device)
    head = load_head(options.actor / "model" / "fused.safetensors")
    stage = TestStage(subject, head, RenderingSettings(), 0, device)
    controls = stage.controls(Row("ours", ("audio", "pose", "action_units", "torso"), ""))
    assert controls is not None
    count = f"{len(head.face.cloud)} + {len(head.mouth.cloud)} Gaussians, {torch.get_num_threads()} threads"
    print(f"{options.actor.name}: {count}\n{'size':>6} {'ms':>8} {'frames/s':>9} {'x real time':>12}")
    for size in options.size:
        frames = [int(f) for f in subject.test_frames[:8]]
        ground = torch.rand(size, size, 3, device=device)
        inputs = [(scaled(stage.camera(f), size), controls(f), ground) for f in frames]
        times = []
        for index in range(options.frames + 5):
            start = time.perf_counter()
            to_bytes(stage.renderer(*inputs[index % len(inputs)])).cpu()
            times.append(time.perf_counter() - start)
        seconds = median(times[5:])
        print(f"{size:6d} {1000 * seconds:8.1f} {1 / seconds:9.1f} {1 / seconds / FPS:12.1f}")


if __name__ == "__main__":
    main()
