"""The stage of cross-driving: a foreign voice in, a film of the actor saying it out."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.device import choose_device
from ua3dtalk.media.encode import write_video
from ua3dtalk.media.rows import RowWriter
from ua3dtalk.media.samples import store_sound
from ua3dtalk.rendering.drive import Driver, Shown
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.example import wished
from ua3dtalk.rendering.film import FILM_RATE, head_of, stances_of, synthetic
from ua3dtalk.rendering.style import style_of
from ua3dtalk.rendering.uncertainty import DEVIATION, coloured
from ua3dtalk.settings import POSES, CrossSettings, Voice
from ua3dtalk.subject import FPS, Subject
from ua3dtalk.workflow import atomic, progress, sha256_of

VIDEO, SOUND, FRAMES, HEARD = "driven.mp4", "sound.wav", "driven.npy", "heard.npz"
FILM = "deviation.mp4"
DRIVEN_BY = {"wander": "modelled_pose", "replay": "replayed_pose", "still": "fixed_pose"}


def cross_drive(
    *,
    subject: Subject,
    model: Path,
    whisper: Path,
    voice: Path,
    how: Voice,
    out: Path,
    settings: CrossSettings,
    seed: int,
    state: str,
) -> None:
    """Let a trained head say a foreign voice.

    Beside `out` it writes driven.mp4 (with sound), sound.wav, driven.npy uint8 [n, H, W, 3], heard.npz and, for a head
    with beliefs, deviation.npy float16 [n, H, W] and deviation.mp4.

    Args:
        subject: the actor; model: its head; whisper: folder of the speech encoder.
        voice: any file with sound; how: in which emotion, motion and view it is said.
        out: drive.json, which says what was driven by what.
        seed: of blinks, brows and head motion.
    """
    folder = out.parent
    folder.mkdir(parents=True, exist_ok=True)
    for name in (DEVIATION, FILM):  # of a head before this one
        (folder / name).unlink(missing_ok=True)
    sound = store_sound(voice, folder / SOUND)
    device = choose_device(settings.device)
    head = head_of(subject, model, how.camera != "still" or how.pose not in POSES, device)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as name:
        temporary = Path(name)
        ears = Ears(subject, head, whisper)
        driver = Driver(
            subject,
            head,
            ears,
            stances_of(subject, how.pose, how.camera, seed, device, temporary / "pose"),
            seed,
            device,
            settings.rasteriser,
            wished(how.emotion, temporary / "emotion"),
            style_of(ears, head, how.style, temporary / "style"),
        )
        start = time.perf_counter()
        write_frames(folder, driver, progress(driver(sound), voice.name, sound.frames))
        seconds = time.perf_counter() - start
        told: dict[str, Any] = {
            "audio": store_sound(voice, temporary / "played.wav", FILM_RATE),
            "rate": FILM_RATE,
            "metadata": synthetic(subject, model, driver.transferred),
        }
        write_video(folder / VIDEO, iter(np.load(folder / FRAMES, mmap_mode="r")), **told)
        if head.uncertain:
            write_video(folder / FILM, coloured(np.load(folder / DEVIATION, mmap_mode="r")), **told)
    document = {
        "state": state,
        "voice": {"path": str(voice), "sha256": sha256_of(voice), "seconds": round(sound.frames / FPS, 2)},
        "frames": sound.frames,
        "driven_by": driven_by(how),
        "how": how.model_dump(exclude={"path"}),
        "transferred_emotions": list(driver.transferred),
        "views": list(head.views),
        "labels": list(ears.labels),
        "frames_per_second": round(sound.frames / seconds, 1),
    }
    with atomic(out) as path:
        path.write_text(json.dumps(document, indent=1) + "\n")


def driven_by(how: Voice) -> list[str]:
    """What the frames come from."""
    found = ["audio", DRIVEN_BY.get(how.pose, "guest_pose"), "modelled_blinks"]
    return [*found, *(["asked_emotion"] if how.emotion else []), *(["guest_style"] if how.style else [])]


def write_frames(folder: Path, driver: Driver, shown: Iterable[Shown]) -> None:
    """Frames as they come, their deviation where the head knows it, and what was heard."""
    height, width = driver.subject.plate.shape[:2]
    heard = []
    with ExitStack() as stack:
        frames = _rows(stack, folder / FRAMES, (height, width, 3), np.uint8)
        maps = _rows(stack, folder / DEVIATION, (height, width), np.float16) if driver.head.uncertain else None
        for each in shown:
            frames.append(each.picture)
            heard.append(each.heard)
            if maps is not None:
                maps.append(driver.deviation(each).astype(np.float16))
    with atomic(folder / HEARD) as temporary:
        np.savez(
            temporary,
            spoken=np.array([each.spoken for each in heard], np.float32),
            loudness=np.array([each.loudness for each in heard], np.float32),
            novelty=np.array([each.novelty for each in heard], np.float32),
            emotions=np.array([each.emotions for each in heard], np.float32),
        )


def _rows(stack: ExitStack, path: Path, shape: tuple[int, ...], dtype: type) -> RowWriter:
    return stack.enter_context(RowWriter(stack.enter_context(atomic(path)), shape, dtype))
