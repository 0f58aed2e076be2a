"""What the built-in actor says and how: three stretches, laid out on the time line with the truth of every sound."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ua3dtalk.demo.child import one_line_errors, run_module
from ua3dtalk.demo.voice import Manner, Phoneme, Voice
from ua3dtalk.subject import FPS


@dataclass(frozen=True)
class Stretch:
    """emotion, how it is spoken, and its sentences (said again from the start when time is left)."""

    emotion: str
    manner: Manner
    sentences: tuple[str, ...]


SCRIPT = (
    Stretch(
        "neutral",
        Manner(158, 48, 42, 0.50),
        (
            "This is a head that nobody was born with.",
            "Every part of it was computed, from the light on the cheek to the sound of each word.",
        ),
    ),
    Stretch(
        "happy",
        Manner(165, 66, 80, 0.62, brightness=1.5),
        (
            "And today is a wonderful day!",
            "The sun is out, the coffee is warm, and my new voice works so beautifully!",
            "Is it not lovely?",
        ),
    ),
    Stretch(
        "angry",
        Manner(168, 38, 62, 0.85, brightness=3.0, pressed=0.45),
        (
            "But who moved my books again?",
            "I have told you five times: put them back, and do not touch the blue one!",
            "Enough of this mess!",
        ),
    ),
)
LEAD_IN = 0.25  # s of silence at the start of a stretch
PAUSE = 0.15  # s between sentences


@dataclass(frozen=True)
class Performance:
    """The spoken clip.

    Attributes:
        sound: float32 [N] at `rate` Hz, exactly `frames` / 25 s.
        phonemes: in order, without gaps, from 0 to the end; `_` is a pause.
        emotion: [frames] index into `emotions`; stretches: (first frame, one past the last) of each.
    """

    sound: np.ndarray
    rate: int
    phonemes: tuple[Phoneme, ...]
    emotion: np.ndarray
    emotions: tuple[str, ...]
    stretches: tuple[tuple[int, int], ...]


def perform(frames: int) -> Performance:
    """Speak the script in `frames` frames; each stretch has a third, and what does not fit is cut with a fade.

    A child process speaks: only a fresh one gives the same samples each time.

    Raises:
        AssetError: espeak-ng is not installed or does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "performance.npz"
        run_module("ua3dtalk.demo.script", str(frames), str(out))
        with np.load(out, allow_pickle=False) as data:
            phonemes = zip(
                data["symbols"].tolist(), *(data[key].tolist() for key in ("start", "end", "stress")), strict=True
            )
            return Performance(
                data["sound"],
                int(data["rate"]),
                tuple(Phoneme(*phoneme) for phoneme in phonemes),
                data["emotion"],
                tuple(stretch.emotion for stretch in SCRIPT),
                tuple((int(first), int(end)) for first, end in data["stretches"]),
            )


def main(frames: int, out: Path) -> None:
    """What the child process does: speak and write."""
    spoken = _perform(frames, Voice())
    np.savez(
        out,
        sound=spoken.sound,
        rate=spoken.rate,
        symbols=np.array([phoneme.symbol for phoneme in spoken.phonemes]),
        start=np.array([phoneme.start for phoneme in spoken.phonemes]),
        end=np.array([phoneme.end for phoneme in spoken.phonemes]),
        stress=np.array([phoneme.stress for phoneme in spoken.phonemes]),
        emotion=spoken.emotion,
        stretches=np.array(spoken.stretches),
    )


def _perform(frames: int, voice: Voice) -> Performance:
    borders = [round(frames * part / len(SCRIPT)) for part in range(len(SCRIPT) + 1)]
    sound = np.zeros(round(frames / FPS * voice.rate), np.float32)
    spoken: list[Phoneme] = []
    for stretch, first, end in zip(SCRIPT, borders[:-1], borders[1:], strict=True):
        spoken += _speak(stretch, sound, first / FPS, end / FPS, voice)
    emotion = np.repeat(np.arange(len(SCRIPT)), np.diff(borders))
    return Performance(
        sound,
        voice.rate,
        tuple(close_gaps(spoken, frames / FPS)),
        emotion,
        tuple(stretch.emotion for stretch in SCRIPT),
        tuple(pairwise(borders)),
    )


def _speak(stretch: Stretch, sound: np.ndarray, start: float, end: float, voice: Voice) -> list[Phoneme]:
    """Write one stretch into `sound`; returns its phonemes on the clip's time."""
    found: list[Phoneme] = []
    now, turn = start + min(LEAD_IN, 0.1 * (end - start)), 0
    while now < end - 0.2:
        samples, phonemes = voice.say(stretch.sentences[turn % len(stretch.sentences)], stretch.manner)
        spoken_until = max((p.end for p in phonemes if p.symbol != "_"), default=len(samples) / voice.rate)
        if turn >= len(stretch.sentences) and now + spoken_until > end:
            break  # a repeated sentence must fit; the first round is cut where time is short
        samples = samples[: round((min(spoken_until + 0.05, end - now)) * voice.rate)]
        fade = np.minimum(1, np.arange(len(samples), 0, -1) / (0.03 * voice.rate)).astype(np.float32)
        first = round(now * voice.rate)
        room = sound[first : first + len(samples)]
        room += (samples * fade)[: len(room)]
        found += [
            Phoneme(p.symbol, now + p.start, min(now + p.end, end), p.stress)
            for p in phonemes
            if p.symbol != "_" and now + p.start < end
        ]
        now += spoken_until + PAUSE
        turn += 1
    return found


def close_gaps(spoken: list[Phoneme], end: float) -> list[Phoneme]:
    """Pauses between, before and behind the sounds, so that the times cover the clip."""
    out: list[Phoneme] = []
    now = 0.0
    for phoneme in spoken:
        if phoneme.start > now + 1e-6:
            out.append(Phoneme("_", now, phoneme.start, 0.0))
        out.append(phoneme)
        now = phoneme.end
    if now < end - 1e-6:
        out.append(Phoneme("_", now, end, 0.0))
    return out


if __name__ == "__main__":
    with one_line_errors():
        main(int(sys.argv[1]), Path(sys.argv[2]))
