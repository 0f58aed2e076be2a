"""`ua3dtalk say`: a trained actor says any sound, from the command line."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.assets import fetch
from ua3dtalk.device import choose_device
from ua3dtalk.errors import InputError
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.samples import Sound, store_sound
from ua3dtalk.rendering.drive import Asked, Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.replay import Replay
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import RESULTS, progress

STRONGEST = 1.5  # an emotion beyond what the actor has shown, and as far as a face may be stretched
FILM_RATE = 48_000  # Hz of the film's sound; the head hears 16 kHz


@dataclass(frozen=True)
class SayOptions:
    """What is said by whom.

    actor: a name under results/, or a folder; voice: any file with sound; out: an mp4; emotion: `label` or
    `label:strength`, or nothing for what is heard; seed: of blinks and brows.
    """

    actor: str
    voice: Path
    out: Path
    emotion: str | None = None
    seed: int = 0
    device: str = "auto"


def say(options: SayOptions) -> int:
    """Write the film with its sound; returns the number of its frames.

    Raises:
        UserError: one line for whatever does not fit.
    """
    if options.out.suffix.lower() != ".mp4":
        raise InputError(f"--out {options.out}: a film is written as .mp4; name it so")
    if not options.voice.is_file():
        raise InputError(f"no file {options.voice} (looked from {Path.cwd()}): correct the path")
    asked = parse_emotion(options.emotion)
    subject = open_actor(options.actor)
    model = subject.path("model/fused.safetensors")
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        sound = store_sound(options.voice, Path(folder) / "heard.wav")
        played = store_sound(options.voice, Path(folder) / "played.wav", FILM_RATE)
        device = choose_device(options.device)
        head = load_head(model).to(device)
        ears = Ears(subject, head, whisper_folder(subject))
        driver = Driver(subject, head, ears, Replay(subject, device), options.seed, device, asked=asked)
        metadata = synthetic(subject, model)
        return write_video(options.out, pictures(driver, sound), audio=played, rate=FILM_RATE, metadata=metadata)


def pictures(driver: Driver, sound: Sound) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] as they are rendered."""
    for shown in progress(driver(sound), "say", sound.frames):
        yield shown.picture


def parse_emotion(text: str | None) -> Asked | None:
    """`happy`, `happy:0.8` or nothing."""
    if text is None:
        return None
    label, _, strength = text.partition(":")
    try:
        value = float(strength) if strength else 1.0
    except ValueError:
        value = -1.0
    if not label or not 0 <= value <= STRONGEST:
        raise InputError(f"--emotion {text}: give a label and, after a colon, a strength from 0 to {STRONGEST}")
    return Asked(label, value)


def open_actor(name: str) -> Subject:
    """An actor by name or folder."""
    for folder in (RESULTS / name, Path(name)):
        if (folder / "clips.json").is_file():
            return Subject(folder)
    raise InputError(f"no actor {name}: there is no {RESULTS / name}/clips.json; train it first, or name its folder")


def whisper_folder(subject: Subject) -> Path:
    """The speech encoder that the workflow has fetched beside the actors, else the cache's."""
    beside = subject.root.parent / ".assets" / "whisper_base"
    return beside if beside.is_dir() else fetch("whisper_base")


def synthetic(subject: Subject, model: Path) -> dict[str, str]:
    """What the film says of itself."""
    with model.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"comment": f"synthetic: rendered by ua3dtalk from the head {subject.name}, model sha256 {sha256}"}
