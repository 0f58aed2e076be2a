"""The held-out frames, rendered: driven by their audio, and by no more of their own than the settings allow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.device import choose_device
from ua3dtalk.field.emotion_memory import attention_entropy
from ua3dtalk.media.encode import write_video
from ua3dtalk.rendering.compose import to_bytes
from ua3dtalk.rendering.controls import ControlTrack, heard
from ua3dtalk.rendering.emotions import ask, shown_emotions
from ua3dtalk.rendering.film import synthetic
from ua3dtalk.rendering.head import Head, load_head
from ua3dtalk.rendering.picture import side_by_side
from ua3dtalk.rendering.renderer import HeadRenderer
from ua3dtalk.rendering.replay import background_at, camera_at, replayed
from ua3dtalk.rendering.uncertainty import write_uncertainty
from ua3dtalk.rendering.upper_face import fit_upper_face
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject
from ua3dtalk.workflow import atomic, progress


@dataclass(frozen=True)
class Row:
    """One way to render the held-out frames: what drives it, and the file it goes to."""

    name: str
    driven_by: tuple[str, ...]
    file: str


def rows_of(settings: RenderingSettings) -> tuple[Row, ...]:
    """The head as the settings drive it, the head with modelled blinks and brows, the head at rest."""
    given = tuple(settings.driven_by)
    without = tuple(source for source in given if source != "action_units")
    rows = [Row("ours", ("audio", *given) + (() if "action_units" in given else ("modelled_blinks",)), "test/ours.npy")]
    if "action_units" in given:
        rows.append(Row("ours", ("audio", *without, "modelled_blinks"), "test/ours_modelled.npy"))
    rows.append(Row("static_mean", without, "test/static_mean.npy"))
    return tuple(rows)


def render_test(
    *, subject: Subject, model: Path, out: Path, picture: Path, settings: RenderingSettings, seed: int, state: str
) -> None:
    """Render every held-out frame in every row.

    Writes `test.json` (out), beside it `test/{row}.npy` uint8 [n, H, W, 3], `test.mp4` (the first row) and `truth.mp4`,
    both with the frames' sound, and a picture of renders beside the truth.
    """
    device = choose_device(settings.device)
    stage = TestStage(subject, load_head(model), settings, seed, device)
    speed = {}
    for row in rows_of(settings):
        start = time.perf_counter()
        _write_rows(out.parent / row.file, stage.frames(row), len(subject.test_frames), row.file)
        speed[row.file] = len(subject.test_frames) / (time.perf_counter() - start)
    ours = np.load(out.parent / rows_of(settings)[0].file, mmap_mode="r")
    sound = subject.audio().reshape(-1, SAMPLES_PER_FRAME)[subject.test_frames].reshape(-1)
    write_video(out.parent / "test.mp4", iter(ours), audio=sound, metadata=synthetic(subject, model))
    write_video(out.parent / "truth.mp4", (subject.video[frame] for frame in subject.test_frames), audio=sound)
    maps = stage.write_uncertainty(out.parent / "test", sound)
    emotions = stage.write_emotions(out.parent / "test", seed)
    side_by_side(subject, out.parent, rows_of(settings), picture, bool(maps), emotions)
    document = {
        "state": state,
        "frames": [int(frame) for frame in subject.test_frames],
        "rows": [{"name": row.name, "driven_by": list(row.driven_by), "file": row.file} for row in rows_of(settings)],
        "speed": {
            "frames_per_second": round(stage.speed(), 1),
            "with_writing": round(speed[rows_of(settings)[0].file], 1),
            "size": int(subject.video.shape[1]),
            "gaussians": {"face": len(stage.head.face.cloud.means), "mouth": len(stage.head.mouth.cloud.means)},
            "device": str(device),
        },
    }
    if maps:
        document["uncertainty"] = maps
    if emotions:
        document["emotions"] = emotions
    if "emotion" in stage.head.views:
        document["memory_entropy"] = stage.memory_entropy()
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(document, indent=1))


class TestStage:
    """The held-out frames of one actor and the head that renders them."""

    __test__ = False  # not a test class, whatever its name

    def __init__(
        self, subject: Subject, head: Head, settings: RenderingSettings, seed: int, device: torch.device
    ) -> None:
        self.subject, self.head, self.device = subject, head.to(device), device
        self.renderer = HeadRenderer(self.head, device, settings.rasteriser)
        self.track = heard(subject, head.reader.cpu(), head.views, subject.expression.action_units)
        self.given = settings.driven_by
        self.modelled = modelled_units(subject, seed)
        self._plate = torch.from_numpy(subject.plate.copy()).to(device)

    def frames(self, row: Row) -> Iterator[np.ndarray]:
        """uint8 [H, W, 3] of each held-out frame."""
        return self._shown(self.controls(row), row.file)

    def _shown(self, controls: ControlTrack | None, name: str) -> Iterator[np.ndarray]:
        for frame in progress(self.subject.test_frames, name):
            image = self.renderer(self.camera(frame), controls(frame) if controls else None, self.background(frame))
            yield to_bytes(image).cpu().numpy()

    def controls(self, row: Row) -> ControlTrack | None:
        """What drives the row's frames; None for the head at rest."""
        if row.name == "static_mean":
            return None
        track = self.track if "action_units" in row.driven_by else replace(self.track, action_units=self.modelled)
        return ControlTrack(self.subject, track, self.head.face.net.encoder is not None, self.device)

    def camera(self, frame: int) -> Camera:
        source = frame if "pose" in self.given else replayed(self.subject, frame)
        return camera_at(self.subject, source, self.device)

    def background(self, frame: int) -> torch.Tensor:
        source = frame if "torso" in self.given else replayed(self.subject, frame)
        return background_at(self.subject, self._plate, source)

    def write_uncertainty(self, folder: Path, sound: np.ndarray) -> dict[str, str]:
        """Maps of the first row's uncertainty; nothing where the head has no beliefs."""
        if not self.head.uncertain:
            return {}
        controls = self.controls(Row("ours", ("audio", *self.given), ""))
        assert controls is not None
        return write_uncertainty(folder, self.subject, self.renderer, controls, self.camera, self.background, sound)

    def write_emotions(self, folder: Path, seed: int) -> dict[str, str]:
        """The held-out speech said in every emotion that the actor has shown; one emotion alone is not asked for.

        Poses and torso are the frames' own, blinks and brows come from a model of the emotion's training frames.
        Returns: label -> file, uint8 [n, H, W, 3].
        """
        labels = shown_emotions(self.subject)
        if len(labels) < 2 or "emotion" not in self.head.views:
            return {}
        files: dict[str, str] = {}
        for label in labels:
            track = ask(self.subject, replace(self.track, action_units=self.modelled), label, seed)
            controls = ControlTrack(self.subject, track, self.head.face.net.encoder is not None, self.device)
            name = f"emotion_{len(files)}.npy"  # a label is the user's: it names no file
            _write_rows(folder / name, self._shown(controls, label), len(self.subject.test_frames), label)
            files[label] = f"{folder.name}/{name}"
        return files

    def memory_entropy(self) -> list[float]:
        """Mean entropy of the emotion memory's attention over the held-out frames, per scale: 1 would be deaf."""
        field = self.head.face.net.uncertain
        assert field is not None and field.memory is not None and self.track.emotion is not None
        embeddings = torch.from_numpy(self.track.emotion[self.subject.test_frames]).to(self.device)
        read = [field.memory.read(embedding[None])[1] for embedding in embeddings]
        return [float(attention_entropy(torch.stack(scale)).mean()) for scale in zip(*read, strict=True)]

    def speed(self, frames: int = 50) -> float:
        """Frames a second of field, rasteriser and composition, without reading and encoding; median of three runs."""
        row = Row("ours", ("audio",), "")
        controls = self.controls(row)
        assert controls is not None
        chosen = np.resize(self.subject.test_frames, frames)
        inputs = [(self.camera(f), controls(f), self.background(f)) for f in chosen[: min(frames, 8)]]
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            for index in range(frames):
                to_bytes(self.renderer(*inputs[index % len(inputs)]))
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            runs.append(frames / (time.perf_counter() - start))
        return sorted(runs)[1]


def modelled_units(subject: Subject, seed: int) -> np.ndarray:
    """Action units [T, 6] in which held-out frames come from a model of the training frames."""
    units = subject.expression.action_units.astype(np.float64)
    model = fit_upper_face(units, [np.arange(clip.first, clip.test_first) for clip in subject.clips])
    modelled = units.copy()
    rng = np.random.default_rng(seed)
    for clip in subject.clips:
        modelled[clip.test_first : clip.end] = model.sample(clip.end - clip.test_first, rng)
    return modelled


def _write_rows(path: Path, frames: Iterator[np.ndarray], count: int, label: str) -> None:
    with atomic(path) as temporary:
        rows = None
        for index, frame in enumerate(frames):
            if rows is None:
                rows = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, *frame.shape))
            rows[index] = frame
        assert rows is not None, label
        rows.flush()
