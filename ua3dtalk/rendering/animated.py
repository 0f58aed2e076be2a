"""A head that moves as one file: glTF 2.0 with KHR_gaussian_splatting.

Principal components of the motion are morph targets. docs/viewer.md has the file field by field; what glTF has no place
for stands under `extras` of the document.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ua3dtalk import __version__
from ua3dtalk.errors import InputError
from ua3dtalk.face.geometry import rotation_vector
from ua3dtalk.rendering.components import Collector, Components
from ua3dtalk.rendering.drive import Cue, Stage
from ua3dtalk.rendering.glb import Buffer, Kind
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.renderer import Deformed
from ua3dtalk.rendering.transfer import displacement, transferable
from ua3dtalk.rendering.uncertainty import FULL_SCALE
from ua3dtalk.splat.camera import Camera
from ua3dtalk.splat.sh import C0, coefficients
from ua3dtalk.subject import FPS

SPLATS = "KHR_gaussian_splatting"
POSITION, ROTATION, SCALE, DOUBT = "POSITION", f"{SPLATS}:ROTATION", f"{SPLATS}:SCALE", "_DOUBT"
KINDS: dict[str, Kind] = {POSITION: "VEC3", ROTATION: "VEC4", SCALE: "VEC3", DOUBT: "SCALAR"}
# Root mean square that may be left of each: m, parts of a quaternion, m, logarithm of a variance. What is left of the
# picture is then more than 55 dB below it, under a step of 8 bits.
TOLERANCES = {POSITION: 6e-5, ROTATION: 6e-3, SCALE: 8e-6, DOUBT: 2e-2}
MOST = 32  # components of each
BLUR = 0.3  # px^2 that the rasteriser adds to the variances on the screen
TURN = np.array([1.0, -1.0, -1.0])  # from the head's axes (y down, z away) to glTF's (y up, z towards), and back


@dataclass(frozen=True)
class Animation:
    """Everything of a head that says something, but for its sound.

    moving: components of what changes, by attribute; rows are [N * width] in the order of the Gaussians, the face's
    and then the mouth's. opacities [N]; sh [N, K, 3]; mouth_first: where the mouth's begin. cameras: of each frame.
    centre [3]: m, what a camera goes round. faces: how Gaussians move [N, 3] m in emotions that the actor never showed,
    at strength 1; these s together raise the log variance by 2 ln(1 + s) times novelty, for the face and the mouth.
    """

    moving: Mapping[str, Components]
    opacities: np.ndarray
    sh: np.ndarray
    mouth_first: int
    cameras: Sequence[Camera]
    centre: np.ndarray
    faces: Mapping[str, np.ndarray]
    novelty: tuple[float, float] | None


def animate(stage: Stage, cues: Iterable[Cue]) -> Animation:
    """Follow the cues; memory does not grow with their number but for a few numbers of each.

    Raises:
        InputError: there is none.
    """
    collectors = {name: Collector(TOLERANCES[name], MOST) for name in KINDS if name != DOUBT or stage.head.uncertain}
    cameras = []
    for cue in cues:
        rows = _rows(stage.renderer.deformed(cue.controls), stage.head)
        for name, collector in collectors.items():
            collector.add(rows[name])
        cameras.append(cue.stance.camera)
    if not cameras:
        raise InputError("there is no frame to write")
    clouds = (stage.head.face.cloud, stage.head.mouth.cloud)
    degree = coefficients(stage.head.sh_degree)
    return Animation(
        {name: collector.components() for name, collector in collectors.items()},
        np.concatenate([cloud.opacities.cpu().numpy() for cloud in clouds]),
        np.concatenate([cloud.sh[:, :degree].cpu().numpy() for cloud in clouds]),
        len(clouds[0]),
        cameras,
        stage.subject.tracking.neutral.mean(0),
        {label: _carried(stage.head, displacement({label: 1.0})) for label in transferable(stage.subject, stage.head)},
        _novelty(stage.head),
    )


def _carried(head: Head, moved: np.ndarray) -> np.ndarray:
    """How the Gaussians move [N, 3] m where landmarks do, [478, 3] m."""
    found = []
    for branch in (head.face, head.mouth):
        motion, means = branch.net.motion, branch.cloud.means
        landmarks = torch.from_numpy(moved.astype(np.float32)).to(means.device)
        found.append(torch.zeros_like(means) if motion is None else motion.carry(landmarks))
    return torch.cat(found).detach().cpu().numpy()


def _novelty(head: Head) -> tuple[float, float] | None:
    """How much one unit of the logarithm of the views' covariances raises the log variance of face and mouth."""
    if not head.uncertain:
        return None
    face, mouth = (
        float(F.softplus(branch.net.uncertain.confidence.weight).sum())
        for branch in (head.face, head.mouth)
        if branch.net.uncertain is not None
    )
    return face, mouth


def _rows(frame: Deformed, head: Head) -> dict[str, np.ndarray]:
    """What moves, by attribute, flat.

    Quaternions come x first; they keep the length that the edits gave them, over that of the unmoved ones, so that
    what is linear in the edits stays linear.
    """
    lengths = np.concatenate([branch.cloud.quats.norm(dim=1).cpu().numpy() for branch in (head.face, head.mouth)])
    turns = frame.quats.cpu().numpy()[:, [1, 2, 3, 0]] / lengths[:, None]
    found = {POSITION: frame.means.cpu().numpy(), ROTATION: turns, SCALE: frame.scales.cpu().numpy()}
    if frame.log_variance is not None:
        found[DOUBT] = frame.log_variance.cpu().numpy()
    return {name: values.reshape(-1) for name, values in found.items()}


def write_animation(path: Path, animation: Animation, sound: bytes | None, told: Mapping[str, Any]) -> int:
    """Write the file; returns the number of frames.

    Args:
        path: .glb. sound: an .m4a of the same length. told: what the file says of itself (`asset.extras`).
    """
    buffer = Buffer()
    attributes = _attributes(buffer, animation)
    targets, weights, ranges = _targets(buffer, animation)
    expressions = _expressions(buffer, animation, targets)
    weights = np.pad(weights, ((0, 0), (0, len(expressions))))
    count, (width, height) = len(animation.cameras), (animation.cameras[0].width, animation.cameras[0].height)
    intrinsics = np.stack([camera.K.cpu().numpy()[[0, 1, 0, 1], [0, 1, 2, 2]] for camera in animation.cameras])
    extras: dict[str, Any] = {
        "fps": FPS,
        "frames": count,
        "width": width,
        "height": height,
        "blur": BLUR,
        "mouth": animation.mouth_first,
        "centre": [float(value) for value in animation.centre],
        "targets": ranges,
        "expressions": expressions,
        "intrinsics": buffer.track(intrinsics, "VEC4"),
    }
    if animation.novelty is not None:
        extras |= {"white": FULL_SCALE, "novelty": animation.novelty}
    if sound is not None:
        extras["sound"] = {"bufferView": buffer.blob(sound), "mimeType": "audio/mp4"}
    splats = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display", "sortingMethod": "cameraDistance"}
    primitive = {"mode": 0, "attributes": attributes, "targets": targets, "extensions": {SPLATS: splats}}
    if not targets:  # an empty list is none that glTF knows
        del primitive["targets"]
    document = {
        "asset": {"version": "2.0", "generator": f"ua3dtalk {__version__}", "extras": dict(told)},
        "extensionsUsed": [SPLATS, "KHR_mesh_quantization"],
        "extensionsRequired": ["KHR_mesh_quantization"],
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": "head", "mesh": 0, "rotation": [1, 0, 0, 0]}, {"name": "camera", "camera": 0}],
        "meshes": [{"name": "head", "primitives": [primitive]}],
        "cameras": [{"type": "perspective", "perspective": _perspective(intrinsics[0], width, height)}],
        "animations": [_film(buffer, animation.cameras, weights)],
        "extras": {"ua3dtalk": extras},
    }
    buffer.write(path, document)
    return count


def _attributes(buffer: Buffer, animation: Animation) -> dict[str, int]:
    """Accessors of the mean head."""
    mean = {name: each.mean.reshape(len(animation.opacities), -1) for name, each in animation.moving.items()}
    mean[ROTATION] = mean[ROTATION] / np.linalg.norm(mean[ROTATION], axis=1, keepdims=True)
    mean[SCALE] = np.maximum(mean[SCALE], 0)
    found = {
        name: buffer.vertices(values.astype(np.float32), KINDS[name], name == POSITION)
        for name, values in mean.items()
        if name != ROTATION
    }
    found[ROTATION] = buffer.vertices(_normalised(mean[ROTATION], np.int16), "VEC4")
    found[f"{SPLATS}:OPACITY"] = buffer.vertices(_normalised(animation.opacities, np.uint16), "SCALAR")
    for index in range(animation.sh.shape[1]):
        degree = math.isqrt(index)
        name = f"{SPLATS}:SH_DEGREE_{degree}_COEF_{index - degree * degree}"
        found[name] = buffer.vertices(animation.sh[:, index].astype(np.float32), "VEC3")
    plain = np.clip(animation.sh[:, 0] * C0 + 0.5, 0, 1) ** 2.2  # glTF's colours of points are linear light
    colours = np.concatenate([plain, animation.opacities[:, None]], 1)
    found["COLOR_0"] = buffer.vertices(_normalised(colours, np.uint8), "VEC4")
    return found


def _targets(buffer: Buffer, animation: Animation) -> tuple[list[dict[str, int]], np.ndarray, dict[str, list[int]]]:
    """Morph targets, their weights [T, M], and which of them are whose: first and number by attribute.

    Each target moves one attribute. Readers that know only POSITION must find one in each, so that of the others is 0.
    """
    targets: list[dict[str, int]] = []
    columns, ranges = [], {}
    nowhere = buffer.zeros(len(animation.opacities))
    for name, each in animation.moving.items():
        ranges[name] = [len(targets), len(each.basis)]
        width = each.basis.shape[1] // len(animation.opacities)
        basis = each.basis.reshape(len(each.basis), len(animation.opacities), width)
        if name == ROTATION:  # of the mean quaternions, which the file has at length 1
            basis = basis / np.linalg.norm(each.mean.reshape(-1, 4), axis=1)[None, :, None]
        tops = np.abs(basis).max((1, 2), initial=1e-12)
        for values, top in zip(basis, tops, strict=True):
            accessor = buffer.vertices(_normalised(values / top, np.int8), KINDS[name], name == POSITION)
            targets.append({POSITION: nowhere} | {name: accessor})
        columns.append(each.weights * tops)
    return targets, np.concatenate(columns, 1), ranges


def _expressions(buffer: Buffer, animation: Animation, targets: list[dict[str, int]]) -> dict[str, list[float]]:
    """Further targets, of emotions that the actor never showed: by label the target and its weight at strength 1."""
    found: dict[str, list[float]] = {}
    for label, values in animation.faces.items():
        top = float(np.abs(values).max(initial=1e-12))
        found[label] = [len(targets), top]
        targets.append({POSITION: buffer.vertices(_normalised(values / top, np.int8), "VEC3", bounds=True)})
    return found


def _normalised(values: np.ndarray, kind: type[np.integer[Any]]) -> np.ndarray:
    """Values of -1..1 (0..1 without a sign) as glTF's normalised whole numbers."""
    found: np.ndarray = np.rint(values * np.iinfo(kind).max).astype(kind)
    return found


def _perspective(intrinsics: np.ndarray, width: int, height: int) -> dict[str, float]:
    """glTF's camera: it knows no principal point beside the middle."""
    fx, fy = float(intrinsics[0]), float(intrinsics[1])
    return {"yfov": 2 * math.atan(height / 2 / fy), "aspectRatio": width / fx * fy / height, "znear": 0.01}


def _film(buffer: Buffer, cameras: Sequence[Camera], weights: np.ndarray) -> dict[str, Any]:
    """The animation: weights of the targets and the way of the camera, 25 times a second."""
    poses = np.stack([camera.viewmat.cpu().numpy() for camera in cameras]).astype(np.float64)
    turns = poses[:, :3, :3].transpose(0, 2, 1)  # camera to head
    places = -(turns @ poses[:, :3, 3:])[..., 0] * TURN
    vectors = rotation_vector(turns) * TURN
    angles = np.linalg.norm(vectors, axis=1, keepdims=True)
    quats = np.concatenate([vectors * np.sinc(angles / (2 * np.pi)) / 2, np.cos(angles / 2)], 1)
    moved: list[tuple[int, str, np.ndarray, Kind]] = [
        (1, "translation", places, "VEC3"),
        (1, "rotation", quats, "VEC4"),
    ]
    if weights.shape[1]:
        moved.append((0, "weights", weights, "SCALAR"))
    times = buffer.track(np.arange(len(cameras)) / FPS, "SCALAR", bounds=True)
    return {
        "name": "said",
        "samplers": [{"input": times, "output": buffer.track(values, kind)} for _, _, values, kind in moved],
        "channels": [
            {"sampler": k, "target": {"node": node, "path": path}} for k, (node, path, _, _) in enumerate(moved)
        ],
    }
