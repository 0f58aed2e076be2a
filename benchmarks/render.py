"""How many frames a second a trained head renders: field, rasteriser and composition, without reading or encoding.

    python benchmarks/render.py results/May [--size 512] [--frames 100]

The head is rendered at any size whatever it was trained at; times are medians over the frames. The column `x real time`
says how many times 25 frames a second that is.

    python benchmarks/render.py results/May --fast

adds the head folded as `ua3dtalk say --fast` does it, frame by frame beside the full one, so that neighbours on the
machine slow both alike; `fast/full` is the median of the pairs' ratios. How the pictures differ: `benchmarks.fast`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import torch

from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.fast import fast
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.renderer import HeadRenderer
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
    parser.add_argument("--fast", action="store_true", help="the folded head beside the full one")
    options = parser.parse_args()
    subject, device = Subject(options.actor), torch.device(options.device)
    head = load_head(options.actor / "model" / "fused.safetensors")
    stage = TestStage(subject, head, RenderingSettings(), 0, device)
    renderers = {"full": stage.renderer}
    if options.fast:
        folded = fast(load_head(options.actor / "model" / "fused.safetensors"), subject).to(device)
        renderers["fast"] = HeadRenderer(folded, device)
    controls = stage.controls(Row("ours", ("audio", "pose", "action_units", "torso"), ""))
    assert controls is not None
    count = f"{len(head.face.cloud)} + {len(head.mouth.cloud)} Gaussians, {torch.get_num_threads()} threads"
    print(f"{options.actor.name}: {count}")
    print(f"{'size':>6} {'head':>6} {'ms':>8} {'frames/s':>9} {'x real time':>12} {'fast/full':>10}")
    for size in options.size:
        frames = [int(f) for f in subject.test_frames[:8]]
        ground = torch.rand(size, size, 3, device=device)
        inputs = [(scaled(stage.camera(f), size), controls(f), ground) for f in frames]
        times: dict[str, list[float]] = {name: [] for name in renderers}
        for index in range(options.frames + 5):
            for name, renderer in renderers.items():
                start = time.perf_counter()
                to_bytes(renderer(*inputs[index % len(inputs)])).cpu()
                times[name].append(time.perf_counter() - start)
        for name, each in times.items():
            seconds = median(each[5:])
            ratio = median(full / own for full, own in zip(times["full"][5:], each[5:], strict=True))
            times_real = 1 / seconds / FPS
            print(f"{size:6d} {name:>6} {1000 * seconds:8.1f} {1 / seconds:9.1f} {times_real:12.1f} {ratio:10.2f}")


if __name__ == "__main__":
    main()
