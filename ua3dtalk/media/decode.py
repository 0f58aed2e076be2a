"""The stage that turns an actor's clips into the bundle's frames; their sound is `media.sound`'s."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.errors import DataError, InputError
from ua3dtalk.media.frames import Square, frames_at, sample_frames
from ua3dtalk.media.picture import SOURCE_HEIGHT, contact_sheet
from ua3dtalk.media.probe import probe
from ua3dtalk.media.rows import RowWriter
from ua3dtalk.reading import read_json, reading
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import FPS, split_point
from ua3dtalk.workflow import atomic, sha256_of

PROGRESS_SECONDS = 5.0
SOURCES_SHOWN = 4
FARTHEST = 1 << 16  # px that a crop may reach
# A picture that ends this much before its header says was cut off.
MISSING_SHARE = 0.05


@dataclass(frozen=True)
class _Part:
    """One clip of crop.json and how long its picture lasts."""

    entry: dict[str, Any]
    crop: Square
    seconds: float


def decode_clips(
    *,
    crop: Path,
    out_clips: Path,
    out_video: Path,
    picture: Path,
    settings: MediaSettings,
    state: str,
) -> None:
    """Cut, resize and lay an actor's clips end to end: 25 frames a second by time.

    Args:
        crop: crop.json with the clips and one square each, in px of the upright source.
        out_clips: clips.json.
        out_video: video.npy uint8 [T, size, size, 3] RGB.
        picture: png with the crops and twelve frames.
        settings: side of the frames, limits.
        state: hash that is written into clips.json.
    Raises:
        InputError, DataError: a clip is not what it was when the crop was made, or cannot be decoded.
    """
    parts = [_part(entry, settings) for entry in _entries(crop)]
    with atomic(out_video) as video_file:
        lengths = _write_video(video_file, parts, settings)
        contact_sheet(picture, np.load(video_file, mmap_mode="r"), list(_sources(parts, settings)))
    with atomic(out_clips) as clips_file:
        clips_file.write_text(json.dumps(_document(parts, lengths, settings, state), indent=1) + "\n")


def _entries(crop: Path) -> list[dict[str, Any]]:
    with reading(crop):
        entries = read_json(crop)["clips"]
        for entry in entries:
            if not all(isinstance(entry[key], str) for key in ("path", "sha256")):
                raise ValueError("path and sha256 are texts")
            side = [type(number) in (int, float) and abs(number) <= FARTHEST for number in entry["crop"]]
            if len(side) != 3 or not all(side) or entry["crop"][2] <= 0:
                raise ValueError("crop is [left, top, side] in px")
            _ = [entry[key] for key in ("has_audio", "emotion", "fps", "width", "height")]
        if not entries:
            raise ValueError("no clips in it")
        return list(entries)


def _part(entry: dict[str, Any], settings: MediaSettings) -> _Part:
    path = entry["path"]
    found = probe(path, settings, need_audio=entry["has_audio"])
    if sha256_of(path) != entry["sha256"]:
        raise DataError(f"{path} has changed since its crop was made: run again, or delete crop.json")
    return _Part(entry, Square.near(*entry["crop"]), found.duration)


def _write_video(path: Path, parts: list[_Part], settings: MediaSettings) -> list[int]:
    """Append every clip's frames to one .npy; returns the number of frames of each clip."""
    lengths = []
    with RowWriter(path, (settings.size, settings.size, 3)) as rows:
        for number, part in enumerate(parts, 1):
            before, said = rows.count, time.monotonic()
            source = part.entry["path"]
            for frame in frames_at(source, FPS, part.crop, settings.size, settings):
                rows.append(frame)
                if time.monotonic() - said > PROGRESS_SECONDS:
                    said = time.monotonic()
                    done = f"{rows.count - before}/{part.seconds * FPS:.0f}"
                    print(f"decode: clip {number}/{len(parts)}, frame {done}", file=sys.stderr, flush=True)
            length = rows.count - before
            if length < part.seconds * FPS * (1 - MISSING_SHARE) - 1:
                raise InputError(
                    f"{source} is damaged: {length / FPS:.1f} of {part.seconds:.1f} s can be decoded; "
                    "copy or export it again"
                )
            lengths.append(length)
    return lengths


def _sources(parts: list[_Part], settings: MediaSettings) -> Iterator[tuple[np.ndarray, float, Square]]:
    for part in parts[:SOURCES_SHOWN]:
        _, frame, scale = next(sample_frames(part.entry["path"], 1.0, 2 * SOURCE_HEIGHT, settings))
        yield frame, scale, part.crop


def _document(parts: list[_Part], lengths: list[int], settings: MediaSettings, state: str) -> dict[str, Any]:
    """clips.json: the fields of `subject.Clip` for each clip on the actor's frame index."""
    clips, first = [], 0
    for part, length, train in zip(parts, lengths, split_point(lengths), strict=True):
        entry = part.entry
        clips.append(
            {
                **{key: entry[key] for key in ("path", "sha256", "emotion", "fps", "width", "height")},
                "first": first,
                "length": length,
                "test_first": first + train,
                "crop": [part.crop.left, part.crop.top, part.crop.side],
            }
        )
        first += length
    return {"state": state, "fps": FPS, "size": settings.size, "frames": first, "clips": clips}
