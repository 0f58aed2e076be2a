"""The stage that takes the sound out of an actor's clips, moved where it does not fit the lips."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.media.audio import aligned_audio, write_wav
from ua3dtalk.media.picture import sound_sheet
from ua3dtalk.media.probe import probe
from ua3dtalk.reading import read_json, reading
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import SAMPLES_PER_FRAME, Clip, Subject
from ua3dtalk.workflow import atomic, say

MOST_CORRECTION = 10.0  # s, as of the config's audio_offset


def write_sound(
    *,
    subject: Subject,
    offsets: Sequence[float | None],
    measured: Path | None,
    out_audio: Path,
    out_record: Path,
    picture: Path,
    settings: MediaSettings,
    state: str,
) -> None:
    """Lay the sound of an actor's clips end to end: 16 kHz mono, exactly T/25 s.

    Args:
        subject: clips.json is read.
        offsets: seconds by which each clip's sound is moved, as the config says; None where it says nothing.
        measured: audio_offset.json, whose offsets hold where the config says nothing; None to take the sound as it is.
        out_audio: audio.wav, 16 bit.
        out_record: sound.json, by how much each clip's sound was moved and who said so.
        picture: png of the sound.
        settings: limits.
        state: hash that is written into sound.json.
    Raises:
        InputError, DataError: a clip or audio_offset.json cannot be read.
    """
    moves = moves_of(offsets, _corrections(measured, len(offsets)))
    envelope = np.zeros(subject.frame_count, np.float32)

    def blocks() -> Iterator[np.ndarray]:
        position = 0
        for clip, (move, _) in zip(subject.clips, moves, strict=True):
            for block in sound_blocks(clip, clip.length, move, settings):
                frames = (position + np.arange(len(block))) // SAMPLES_PER_FRAME
                np.maximum.at(envelope, frames, np.abs(block))
                position += len(block)
                yield block

    write_wav(out_audio, blocks())
    entries = [
        {"path": clip.path, "moved_by": move, "said_by": who}
        for clip, (move, who) in zip(subject.clips, moves, strict=True)
    ]
    for entry in entries:
        if entry["said_by"] == "measured":
            say(f"sound: {entry['path']}: moved by {entry['moved_by']:+.3f} s to fit the lips")
    with atomic(out_record) as temporary:
        temporary.write_text(json.dumps({"state": state, "clips": entries}, indent=1) + "\n")
    sound_sheet(picture, envelope, [clip.first for clip in subject.clips], [move for move, _ in moves])


def moves_of(offsets: Sequence[float | None], corrections: Sequence[float | None]) -> list[tuple[float, str | None]]:
    """Seconds by which each clip's sound is moved, and who says so: the config before the measurement."""
    found: list[tuple[float, str | None]] = []
    for said, correction in zip(offsets, corrections, strict=True):
        if said is not None:
            found.append((said, "config"))
        elif correction is not None:
            found.append((correction, "measured"))
        else:
            found.append((0.0, None))
    return found


def clip_sound(clip: Clip, length: int, offset: float = 0.0, settings: MediaSettings | None = None) -> np.ndarray:
    """Sound of a clip's first `length` frames, float32 [length * 640] at 16 kHz, moved by `offset` seconds."""
    return np.concatenate([*sound_blocks(clip, length, offset, settings or MediaSettings())])


def sound_blocks(clip: Clip, length: int, offset: float, settings: MediaSettings) -> Iterator[np.ndarray]:
    """Blocks of `clip_sound`; memory does not grow with the length.

    What is heard at t of the result is heard at t - offset of the source: a positive offset delays the sound. Where
    that leaves none there is silence.
    """
    start = probe(clip.path, settings).video_start
    yield from aligned_audio(clip.path, start - offset, length * SAMPLES_PER_FRAME)


def _corrections(measured: Path | None, count: int) -> list[float | None]:
    if measured is None:
        return [None] * count
    with reading(measured):
        found = [clip["correction"] for clip in read_json(measured)["clips"]]
        usual = all(each is None or (type(each) in (int, float) and abs(each) <= MOST_CORRECTION) for each in found)
        if len(found) != count or not usual:
            raise ValueError(f"{len(found)} corrections for {count} clips, or one that is none")
        return found
