"""Where the head is in each source clip: one square that keeps head and shoulders for the whole clip.

The square does not move: a moving crop would be a moving camera and a moving background.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ua3dtalk.errors import InputError
from ua3dtalk.face import pictures
from ua3dtalk.face.cuts import SUSPECT, change, face_colours, is_cut, is_slow_cut, thumbnail
from ua3dtalk.face.landmarker import Detection, FaceLandmarker
from ua3dtalk.media.frames import sample_frames
from ua3dtalk.media.probe import Probe, probe
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import FPS, ClipSource
from ua3dtalk.workflow import atomic, progress, sha256_of

__all__ = ["ClipSource", "Crop", "choose_crop", "choose_crops", "follow", "locate_face"]

LOOK_EVERY = 12  # frames of 1/25 s between two looks for the face
MAX_SIDE = 960  # px of the pictures that are looked at
MAX_FACES = 4
SMALLEST_FACE = 48  # px, forehead to chin: below it neither lips nor lids can be learnt
PICTURE_ROWS = 8
SHARED = 0.1  # of the side: crops of clips of one size that differ by less become one

# Around the union of the face boxes, in heights of the face: what the crop should hold, and what it must hold even
# if it then reaches beyond the picture.
WISHED = np.array([-0.55, -0.55, 0.55, 0.6])  # left, top, right, bottom
NEEDED = np.array([-0.1, -0.2, 0.1, 0.05])

Box = tuple[float, float, float, float]  # left, top, right, bottom in px
Kept = tuple[int, float, np.ndarray, float]  # a frame for the picture: its look, time, RGB, px for one px of the source


@dataclass(frozen=True)
class Crop:
    """A square in px of the upright source; whole and even numbers."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Look:
    """One sample of a clip: its time in s and the boxes of its faces in px of the source, the largest first."""

    time: float
    faces: tuple[Box, ...]


def locate_face(
    *,
    clips: Sequence[ClipSource],
    model: Path,
    out: Path,
    picture: Path,
    settings: MediaSettings,
    state: str,
    need_audio: bool = True,
) -> None:
    """Choose the crop of every clip, or say in one line why a clip cannot be used.

    Args:
        model: mediapipe's `face_landmarker.task`.
        out: crop.json: state and clips, each with path, sha256, width, height, fps, duration, has_audio, emotion and
            crop [left, top, side] in px of the upright source.
        picture: frames with the face's box and the crop.
        need_audio: whether a clip without a sound track is refused.
    Errors: InputError for no face, a small face, a cut to another scene or person, and for what `probe` refuses.
    """
    facts = [probe(clip.path, settings, need_audio) for clip in clips]
    found: list[tuple[list[Box | None], list[Kept]]] = []
    for clip, fact in zip(clips, facts, strict=True):
        looks, frames = _look(clip.path, fact, model, settings)
        boxes = follow(looks)
        _check(clip.path, looks, boxes)
        found.append((boxes, frames if len(found) < PICTURE_ROWS else []))
    known = [np.array([box for box in boxes if box is not None]) for boxes, _ in found]
    crops = choose_crops(known, [(fact.width, fact.height) for fact in facts], settings.margin)
    entries = [_entry(clip, fact, crop) for clip, fact, crop in zip(clips, facts, crops, strict=True)]
    with atomic(out) as temporary:
        temporary.write_text(json.dumps({"state": state, "clips": entries}, indent=1) + "\n")
    rows = [
        [_draw(rgb, scale, time, boxes[k], crop) for k, time, rgb, scale in frames]
        for (boxes, frames), crop in list(zip(found, crops, strict=True))[:PICTURE_ROWS]
    ]
    pictures.save(pictures.sheet(rows), picture)


def _entry(clip: ClipSource, facts: Probe, crop: Crop) -> dict[str, object]:
    return {
        "path": str(clip.path),
        "sha256": sha256_of(clip.path),
        "width": facts.width,
        "height": facts.height,
        "fps": facts.fps,
        "duration": facts.duration,
        "has_audio": facts.has_audio,
        "emotion": clip.emotion,
        "crop": [crop.left, crop.top, crop.side],
    }


def choose_crops(boxes: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]], margin: float = 1.0) -> list[Crop]:
    """A crop for every clip; clips of one size with the head in one place share theirs.

    Short clips of one sitting (emotional sets) have one camera: with one crop they also have one background.

    Args:
        boxes: of each clip, [n, 4] px; sizes: width and height of each.
    """
    own = [choose_crop(b, *size, margin) for b, size in zip(boxes, sizes, strict=True)]
    crops = list(own)
    for size in set(sizes):
        group = [k for k, s in enumerate(sizes) if s == size]
        shared = choose_crop(np.concatenate([boxes[k] for k in group]), *size, margin)
        alike = all(
            abs(shared.side - own[k].side) <= SHARED * own[k].side
            and abs(shared.left + shared.side / 2 - own[k].left - own[k].side / 2) <= SHARED * own[k].side
            and abs(shared.top + shared.side / 2 - own[k].top - own[k].side / 2) <= SHARED * own[k].side
            for k in group
        )
        if alike:
            for k in group:
                crops[k] = shared
    return crops


def choose_crop(boxes: np.ndarray, width: int, height: int, margin: float = 1.0) -> Crop:
    """The square around all face boxes, inside the picture if head and chin still fit.

    Args:
        boxes: [n, 4] left, top, right, bottom in px; width, height: of the source; margin: scales the square.
    """
    face = float(np.median(boxes[:, 3] - boxes[:, 1]))
    # Percentiles, because one bad look in a hundred must not widen the crop.
    left, top = np.percentile(boxes[:, :2], 2, axis=0)
    right, bottom = np.percentile(boxes[:, 2:], 98, axis=0)

    union = np.array([left, top, right, bottom])
    x0, y0, x1, y1 = (float(x) for x in union + face * WISHED)
    n0, m0, n1, m1 = (float(x) for x in union + face * NEEDED)
    side = max(x1 - x0, y1 - y0) * margin
    side = min(side, max(min(width, height), n1 - n0, m1 - m0))
    even = 2 * int(side / 2 + 1e-6)
    return Crop(
        left=_place((x0 + x1) / 2, even, width, n0, n1),
        top=_place((y0 + y1) / 2, even, height, m0, m1),
        side=even,
    )


def _place(centre: float, side: int, length: int, low: float, high: float) -> int:
    """Where the square begins along one axis: around the centre, holding low to high, in the picture when it fits."""

    def held(start: float) -> float:
        return min(max(start, high - side), low)

    start = held(centre - side / 2)
    if side <= length:
        start = min(max(start, 0), length - side)
    else:
        # It goes over the border: on both sides rather than past one, unless the needed part lies there.
        start = held(min(max(start, length - side), 0))
    whole = 2 * round(start / 2)
    return whole - 2 if side <= length and whole + side > length else whole


def follow(looks: Sequence[Look]) -> list[Box | None]:
    """The box of one person through a clip, None where it is not found.

    Starts at the largest face of the clip and goes both ways, each time to the face nearest to the last known
    place; one that is farther than a face's height away is somebody else.
    """
    boxes: list[Box | None] = [None] * len(looks)
    with_faces = [k for k, look in enumerate(looks) if look.faces]
    if not with_faces:
        return boxes
    first = max(with_faces, key=lambda k: _height(looks[k].faces[0]))
    for order in (range(first, len(looks)), range(first, -1, -1)):
        last = looks[first].faces[0]
        for k in order:
            near = [face for face in looks[k].faces if _distance(face, last) < _height(last)]
            if near:
                last = boxes[k] = min(near, key=lambda face: _distance(face, last))
    return boxes


def _height(box: Box) -> float:
    return box[3] - box[1]


def _distance(a: Box, b: Box) -> float:
    return float(np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2)


def _look(path: Path, facts: Probe, model: Path, settings: MediaSettings) -> tuple[list[Look], list[Kept]]:
    """Look for faces twice a second and for cuts in every frame; keep three frames for the picture."""
    looks: list[Look] = []
    kept: list[Kept] = []
    total = max(int(facts.duration * FPS), 1)
    wanted = {LOOK_EVERY * (int(k) // LOOK_EVERY) for k in pictures.spread(total, 3)}
    before: tuple[np.ndarray, np.ndarray] | None = None  # thumbnail and frame
    sample: tuple[np.ndarray, np.ndarray | None] | None = None  # thumbnail and face's colours
    frames = sample_frames(path, 1 / FPS, MAX_SIDE, settings)
    with FaceLandmarker(model, video=False, faces=MAX_FACES) as landmarker:
        for k, (time, rgb, scale) in enumerate(progress(frames, f"locate {path.name}", total)):
            small = thumbnail(rgb)
            if before is not None:
                changed = change(before[0], small)
                if changed > SUSPECT and is_cut(changed, *_colours_of(landmarker, before[1], rgb)):
                    _refuse_cut(path, time)
            before = small, rgb
            if k % LOOK_EVERY:
                continue
            faces = find_faces(landmarker, rgb)
            looks.append(Look(time, tuple(_scaled(face, 1 / scale) for face in faces)))
            colours = face_colours(rgb, faces[0]) if faces else None
            if sample is not None and is_slow_cut(change(sample[0], small), sample[1], colours):
                _refuse_cut(path, time)
            sample = small, colours
            if k in wanted:
                kept.append((len(looks) - 1, time, rgb, scale))
    return looks, kept


def find_faces(landmarker: FaceLandmarker, rgb: np.ndarray) -> list[Detection]:
    """All faces of a picture, the largest first; where none is found, in ever smaller overlapping squares of it.

    The detector sees its input at 128 px: a face under a tenth of the picture is lost to it.
    """
    found = landmarker.all(rgb)
    height, width = rgb.shape[:2]
    side = min(height, width)
    sides = (side, side // 2) if max(height, width) > 1.2 * side else (side // 2,)
    for side in sides:
        if found or side < 2 * SMALLEST_FACE:
            break
        for top in _starts(height, side):
            for left in _starts(width, side):
                for face in landmarker.all(rgb[top : top + side, left : left + side]):
                    shifted = face.points + np.array([left, top, 0], np.float32)
                    found.append(Detection(shifted, face.blendshapes, face.matrix))
    return sorted(found, key=lambda face: -_height(face.box))


def _starts(length: int, side: int) -> list[int]:
    """Starts of windows that overlap by a half at least and cover the length."""
    count = int(np.ceil(2 * (length - side) / side)) + 1
    return [round(x) for x in np.linspace(0, length - side, count)]


def _colours_of(landmarker: FaceLandmarker, *frames: np.ndarray) -> list[np.ndarray | None]:
    faces = [landmarker(rgb) for rgb in frames]
    return [None if face is None else face_colours(rgb, face) for rgb, face in zip(frames, faces, strict=True)]


def _scaled(face: Detection, scale: float) -> Box:
    left, top, right, bottom = (scale * x for x in face.box)
    return left, top, right, bottom


def _refuse_cut(path: Path, time: float) -> None:
    raise InputError(
        f"{path} cuts to another scene or person at {time:.1f} s: cut it there into clips of their own and name only "
        "those of one person"
    )


def _check(path: Path, looks: Sequence[Look], boxes: Sequence[Box | None]) -> None:
    """Refuse clips without a usable face; warn of several faces."""
    known = [box for box in boxes if box is not None]
    if not known:
        raise InputError(f"{path}: no face was found in the clip: use one that shows the face from the front")
    if len(known) < len(boxes) / 2:
        missing = next(look.time for look, box in zip(looks, boxes, strict=True) if box is None)
        raise InputError(
            f"{path}: the face was found in only {len(known)} of {len(boxes)} looks, first missing at {missing:.1f} s: "
            "use a clip that shows it throughout, or cut it"
        )
    height = float(np.median([_height(box) for box in known]))
    if height < SMALLEST_FACE:
        raise InputError(
            f"{path}: the face is only {height:.0f} px high, at least {SMALLEST_FACE} are needed: use a closer or "
            "larger picture"
        )
    crowd = [look.time for look, box in zip(looks, boxes, strict=True) if _somebody_else(look, box)]
    if len(crowd) > 0.05 * len(looks):
        print(
            f"warning: {path} shows several faces (first at {crowd[0]:.1f} s): the largest one is taken",
            file=sys.stderr,
            flush=True,
        )


def _somebody_else(look: Look, box: Box | None) -> bool:
    """Whether a face of some size is seen beside the one that is followed."""
    if box is None:
        return False
    return any(_distance(face, box) > 0.6 * _height(box) and _height(face) > 0.4 * _height(box) for face in look.faces)


def _draw(rgb: np.ndarray, scale: float, time: float, box: Box | None, crop: Crop) -> Image.Image:
    frame = pictures.cell(rgb, 400)
    draw, factor = ImageDraw.Draw(frame), scale * frame.width / rgb.shape[1]
    right, bottom = crop.left + crop.side, crop.top + crop.side
    corners = [x * factor for x in (crop.left, crop.top, right, bottom)]
    limits = (frame.width - 2, frame.height - 2)
    inside = [min(max(x, 1), limits[k % 2]) for k, x in enumerate(corners)]
    draw.rectangle(inside, outline=(80, 255, 80), width=2)
    if box is not None:
        draw.rectangle([x * factor for x in box], outline=(255, 210, 60), width=2)
    pictures.label(frame, f"{time:.1f} s, crop {crop.side} px at {crop.left}, {crop.top}")
    return frame
