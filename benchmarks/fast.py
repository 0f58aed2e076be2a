"""How far the pictures of the fast mode are from those of the full ensemble.

    python -m benchmarks.fast results/May [--voice speech.wav] [--sheet sheet.png]

The held-out frames, driven by their sound, pose and action units, or with --voice those of a foreign voice. Differences
are of pictures in 8 bits; deviation is what the head predicts of its colours, of which the mean ratio (fast over full)
and the correlation over pixels are told. Against the truth, where there is one: PSNR of the whole frame, LMD in px, and
correlation and amplitude of the mouth's opening given the head's pose; of both heads, and of one against the other.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.media.samples import store_sound
from ua3dtalk.metrics.cross import find_faces
from ua3dtalk.metrics.lips import gain, head_pose, lip_distance, mouth_opening, partial_correlation
from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.fast import fast
from ua3dtalk.rendering.head import Controls, Head, load_head
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.rendering.replay import Still
from ua3dtalk.rendering.say import open_actor, whisper_folder
from ua3dtalk.rendering.test import Row, TestStage
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import Subject

CPU = torch.device("cpu")
SHOWN, TIMES = 6, 10  # columns of the sheet, and by how much it shows differences larger
Frame = tuple[Camera, Controls, torch.Tensor]


def held_out(subject: Subject, head: Head) -> Iterator[Frame]:
    stage = TestStage(subject, head, RenderingSettings(), 0, CPU)
    controls = stage.controls(Row("ours", ("audio", "pose", "action_units", "torso"), ""))
    assert controls is not None
    for frame in map(int, subject.test_frames):
        yield stage.camera(frame), controls(frame), stage.background(frame)


def saying(subject: Subject, head: Head, voice: Path) -> Iterator[Frame]:
    driver = Driver(subject, head, Ears(subject, head, whisper_folder(subject)), Still(subject, CPU), 0, CPU)
    with tempfile.TemporaryDirectory() as folder:
        for cue in driver.cues(store_sound(voice, Path(folder) / "heard.wav")):
            yield cue.stance.camera, cue.controls, cue.stance.background


def psnr(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each frame of uint8 [n, H, W, 3]; 99 where they are equal."""
    errors = np.square(pictures.astype(np.float32) - others).mean((1, 2, 3))
    return np.minimum(10 * np.log10(255**2 / np.maximum(errors, 1e-9)), 99.0)


def lips(name: str, points: np.ndarray, others: np.ndarray, poses: np.ndarray | None) -> None:
    told = f"{name}: LMD {lip_distance(points, others).mean():.3f} px"
    openings = mouth_opening(points), mouth_opening(others)
    if poses is None:
        told += f", opening r {np.corrcoef(*openings)[0, 1]:.4f}, gain {openings[0].std() / openings[1].std():.3f}"
    else:
        told += f", opening r {partial_correlation(*openings, poses):.4f}, gain {gain(*openings, poses):.3f}"
    print(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", help="name under results/, or a folder")
    parser.add_argument("--voice", type=Path, help="a foreign voice in place of the held-out frames")
    parser.add_argument("--sheet", type=Path, help="a picture: full, fast, and their difference ten times as large")
    options = parser.parse_args()
    subject = open_actor(options.actor)
    model = subject.path("model/fused.safetensors")
    head, folded = load_head(model).to(CPU), fast(load_head(model), subject).to(CPU)
    frames = saying(subject, head, options.voice) if options.voice else held_out(subject, head)
    renderers = HeadRenderer(head, CPU), HeadRenderer(folded, CPU)
    shown: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    ratios, correlations = [], []
    for camera, controls, background in frames:
        maps = []
        for pictures, renderer in zip(shown, renderers, strict=True):
            pictures.append(to_bytes(renderer(camera, controls, background)).numpy())
            if head.uncertain:
                with torch.no_grad():
                    maps.append(renderer.variance(camera, controls).sqrt().numpy())
        if maps:
            ratios.append((maps[1] / maps[0]).mean())
            correlations.append(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1])
    full, quick = (np.stack(pictures) for pictures in shown)
    apart, between = np.abs(full.astype(np.int16) - quick), psnr(full, quick)
    print(
        f"{subject.name}, {len(full)} frames: fast against full PSNR {between.mean():.1f} (least {between.min():.1f}), "
        f"difference {apart.mean():.3f} of 255 (largest {apart.max()})"
    )
    if ratios:
        print(f"deviation: ratio {np.mean(ratios):.3f}, correlation {np.mean(correlations):.4f}")
    landmarker = fetch("face_landmarker")
    points = [find_faces(landmarker, iter(pictures)).points for pictures in (full, quick)]
    lips("fast against full", points[1], points[0], None)
    if options.voice is None:
        truth = np.stack([subject.video[frame] for frame in subject.test_frames])
        true_points = find_faces(landmarker, iter(truth)).points
        poses = head_pose(subject.tracking.world_to_camera[subject.test_frames])
        for name, pictures, own in (("full", full, points[0]), ("fast", quick, points[1])):
            print(f"{name} against truth: PSNR {psnr(pictures, truth).mean():.3f}")
            lips(f"{name} against truth", own, true_points, poses)
    if options.sheet:
        worst = np.sort(np.argsort(between)[:SHOWN])
        larger = np.clip(TIMES * apart[worst], 0, 255).astype(np.uint8)
        cv2.imwrite(
            str(options.sheet), np.vstack([np.hstack(list(s)) for s in (full[worst], quick[worst], larger)])[..., ::-1]
        )


if __name__ == "__main__":
    main()
