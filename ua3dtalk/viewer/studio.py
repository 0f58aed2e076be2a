"""An actor that waits to be given voices: each is heard once, and shown in as many emotions as somebody asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from ua3dtalk.device import choose_device
from ua3dtalk.errors import InputError
from ua3dtalk.media.samples import Samples, store_sound
from ua3dtalk.rendering.animated import animate, write_animation
from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears, Passage, Remembered
from ua3dtalk.rendering.emotions import shown_emotions
from ua3dtalk.rendering.film import FILM_RATE, head_of, own_motion, synthetic
from ua3dtalk.rendering.say import encoded, open_actor, whisper_folder
from ua3dtalk.rendering.wishes import parse_wish
from ua3dtalk.settings import POSES
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME

IDLE = 6.0  # seconds that a head without a voice lasts
Item = TypeVar("Item")
Told = Callable[[str, float], None]  # what is done, and which share of it


@dataclass(frozen=True)
class Heard:
    """A voice that was listened to: its name, video frames, passages, and the .m4a that is played (None: silence)."""

    name: str
    frames: int
    passages: tuple[Passage, ...]
    sound: bytes | None


class Studio:
    """One actor.

    Args:
        actor: a name under results/, or a folder; pose: of `POSES`; seed: of blinks, brows and head motion.
        longest: seconds that a voice may last; folded: one net for each view in place of its ensemble.
    Raises:
        UserError: one line for whatever does not fit.
    """

    def __init__(self, actor: str, pose: str, seed: int, device: str, longest: float, folded: bool = False) -> None:
        if pose not in POSES:
            raise InputError(f"--pose {pose}: choose of {', '.join(POSES)}")
        if not longest > 0:
            raise InputError(f"--longest {longest:g}: give seconds above 0")
        self.subject, self.seed, self.longest = open_actor(actor), seed, longest
        self.device = choose_device(device)
        self.folded = folded
        self._model = self.subject.path("model/fused.safetensors")
        self.head = head_of(self.subject, self._model, True, self.device, folded)
        self._stances = own_motion(self.subject, pose, seed, self.device)

    @property
    def own(self) -> tuple[str, ...]:
        """Emotions that the actor has shown and that its head can be asked for."""
        return shown_emotions(self.subject) if "emotion" in self.head.views else ()

    @cached_property
    def ears(self) -> Ears:
        """Made when the first voice comes: that takes seconds."""
        return Ears(self.subject, self.head, whisper_folder(self.subject))

    def hear(self, voice: Path | None, name: str, told: Told) -> Heard:
        """Listen to a file with sound, or to silence.

        Raises:
            InputError: without sound, too long, not readable.
        """
        if voice is None:
            return self._listen("nobody speaks", np.zeros(int(IDLE * FPS) * SAMPLES_PER_FRAME, np.float32), None, told)
        with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
            try:
                sound = store_sound(voice, Path(folder) / "heard.wav", longest=self.longest)
                played = encoded(store_sound(voice, Path(folder) / "played.wav", FILM_RATE), Path(folder))
            except InputError as error:  # the file may lie where the user has never put one
                raise InputError(str(error).replace(str(voice), name)) from error
            return self._listen(name, sound, played, told)

    def _listen(self, name: str, sound: Samples, played: bytes | None, told: Told) -> Heard:
        told(f"listening to {name}", 0.0)
        count = len(sound) // SAMPLES_PER_FRAME
        passages = []
        for passage in self.ears.passages(sound):
            passages.append(passage)
            told(f"listening to {name}", (passage.start + passage.inner.stop) / count)
        return Heard(name, count, tuple(passages), played)

    def animate(self, heard: Heard, strengths: Mapping[str, float], told: Told) -> bytes:
        """The .glb of a voice that was heard, in emotions of `own`.

        Raises:
            InputError: others, or too strong.
        """
        wish = ",".join(f"{label}:{strength}" for label, strength in strengths.items() if strength > 0)
        asked = parse_wish(wish or None)
        driver = Driver(
            self.subject, self.head, Remembered(heard.passages), self._stances, self.seed, self.device, asked=asked
        )
        silence = np.broadcast_to(np.float32(0), heard.frames * SAMPLES_PER_FRAME)  # what was heard is remembered
        cues = _counted(driver.cues(silence), heard.frames, told)
        with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
            path = Path(folder) / "head.glb"
            said = synthetic(self.subject, self._model, driver.transferred, self.folded)
            write_animation(path, animate(driver, cues), heard.sound, said)
            return path.read_bytes()


def _counted(items: Iterable[Item], total: int, told: Told) -> Iterator[Item]:
    for done, item in enumerate(items):
        told("moving the head", done / total)
        yield item
