"""`ua3dtalk say`: a trained actor says any sound, from the command line."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.device import choose_device
from ua3dtalk.errors import InputError
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.rows import RowWriter
from ua3dtalk.media.samples import store_sound
from ua3dtalk.rendering.drive import Driver, Shown
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.orbit import Orbit, parse_camera
from ua3dtalk.rendering.replay import Replay, Stance, Still
from ua3dtalk.rendering.uncertainty import coloured
from ua3dtalk.rendering.wander import Wander
from ua3dtalk.rendering.wishes import parse_wish
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import RESULTS, atomic, progress

FILM_RATE = 48_000  # Hz of the film's sound; the head hears 16 kHz
POSES = ("wander", "replay", "still")


@dataclass(frozen=True)
class SayOptions:
    """What is said by whom.

    actor: a name under results/, or a folder; voice: any file with sound; out: an .mp4, or a folder for pictures with
    alpha; emotion: as `parse_wish` takes it, nothing for what is heard; pose: of `POSES`; camera: as `parse_camera`
    takes it; uncertainty: another .mp4, of where the head is unsure; seed: of blinks, brows and head motion.
    """

    actor: str
    voice: Path
    out: Path
    emotion: str | None = None
    pose: str = "wander"
    camera: str = "still"
    uncertainty: Path | None = None
    seed: int = 0
    device: str = "auto"


def say(options: SayOptions) -> int:
    """Write the film with its sound; returns the number of its frames.

    Raises:
        UserError: one line for whatever does not fit.
    """
    _check_paths(options)
    asked, angles = parse_wish(options.emotion), parse_camera(options.camera)
    subject = open_actor(options.actor)
    model = subject.path("model/fused.safetensors")
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        sound = store_sound(options.voice, Path(folder) / "heard.wav")
        device = choose_device(options.device)
        head = load_head(model).to(device)
        if options.uncertainty and not head.uncertain:
            raise InputError(
                f"--uncertainty: the head of {subject.name} has no beliefs: train it with method: ua3dtalk"
            )
        ears = Ears(subject, head, whisper_folder(subject))
        stances = _stances(options, subject, device)
        if angles is not None:
            stances = Orbit.around(subject, stances, angles, device)
        driver = Driver(subject, head, ears, stances, options.seed, device, asked=asked)
        shown = progress(driver(sound), "say", sound.frames)
        if options.out.suffix.lower() != ".mp4":
            return write_pictures(options.out, driver, shown)
        played = store_sound(options.voice, Path(folder) / "played.wav", FILM_RATE)
        metadata = synthetic(subject, model)
        maps = Path(folder) / "deviation.npy"
        with ExitStack() as stack:
            rows = None
            if options.uncertainty:
                rows = stack.enter_context(RowWriter(maps, subject.plate.shape[:2], np.float16))
            count = write_video(
                options.out, _pictures(driver, shown, rows), audio=played, rate=FILM_RATE, metadata=metadata
            )
        if options.uncertainty:
            film = coloured(np.load(maps, mmap_mode="r"))
            write_video(options.uncertainty, film, audio=played, rate=FILM_RATE, metadata=metadata)
        return count


def _check_paths(options: SayOptions) -> None:
    if options.out.suffix and options.out.suffix.lower() != ".mp4":
        raise InputError(f"--out {options.out}: name a film, .mp4, or a folder for pictures")
    if options.uncertainty and options.uncertainty.suffix.lower() != ".mp4":
        raise InputError(f"--uncertainty {options.uncertainty}: a film is written as .mp4; name it so")
    if options.uncertainty and options.out.suffix.lower() != ".mp4":
        raise InputError("--uncertainty goes with a film: give --out an .mp4")
    if not options.voice.is_file():
        raise InputError(f"no file {options.voice} (looked from {Path.cwd()}): correct the path")
    if options.pose not in POSES:
        raise InputError(f"--pose {options.pose}: choose of {', '.join(POSES)}")


def _stances(options: SayOptions, subject: Subject, device: torch.device) -> Callable[[int], Stance]:
    """Where the head is in each frame."""
    if options.pose == "wander":
        return Wander(subject, device, options.seed)
    return Replay(subject, device) if options.pose == "replay" else Still(subject, device)


def _pictures(driver: Driver, shown: Iterable[Shown], maps: RowWriter | None) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] as they are rendered; their deviation goes into `maps`."""
    for each in shown:
        if maps is not None:
            maps.append(driver.deviation(each).astype(np.float16))
        yield each.picture


def write_pictures(folder: Path, driver: Driver, shown: Iterable[Shown]) -> int:
    """The head alone as 000000.png, 000001.png, ... with alpha, colours not premultiplied; returns their number."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for each in shown:
        rgba = driver.alone(each)
        with atomic(folder / f"{count:06d}.png") as temporary:
            temporary.write_bytes(cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])[1].tobytes())
        count += 1
    return count


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
