"""The still layers behind the head: a clean plate of the background and the torso of every frame.

A render is head over torso over plate. The torso therefore reaches under the head, so that a head that is a little
off, or soft at its rim, shows neck and collar and not the background.
Lengths in px hold for frames of 512 px, as in AD-NeRF's preparation, and scale with the size.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ua3dtalk.face import pictures
from ua3dtalk.face.pixels import inpaint, nearest, take
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import FPS, HEAD_REGIONS, TORSO_REGIONS, Region, Subject
from ua3dtalk.workflow import atomic, progress

PLATE_FRAMES = 300  # looked at for the plate, spread over the training frames
PLATE_MARGIN = 8.0  # px, the parser's own grid: nearer to the person its rim and shadow are still seen
UNCOVERED = 0.04  # share of the frames in which a pixel must be seen to be believed
NECK_REACH, REACH = 53, 9  # px that the neck goes on upwards, and all of the torso to any side, under the head
RIM = 4.0  # px of the torso next to the head that may have the head's colour
SHADE = 0.98  # per px: it is darker the farther under the chin


def separate_layers(
    *, subject: Subject, out_plate: Path, out_torso: Path, picture: Path, settings: FaceSettings, state: str
) -> None:
    """Write the clean plate and the torso.

    Args:
        subject: reads video.npy and regions.npy.
        out_plate: plate.png, RGB [H, W]: from training frames only.
        out_torso: torso.npy, uint8 [T, H, W, 4]: colour, not premultiplied, and alpha (0 or 255).
        picture: the plate, and frames taken apart and put together again.
    """
    video, regions = subject.video, subject.regions
    plate = clean_plate(video, regions, subject.train_frames)
    with atomic(out_torso) as temporary:
        torso = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(*regions.shape, 4))
        for i in progress(range(len(regions)), "layers"):
            torso[i] = torso_layer(np.asarray(video[i]), np.asarray(regions[i]))
        torso.flush()
        del torso
    with atomic(out_plate) as temporary:
        Image.fromarray(plate).save(temporary, format="PNG")
    pictures.save(_draw(subject, plate, np.load(out_torso, mmap_mode="r")), picture)


def clean_plate(video: np.ndarray, regions: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The background without the person, uint8 [H, W, 3].

    Each pixel comes from the frame in which it is farthest from the person; what is hardly ever farther than a few
    pixels is filled smoothly from what surrounds it. (Hardly ever, because the parser now and then takes skin or
    cloth for background: the farthest of few frames would be just those.)

    Args:
        video: uint8 [T, H, W, 3]; regions: uint8 [T, H, W]; frames: the indices that may be looked at.
    """
    height, width = regions.shape[1:]
    chosen = frames[pictures.spread(len(frames), PLATE_FRAMES)]
    farthest = np.zeros((height, width), np.float32)
    uncovered = np.zeros((height, width), np.int32)
    plate = np.zeros((height, width, 3), np.uint8)
    for i in progress(chosen, "plate"):
        background = (regions[i] == Region.BACKGROUND).astype(np.uint8)
        distance = cv2.distanceTransform(background, cv2.DIST_L2, 5)
        better = distance > farthest
        plate[better] = video[i][better]
        np.maximum(farthest, distance, out=farthest)
        uncovered += distance > PLATE_MARGIN * height / 512
    known = uncovered >= max(1, round(UNCOVERED * len(chosen)))
    filled = inpaint(plate.astype(np.float32), known)
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)


def torso_layer(frame: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Neck and cloth of one frame, going on under the head; uint8 [H, W, 4].

    Args:
        frame: uint8 [H, W, 3]; regions: uint8 [H, W].
    """
    scale = regions.shape[0] / 512
    neck = regions == Region.NECK
    torso = np.isin(regions, TORSO_REGIONS)
    head = np.isin(regions, HEAD_REGIONS) | (regions == Region.MOUTH)
    layer = np.zeros((*regions.shape, 4), np.uint8)
    layer[torso, :3], layer[torso, 3] = frame[torso], 255
    if not torso.any() or not head.any():
        return layer
    upwards = np.ones((round(NECK_REACH * scale) + 1, 1), np.uint8)
    above_neck = cv2.dilate(neck.astype(np.uint8), upwards, anchor=(0, 0)) > 0
    under = head & (above_neck | (nearest(torso)[0] <= REACH * scale))
    source = torso & (nearest(head)[0] > RIM * scale)
    if not source.any():
        source = torso
    distance, index = nearest(source)
    fill = take(frame, index) * np.power(SHADE, distance / scale)[..., None]
    # Nearest colours come in stripes; a blur of what was filled alone takes them away.
    blurred = cv2.blur(np.where(source[..., None], frame, fill).astype(np.float32), (5, 5))
    # The rim too: where another expression or pose draws the chin back, its outline would be left on the neck.
    covered = under | (torso & ~source)
    layer[covered, :3] = np.clip(np.round(blurred[covered]), 0, 255)
    layer[under, 3] = 255
    return layer


def over(layer: np.ndarray, below: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 4] (not premultiplied) over uint8 [H, W, 3]."""
    alpha = layer[..., 3:].astype(np.float32) / 255
    return np.round(alpha * layer[..., :3] + (1 - alpha) * below).astype(np.uint8)


def _draw(subject: Subject, plate: np.ndarray, torso: np.ndarray) -> Image.Image:
    side = 300
    height, width = plate.shape[:2]
    checks = (np.indices((height, width)) // max(8, height // 32)).sum(axis=0) % 2
    board = np.where(checks[..., None] == 1, np.uint8(200), np.uint8(120)) * np.ones(3, np.uint8)
    rows = []
    for i in pictures.spread(subject.frame_count, 3):
        head = np.isin(subject.regions[i], HEAD_REGIONS) | (subject.regions[i] == Region.MOUTH)
        behind = over(torso[i], plate)
        together = np.where(head[..., None], subject.video[i], behind)
        shown = (subject.video[i], over(torso[i], board), behind, together)
        cells = [pictures.cell(np.ascontiguousarray(image), side) for image in shown]
        for cell, text in zip(cells, (f"{i / FPS:.1f} s", "torso", "torso over plate", "head over both"), strict=True):
            pictures.label(cell, text)
        rows.append(cells)
    first = pictures.cell(plate, side)
    pictures.label(first, "plate")
    return pictures.sheet([[first], *rows])
