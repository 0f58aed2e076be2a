"""`ua3dtalk say`, `perform` and `curves`: a trained actor from the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from os.path import exists, isfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.device import choose_device
from ua3dtalk.errors import InputError
from ua3dtalk.media.encode import write_sound, write_video
from ua3dtalk.media.rows import RowWriter
from ua3dtalk.media.samples import Sound, store_sound
from ua3dtalk.rendering.animated import animate, write_animation
from ua3dtalk.rendering.curves import Curves, read_curves, write_curves
from ua3dtalk.rendering.drive import Cue, Driver, Shown, Stage
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.example import wished
from ua3dtalk.rendering.film import FILM_RATE, head_of, stances_of, synthetic
from ua3dtalk.rendering.head import Head
from ua3dtalk.rendering.orbit import parse_camera
from ua3dtalk.rendering.replay import Still
from ua3dtalk.rendering.style import style_of
from ua3dtalk.rendering.uncertainty import coloured
from ua3dtalk.settings import POSES
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import RESULTS, atomic, progress
from ua3dtalk.workflow import say as announce


@dataclass(frozen=True)
class FilmOptions:
    """Who is shown, and how.

    actor: a name under results/, or a folder; out: an .mp4, a .glb, or a folder for pictures with alpha; pose: of
    `POSES`, or whose head motion it is, as `open_guest` takes it; camera: as `parse_camera` takes it; uncertainty:
    another .mp4, of where the head is unsure; seed: of blinks, brows and head motion; fast: one net for each view in
    place of its ensemble.
    """

    actor: str
    out: Path
    pose: str = "wander"
    camera: str = "still"
    uncertainty: Path | None = None
    seed: int = 0
    device: str = "auto"
    fast: bool = False


def say(options: FilmOptions, voice: Path, emotion: str | None = None, style: str | None = None) -> int:
    """Write a film of the actor saying a voice, with its sound; returns the number of its frames.

    Args:
        voice: any file with sound; emotion: as `wished` takes it, None for what is heard; style: as `parse_style`.

    Raises:
        UserError: one line for whatever does not fit.
    """
    _check_paths(options, voice)
    subject = open_actor(options.actor)
    head, device = _open_head(subject, options)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        asked = wished(emotion, Path(folder) / "emotion")
        sound = store_sound(voice, Path(folder) / "heard.wav")
        stances = stances_of(subject, options.pose, options.camera, options.seed, device, Path(folder) / "pose")
        ears = Ears(subject, head, whisper_folder(subject))
        manner = style_of(ears, head, style, Path(folder) / "style")
        driver = Driver(subject, head, ears, stances, options.seed, device, asked=asked, style=manner)
        if driver.transferred:
            never = f"{subject.name} never showed {' and '.join(driver.transferred)}"
            announce(f"ua3dtalk: note: {never}: carried over from the open expression basis")
        return _write(options, driver, progress(driver.cues(sound), "say", sound.frames), voice, Path(folder))


def perform(options: FilmOptions, curves: Path, voice: Path | None = None) -> int:
    """The same, driven by the curves of a table; the voice, if there is one, is only played."""
    _check_paths(options, voice)
    coefficients = read_curves(curves)
    subject = open_actor(options.actor)
    head, device = _open_head(subject, options)
    track = Curves(subject, head.views, head.lip_count).track(coefficients)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        stances = stances_of(subject, options.pose, options.camera, options.seed, device, Path(folder) / "pose")
        stage = Stage(subject, head, stances, device)
        cues = progress(stage.follow(track), "perform", len(coefficients))
        return _write(options, stage, cues, voice, Path(folder))


def voice_curves(options: FilmOptions, voice: Path, emotion: str | None = None, style: str | None = None) -> int:
    """Write the curves of what a voice drives as a table, `options.out`; returns the number of frames."""
    if options.out.suffix.lower() != ".csv":
        raise InputError(f"--out {options.out}: curves are written as .csv; name it so")
    _check_voice(voice)
    subject = open_actor(options.actor)
    head, device = _open_head(subject, options)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        asked = wished(emotion, Path(folder) / "emotion")
        sound = store_sound(voice, Path(folder) / "heard.wav")
        ears = Ears(subject, head, whisper_folder(subject))
        manner = style_of(ears, head, style, Path(folder) / "style")
        driver = Driver(subject, head, ears, Still(subject, device), options.seed, device, asked=asked, style=manner)
        between = Curves(subject, head.views, head.lip_count)
        return write_curves(options.out, (between.coefficients(track) for track in driver.tracks(sound)))


def _open_head(subject: Subject, options: FilmOptions) -> tuple[Head, torch.device]:
    device = choose_device(options.device)
    aside = options.camera != "still" or options.pose not in POSES or options.out.suffix.lower() == ".glb"
    head = head_of(subject, subject.path("model/fused.safetensors"), aside, device, options.fast)
    if options.uncertainty and not head.uncertain:
        raise InputError(f"--uncertainty: the head of {subject.name} has no beliefs: train it with method: ua3dtalk")
    return head, device


def _write(options: FilmOptions, stage: Stage, cues: Iterable[Cue], voice: Path | None, folder: Path) -> int:
    """Pictures, a head that moves, or a film, and the film of doubt; returns the number of frames."""
    kind = options.out.suffix.lower()
    if not kind:
        return write_pictures(options.out, stage, map(stage.show, cues))
    subject, doubt = stage.subject, options.uncertainty
    metadata = synthetic(subject, subject.path("model/fused.safetensors"), stage.transferred, options.fast)
    played = store_sound(voice, folder / "played.wav", FILM_RATE) if voice else None
    if kind == ".glb":
        return write_animation(options.out, animate(stage, cues), encoded(played, folder) if played else None, metadata)
    told: dict[str, Any] = {"rate": FILM_RATE, "metadata": metadata, "audio": played}
    with ExitStack() as stack:
        maps = folder / "deviation.npy"
        rows = stack.enter_context(RowWriter(maps, subject.plate.shape[:2], np.float16)) if doubt else None
        count = write_video(options.out, _pictures(stage, map(stage.show, cues), rows), **told)
    if doubt:
        write_video(doubt, coloured(np.load(maps, mmap_mode="r")), **told)
    return count


def encoded(sound: Sound, folder: Path) -> bytes:
    """The .m4a of a sound; the folder is for what lies on the way."""
    path = folder / "played.m4a"
    write_sound(path, sound, sound.rate)
    return path.read_bytes()


def _check_paths(options: FilmOptions, voice: Path | None) -> None:
    if options.out.suffix and options.out.suffix.lower() not in (".mp4", ".glb"):
        raise InputError(f"--out {options.out}: name a film, .mp4, a moving head, .glb, or a folder for pictures")
    if options.uncertainty and options.uncertainty.suffix.lower() != ".mp4":
        raise InputError(f"--uncertainty {options.uncertainty}: a film is written as .mp4; name it so")
    if options.uncertainty and options.out.suffix.lower() != ".mp4":
        raise InputError("--uncertainty goes with a film: give --out an .mp4")
    _check_voice(voice)
    parse_camera(options.camera)
    if options.pose not in POSES and not exists(options.pose):
        raise InputError(f"--pose {options.pose}: choose of {', '.join(POSES)}, or name a video of another person")


def _check_voice(voice: Path | None) -> None:
    if voice is not None and not isfile(voice):
        raise InputError(f"no file {voice} (looked from {Path.cwd()}): correct the path")


def _pictures(stage: Stage, shown: Iterable[Shown], maps: RowWriter | None) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] as they are rendered; their deviation goes into `maps`."""
    for each in shown:
        if maps is not None:
            maps.append(stage.deviation(each).astype(np.float16))
        yield each.picture


def write_pictures(folder: Path, stage: Stage, shown: Iterable[Shown]) -> int:
    """The head alone as 000000.png, 000001.png, ... with alpha, colours not premultiplied; returns their number."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for each in shown:
        rgba = stage.alone(each)
        with atomic(folder / f"{count:06d}.png") as temporary:
            temporary.write_bytes(cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])[1].tobytes())
        count += 1
    return count


def open_actor(name: str) -> Subject:
    """An actor by name or folder."""
    for folder in (RESULTS / name, Path(name)):
        if isfile(folder / "clips.json"):
            return Subject(folder)
    raise InputError(f"no actor {name}: there is no {RESULTS / name}/clips.json; train it first, or name its folder")


def whisper_folder(subject: Subject) -> Path:
    """The speech encoder that the workflow has fetched beside the actors, else the cache's."""
    beside = subject.root.parent / ".assets" / "whisper_base"
    return beside if beside.is_dir() else fetch("whisper_base")
