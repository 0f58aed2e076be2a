"""The sound of a clip: mono, one rate, on the picture's clock, of exactly the asked length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream

from ua3dtalk.errors import InputError
from ua3dtalk.media.source import decoded_audio, open_source
from ua3dtalk.subject import AUDIO_RATE
from ua3dtalk.workflow import atomic

# Times of sound packets are rounded; only a longer jump is a real hole or overlap.
JUMP_SECONDS = 0.03
MAX_SECONDS = 24 * 3600.0
MAX_HOLE = 600.0  # s of silence that a few bytes may stand for
LEAST_RATE, MOST_RATE, MOST_CHANNELS = 2_000, 768_000, 64


def read_audio(path: Path | str, rate: int = AUDIO_RATE) -> np.ndarray:
    """All sound of any file, float32 [n] mono in -1..1 at `rate`, from its first sample on.

    Raises:
        InputError: unreadable, or no sound in it.
    """
    blocks = list(sound_blocks(path, rate))
    if not blocks:
        raise InputError(f"{path} has no readable sound: name a file with an audio track")
    return np.concatenate(blocks)


def sound_blocks(path: Path | str, rate: int = AUDIO_RATE) -> Iterator[np.ndarray]:
    """The same in blocks, as they are decoded: memory does not grow with the length. Holes are silence."""
    done, first = 0, None
    for position, block in _timed_blocks(path, rate):
        first = position if first is None else first
        position -= first
        block = block[max(done - position, 0) :]  # a second time
        position = max(position, done)
        if not len(block):
            continue
        if position - done > MAX_HOLE * rate:
            raise InputError(f"{path} has no sound for {(position - done) / rate:.0f} s on the way: cut it there")
        yield from _silence(position - done, rate)
        yield np.clip(block, -1, 1)
        done = position + len(block)


def aligned_audio(path: Path | str, start: float, length: int, rate: int = AUDIO_RATE) -> Iterator[np.ndarray]:
    """Sound from `start` seconds of the file's clock on, float32 blocks of exactly `length` samples in all.

    Where the file has no sound there is silence. Memory does not grow with the length.
    """
    done = 0
    for position, block in _timed_blocks(path, rate):
        position -= round(start * rate)
        block = block[max(done - position, 0) :]  # before the picture, or a second time
        position = max(position, done)
        if not len(block):
            continue
        if position >= length:
            break
        yield from _silence(position - done, rate)
        block = block[: length - position]
        yield np.clip(block, -1, 1)
        done = position + len(block)
    yield from _silence(length - done, rate)


def write_wav(path: Path | str, blocks: Iterator[np.ndarray], rate: int = AUDIO_RATE) -> int:
    """Write float32 blocks as 16-bit mono wav, atomically; returns the number of samples."""
    with atomic(path) as temporary, soundfile.SoundFile(temporary, "w", rate, 1, "PCM_16", format="WAV") as sound:
        for block in blocks:
            sound.write(block)
        return int(sound.frames)


def _silence(length: int, rate: int) -> Iterator[np.ndarray]:
    for start in range(0, length, rate):
        yield np.zeros(min(rate, length - start), np.float32)


def _timed_blocks(path: Path | str, rate: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of mono sound with the position of their first sample on the file's clock, in samples at `rate`."""
    with open_source(path) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        _check_stream(path, stream)
        layout = "mono" if stream.channels == 1 else "stereo"
        resampler, origin, fed, given = None, 0, 0, 0
        try:
            for frame in decoded_audio(container, stream):
                time = frame.time if frame.time is not None else (origin / rate + fed / frame.sample_rate)
                if abs(time) > MAX_SECONDS:
                    raise InputError(f"{path} has sound at {time:.0f} s: its times are broken, export it again")
                expected = origin / rate + fed / frame.sample_rate
                if resampler is None or abs(time - expected) > JUMP_SECONDS:
                    if resampler is not None:  # a hole in the sound: finish what came before it
                        for block in _mono(resampler.resample(None)):
                            yield origin + given, block
                            given += len(block)
                    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
                    origin, fed, given = round(time * rate), 0, 0
                fed += frame.samples
                frame.pts = None  # positions are counted here
                for block in _mono(resampler.resample(frame)):
                    yield origin + given, block
                    given += len(block)
            if resampler is not None:
                for block in _mono(resampler.resample(None)):
                    yield origin + given, block
                    given += len(block)
        except (av.FFmpegError, ValueError) as error:
            raise InputError(f"{path} has a sound track that cannot be decoded ({error}): export it again") from error


def _check_stream(path: Path | str, stream: AudioStream) -> None:
    if not (LEAST_RATE <= stream.rate <= MOST_RATE and 1 <= stream.channels <= MOST_CHANNELS):
        raise InputError(
            f"{path} has {stream.channels} channels of sound at {stream.rate} Hz: export it again with at most "
            f"{MOST_CHANNELS} at {LEAST_RATE} to {MOST_RATE} Hz"
        )


def _mono(frames: list[av.AudioFrame]) -> Iterator[np.ndarray]:
    """Mean of the channels of planar float frames, float32 [n]."""
    for frame in frames:
        yield frame.to_ndarray().mean(0, dtype=np.float32)
