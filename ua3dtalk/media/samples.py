"""The sound of any file kept on disk and read in parts, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from ua3dtalk.errors import InputError
from ua3dtalk.media.audio import sound_blocks, write_wav
from ua3dtalk.subject import AUDIO_RATE, FPS

LONGEST = 6 * 3600.0  # s of a voice


class Samples(Protocol):
    """A sequence of mono samples, -1..1, whose parts are float32 arrays: an array, or a `Sound`."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> np.ndarray: ...


class Sound:
    """Samples of a wav file that `store_sound` wrote, mono, whole video frames."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = soundfile.SoundFile(path)

    def __len__(self) -> int:
        return int(self._file.frames)

    def __getitem__(self, part: slice) -> np.ndarray:
        """float32 [stop - start] of a slice without a step."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("a sound is read sample by sample")
        self._file.seek(start)
        found: np.ndarray = self._file.read(max(stop - start, 0), dtype="float32")
        return found

    @property
    def frames(self) -> int:
        """Video frames that it lasts."""
        return len(self) * FPS // self.rate

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self._file.samplerate)


def store_sound(source: Path | str, out: Path, rate: int = AUDIO_RATE, longest: float = LONGEST) -> Sound:
    """Decode all sound of a file that ffmpeg reads, from its first sample on, into a 16-bit wav of whole video frames.

    What is missing of the last frame is silence, so the shortest sound lasts one frame.

    Args:
        rate: samples a second of the wav, a multiple of the frames a second.
        longest: seconds; no more is decoded.
    Raises:
        InputError: unreadable, without sound, longer than that, or with samples that are not numbers.
    """
    write_wav(out, _whole_frames(source, rate, longest), rate)
    return Sound(out)


def _whole_frames(source: Path | str, rate: int, longest: float) -> Iterator[np.ndarray]:
    count = 0
    for block in sound_blocks(source, rate):
        if not np.isfinite(block).all():
            raise InputError(f"{source} has samples that are not numbers: export it again as 16-bit wav")
        count += len(block)
        if count > longest * rate:
            raise InputError(f"{source} is longer than {longest:g} s: cut it")
        yield block
    if not count:
        raise InputError(f"{source} has no readable sound: name a file with an audio track")
    yield np.zeros(-count % (rate // FPS), np.float32)
