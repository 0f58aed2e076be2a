"""The pictures, masks and landmarks that the released loader reads, one file a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ua3dtalk.face.points68 import to_68
from ua3dtalk.release.cameras import Framing
from ua3dtalk.subject import HEAD_REGIONS, Region, Subject
from ua3dtalk.workflow import progress

FOLDERS = ("gt_imgs", "torso_imgs", "parsing", "teeth_mask", "ori_imgs")

# Colours of the parsing as the loader asks for them, RGB. Teeth belong to the mouth here: their own mask stays empty,
# which also spares the loader's `head XOR teeth`.
_COLOURS = {
    Region.BACKGROUND: (255, 255, 255),
    Region.MOUTH: (100, 100, 100),
    Region.NECK: (0, 255, 0),
    Region.CLOTH: (255, 0, 0),
    **dict.fromkeys(HEAD_REGIONS, (0, 0, 255)),
    Region.HAIR: (0, 0, 0),
}
PALETTE = np.array([_COLOURS[region] for region in Region], np.uint8)


def write_pictures(subject: Subject, folder: Path, framings: Sequence[Framing], quality: int) -> None:
    """Write `bc.jpg` and for every frame i: `gt_imgs/i.jpg`, `torso_imgs/i.png`, `parsing/i.png`, `teeth_mask/i.npy`
    and `ori_imgs/i.lms` (68 points x, y in px, 0 the centre of the first pixel).

    Args:
        framings: of every frame; quality: of the JPEGs, 1..100.
    """
    for name in FOLDERS:
        (folder / name).mkdir()
    _jpeg(framings[0].picture(subject.plate), folder / "bc.jpg", quality)
    points = subject.landmarks.points[..., :2]
    no_teeth = np.zeros(subject.video.shape[1:3], bool)
    for i in progress(range(subject.frame_count), "release"):
        frame = framings[i]
        _jpeg(frame.picture(before_plate(subject, i)), folder / "gt_imgs" / f"{i}.jpg", quality)
        torso = frame.picture(np.array(subject.torso[i]))
        Image.fromarray(torso).save(folder / "torso_imgs" / f"{i}.png", compress_level=3)
        labels = frame.picture(np.array(subject.regions[i]), labels=True)
        Image.fromarray(PALETTE[labels]).save(folder / "parsing" / f"{i}.png", compress_level=3)
        np.save(folder / "teeth_mask" / f"{i}.npy", no_teeth)
        np.savetxt(folder / "ori_imgs" / f"{i}.lms", frame.points(to_68(points[i])) - 0.5, fmt="%.3f")


def before_plate(subject: Subject, i: int) -> np.ndarray:
    """Frame i uint8 [H, W, 3] with the background that it has in no other frame replaced by the clean plate."""
    background = subject.regions[i] == Region.BACKGROUND
    return np.where(background[..., None], subject.plate, subject.video[i])


def _jpeg(picture: np.ndarray, path: Path, quality: int) -> None:
    Image.fromarray(picture).save(path, quality=quality, subsampling=0)
