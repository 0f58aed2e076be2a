"""Which part of the person each pixel shows: BiSeNet's classes, cleaned, with the mouth checked by the landmarks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ua3dtalk.errors import AssetError
from ua3dtalk.face import pictures
from ua3dtalk.face.landmarker import EYE_CORNERS, INNER_LIPS
from ua3dtalk.face.pixels import inside_polygon, nearest, take
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import FPS, HEAD_REGIONS, TORSO_REGIONS, Region, Subject
from ua3dtalk.workflow import atomic, progress

__all__ = ["export_parser", "parse_regions", "labels_of", "without_specks", "with_mouth"]

# The classes of CelebAMask-HQ: background, skin, two brows, two eyes, glasses, two ears, earring, nose, mouth, two
# lips, neck, necklace, cloth, hair, hat.
CLASS_REGIONS = np.array([0, 1, 2, 2, 3, 3, 12, 5, 5, 5, 4, 7, 6, 6, 8, 8, 9, 10, 11], np.uint8)
COLOURS = np.array(
    [
        *((30, 30, 30), (224, 172, 140), (120, 70, 30), (60, 140, 255), (255, 210, 120), (200, 110, 90)),
        *((230, 60, 90), (255, 255, 255), (120, 200, 120), (70, 90, 200), (110, 60, 140), (240, 140, 0), (0, 220, 220)),
    ],
    np.uint8,
)
FACE_CORE = (Region.SKIN, Region.BROWS, Region.EYES, Region.NOSE, Region.LIPS, Region.MOUTH, Region.GLASSES)

SPECK = 1 / 1500  # of the frame's area: smaller islands of a group are noise
HOLE = 1 / 200  # of the frame's area: smaller patches of background inside the person are the parser's mistakes
HAT = 1 / 60  # of the frame's area
LIPS_PARTED = 0.05  # inner-lip opening over the distance of the outer eye corners: below it the mouth is closed


def parse_regions(
    *,
    subject: Subject,
    model: Path,
    out: Path,
    picture: Path,
    settings: FaceSettings,
    state: str,
    threads: int | None = None,
) -> None:
    """Label every pixel of every frame.

    Args:
        subject: reads video.npy and landmarks.npz.
        model: the parser as ONNX (`export_parser`).
        out: regions.npy, uint8 [T, H, W] of `Region`.
        picture: frames beside their regions.
        threads: frames that are parsed at the same time; the cores of this process unless given.
    """
    video = subject.video
    total, height, width = video.shape[:3]
    landmarks = subject.landmarks
    workers = threads or _cores()
    session = _session(model)

    def label(i: int) -> np.ndarray:
        labels = labels_of(_logits(session, video[i]), height, width)
        labels = without_specks(labels)
        return with_mouth(labels, landmarks.points[i, :, :2]) if landmarks.valid[i] else labels

    with atomic(out) as temporary:
        regions = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(total, height, width))
        # One thread per frame keeps all cores busy: threads inside the network wait for each other at every layer.
        with ThreadPoolExecutor(workers) as pool:
            for i, labels in enumerate(progress(_in_order(pool, label, total, 2 * workers), "regions", total)):
                regions[i] = labels
        regions.flush()
        del regions
    pictures.save(_draw(subject, np.load(out, mmap_mode="r")), picture)


def export_parser(*, weights: Path, out: Path) -> None:
    """Turn BiSeNet's published weights into ONNX; see `ua3dtalk.face.bisenet`, which alone needs torch."""
    from ua3dtalk.face import bisenet

    bisenet.export_parser(weights=weights, out=out)


def labels_of(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """Regions uint8 [height, width] of the parser's logits [19, h, w]: the largest after bilinear enlargement."""
    rows, columns = logits.shape[1:]
    corners = np.array([[(columns - 1) / max(width - 1, 1), 0, 0], [0, (rows - 1) / max(height - 1, 1), 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best = np.full((height, width), -np.inf, np.float32)
    labels = np.zeros((height, width), np.uint8)
    for k, plane in enumerate(logits):
        enlarged = cv2.warpAffine(plane, corners, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        labels[enlarged > best] = CLASS_REGIONS[k]
        np.maximum(best, enlarged, out=best)
    return labels


def without_specks(labels: np.ndarray) -> np.ndarray:
    """Take away what cannot be part of one person: small islands, a second head, pinholes.

    Only the largest face with what hangs together with it stays head; islands of the torso must have some size;
    holes of background that are small become what surrounds them.
    """
    labels = labels.copy()
    smallest = max(4, round(SPECK * labels.size))
    face = _largest(np.isin(labels, FACE_CORE))
    head = np.isin(labels, HEAD_REGIONS) | (labels == Region.MOUTH)
    wrong = head & ~_touching(head, face)
    torso = np.isin(labels, TORSO_REGIONS)
    wrong |= torso & _islands(torso, max(smallest, round(0.01 * labels.size)))
    for region in (Region.BROWS, Region.EYES, Region.NOSE, Region.EARS, Region.LIPS, Region.GLASSES):
        part = labels == region
        if part.any():
            wrong |= part & _islands(part, smallest // 4)
    # A small hat is light on the hair, for a few frames.
    hat = labels == Region.HAT
    wrong |= hat & _islands(hat, round(HAT * labels.size))
    labels[wrong & torso] = Region.BACKGROUND
    background = labels == Region.BACKGROUND
    wrong |= background & _islands(background, round(HOLE * labels.size))
    return _filled(labels, wrong)


def with_mouth(labels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The mouth's interior as the parser and the inner lips agree on it.

    The parser misses narrow openings and dark interiors, and now and then takes a lip for a tooth. What lies inside
    the inner lips is MOUTH; what the parser calls MOUTH farther outside than a thin rim is LIPS.

    Args:
        labels: uint8 [H, W]; points: [478, 2] px.
    """
    labels = labels.copy()
    eyes = float(np.linalg.norm(points[EYE_CORNERS[0]] - points[EYE_CORNERS[1]]))
    inside = inside_polygon(points[list(INNER_LIPS)], *labels.shape)
    rim = max(1, round(0.04 * eyes))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    allowed = cv2.dilate(inside.astype(np.uint8), kernel) > 0
    labels[(labels == Region.MOUTH) & ~allowed] = Region.LIPS
    if np.linalg.norm(points[13] - points[14]) > LIPS_PARTED * eyes:
        # Hair, a hand or a microphone before the mouth stays what it is.
        labels[inside & np.isin(labels, (Region.LIPS, Region.SKIN))] = Region.MOUTH
    return labels


def _cores() -> int:
    """Cores that this process may use; a batch system gives fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _session(model: Path) -> Any:
    if not Path(model).is_file():
        raise AssetError(f"{model} is missing: it is the face parser as ONNX; run the rule that exports it")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # onnxruntime raises its own classes, which differ between versions
        cause = str(error).splitlines()[0]
        raise AssetError(f"{model} is no ONNX model that can be run ({cause}): delete it and run again") from error


def _logits(session: Any, frame: np.ndarray) -> np.ndarray:
    """Logits [19, 56, 56] of one frame uint8 [H, W, 3]."""
    side = session.get_inputs()[0].shape[1]
    shrinking = frame.shape[0] > side
    resized = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return session.run(None, {"rgb": np.ascontiguousarray(resized)[None]})[0][0]


def _in_order(pool: ThreadPoolExecutor, function: Any, count: int, ahead: int) -> Iterator[np.ndarray]:
    """`function(0)`, `function(1)`, ... computed in the pool, never more than `ahead` in memory."""
    waiting = [pool.submit(function, i) for i in range(min(ahead, count))]
    for i in range(count):
        result = waiting.pop(0).result()
        if i + ahead < count:
            waiting.append(pool.submit(function, i + ahead))
        yield result


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return parts == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _touching(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The parts of a mask that contain a pixel of the seed."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.unique(parts[seed & mask])
    return np.isin(parts, kept[kept > 0])


def _islands(mask: np.ndarray, area: int) -> np.ndarray:
    """The connected parts of a mask that have less than `area` pixels."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < area
    small[0] = False
    return small[parts]


def _filled(labels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The wrong pixels take the label of the nearest right one."""
    if not wrong.any() or wrong.all():
        return labels
    return take(labels, nearest(~wrong)[1])


def _draw(subject: Subject, regions: np.ndarray) -> Image.Image:
    rows: list[list[Image.Image]] = [[], []]
    side = 380
    for count, i in enumerate(pictures.spread(subject.frame_count, 4)):
        frame = np.asarray(subject.video[i])
        colours = COLOURS[regions[i]]
        blend = (0.45 * frame + 0.55 * colours).astype(np.uint8)
        left = pictures.cell(frame, side)
        pictures.label(left, f"{i / FPS:.1f} s")
        rows[count // 2] += [left, pictures.cell(blend, side)]
    return pictures.sheet([row for row in rows if row])
