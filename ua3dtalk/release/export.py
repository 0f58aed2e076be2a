"""The stage: an actor's bundle in, the data folder of the released UA-3DTalk out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from ua3dtalk.face import pictures as sheets
from ua3dtalk.face.points68 import to_68
from ua3dtalk.release.cameras import Framing, framing, transforms
from ua3dtalk.release.pictures import PALETTE, before_plate, write_pictures
from ua3dtalk.release.tensors import (
    CONDITIONS,
    LETTERS,
    SPLITS,
    action_unit_table,
    components,
    conditions,
    speech_windows,
    write_action_units,
)
from ua3dtalk.settings import ReleaseSettings
from ua3dtalk.subject import Subject


def export_release(*, subject: Subject, out: Path, picture: Path, settings: ReleaseSettings, state: str) -> None:
    """Write the folder that the released loader reads (`scene/dataset_readers.py`), for the actor.

    Args:
        subject: reads the whole bundle with priors.npz and emotion.npz.
        out: folder: the six tensors, `aud_ds.npy` or its stand-in, `au.csv`, both `transforms_*.json`, the pictures,
            `README.txt`, `release.json` with the state.
        picture: frames as the loader sees them.
    """
    width, height = subject.video.shape[2], subject.video.shape[1]
    focal = float(subject.tracking.K[0, 0, 0])
    of_clip = [framing(subject.tracking.K[clip.first], focal, width, height) for clip in subject.clips]
    framings = [own for own, clip in zip(of_clip, subject.clips, strict=True) for _ in range(clip.length)]
    with _whole_folder(out) as folder:
        for name, values in conditions(subject).items():
            torch.save(values, folder / name)
        speech = _write_speech(subject, folder)
        write_action_units(folder / "au.csv", action_unit_table(subject), subject.landmarks.valid)
        for split, frames in zip(SPLITS, (subject.train_frames, subject.test_frames), strict=True):
            document = transforms(subject.tracking, framings, frames, focal, width, height)
            (folder / f"transforms_{split}.json").write_text(json.dumps(document, indent=1) + "\n")
        write_pictures(subject, folder, framings, settings.jpeg_quality)
        (folder / "README.txt").write_text(_readme(subject, speech, of_clip))
        (folder / "release.json").write_text(json.dumps({"state": state, "actor": subject.name}, indent=1) + "\n")
    sheets.save(_sheet(subject, framings), picture)


def _write_speech(subject: Subject, folder: Path) -> str:
    """DeepSpeech's windows where the bundle has them, else components under another name; returns a line on it."""
    encoder = subject.speech.encoder
    if subject.speech.features.shape[1] == LETTERS:
        np.save(folder / "aud_ds.npy", speech_windows(subject.speech.features, subject.clips))
        return f"aud_ds.npy [T, 16, {LETTERS}] float32: tokens of {encoder}."
    np.save(folder / "aud_components.npy", speech_windows(components(subject), subject.clips))
    return (
        f"aud_ds.npy is NOT here: the loader wants DeepSpeech's {LETTERS} letters, this actor's speech features are\n"
        f"  {encoder}'s. Make it with the release's own data_utils (and rename its aud.npy), or run this project with\n"
        "  backends.speech: file on DeepSpeech features. aud_components.npy has its layout and the first "
        f"{LETTERS} principal\n  components of {encoder}'s tokens (training frames): renamed to aud_ds.npy it lets the"
        " release train, on another\n  speech encoder than published."
    )


def _readme(subject: Subject, speech: str, framings: list[Framing]) -> str:
    train, test = len(subject.train_frames), len(subject.test_frames)
    lines = [
        f"{subject.name}: data folder for the released code of UA-3DTalk (train_mouth.py -s <this folder> ...).",
        f"{train} training and {test} held-out frames, img_id is the frame of the actor's index.",
        "",
    ]
    for name, (array, row) in CONDITIONS.items():
        shape = ", ".join(map(str, row))
        lines.append(f"{name.format(split='{train,val}')}: float32 [n, {shape}], from {array}.")
    lines += [
        speech,
        "au.csv: OpenFace's column names; AU01, 04, 05, 06, 07, 45 as this project measures them, AU25 from how",
        "  far the mouth is open. Other columns are left out: the loader does not read them.",
        "transforms_{train,val}.json: camera to world, OpenGL's axes, metres, principal point in the middle.",
        "gt_imgs, torso_imgs, parsing, bc.jpg, ori_imgs/*.lms: as the release's own preparation writes them.",
        "teeth_mask: empty, because teeth belong to the mouth's label in parsing.",
    ]
    if any(other.scale != 1 or other.shift.tolist() != framings[0].shift.tolist() for other in framings):
        lines.append("bc.jpg fits the first clip: the others were filmed with another camera or crop.")
    return "\n".join(lines) + "\n"


def _sheet(subject: Subject, framings: list[Framing]) -> Image.Image:
    """Rows of frames: picture with points, parsing, torso over the plate."""
    rows = []
    for i in sheets.spread(subject.frame_count, 3):
        frame = framings[i]
        shown = sheets.cell(frame.picture(before_plate(subject, i)))
        draw, scale = ImageDraw.Draw(shown), shown.width / subject.video.shape[2]
        for x, y in frame.points(to_68(subject.landmarks.points[i, :, :2])) * scale:
            draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(80, 255, 80))
        sheets.label(shown, f"img_id {i}")
        labels = frame.picture(np.array(subject.regions[i]), labels=True)
        torso = frame.picture(np.array(subject.torso[i])).astype(float)
        alpha = torso[..., 3:] / 255
        behind = (torso[..., :3] * alpha + framings[0].picture(subject.plate) * (1 - alpha)).astype(np.uint8)
        rows.append([shown, sheets.cell(PALETTE[labels]), sheets.cell(behind)])
    return sheets.sheet(rows)


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A temporary sibling that takes the folder's name when everything in it is written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}.*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = out.with_name(f".{out.name}.{os.getpid()}")
    folder.mkdir()
    try:
        yield folder
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
