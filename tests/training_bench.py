"""What tests of the training stages share: a bench that runs them on the drawn head, and runs that are killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors import safe_open

from ua3dtalk.subject import Subject
from ua3dtalk.training import stages
from ua3dtalk.training.branch import BranchTrainer
from ua3dtalk.training.fuse import FuseTrainer
from ua3dtalk.training.settings import TrainingSettings

STATE = "c0ffee"


@dataclass
class Bench:
    """Runs stages on the drawn head, each into a folder of its own."""

    subject: Subject
    folder: Path

    def listen(self, settings: TrainingSettings) -> Path:
        out = self.folder / "audio.safetensors"
        if not out.exists():
            stages.train_audio(
                subject=self.subject, out=out, picture=self.folder / "audio.png", settings=settings, state=STATE
            )
        return out

    def branch(self, name: stages.Name, run: str, settings: TrainingSettings, state: str = STATE) -> Path:
        folder = self.folder / run
        stages.train_branch(
            subject=self.subject, branch=name, audio=self.listen(settings), perceptual=None,
            out=folder / f"{name}.safetensors", picture=folder / f"{name}.png", losses=folder / f"{name}.json",
            settings=settings, seed=3, state=state, checkpoint=folder / f"{name}.ckpt",
        )  # fmt: skip
        return folder / f"{name}.safetensors"

    def fuse(self, face: Path, mouth: Path, run: str, settings: TrainingSettings) -> Path:
        folder = self.folder / run
        stages.train_fuse(
            subject=self.subject, audio=self.listen(settings), face=face, mouth=mouth, perceptual=None,
            out=folder / "head.safetensors", picture=folder / "head.png", losses=folder / "head.json",
            settings=settings, seed=3, state=STATE, checkpoint=folder / "head.ckpt",
        )  # fmt: skip
        return folder / "head.safetensors"


def content(path: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Metadata and the bits of every tensor; the file's own bytes hold the metadata in no fixed order."""
    with safe_open(path, "pt") as file:
        return file.metadata(), {key: file.get_tensor(key).numpy().tobytes() for key in file.keys()}  # noqa: SIM118


def killed_at(trainer: type, iteration: int, run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a stage that is stopped in the middle of a step."""
    step = trainer.step  # type: ignore[attr-defined]

    def stop(self: BranchTrainer | FuseTrainer, what: object) -> float:
        if self.iteration == iteration:
            raise KeyboardInterrupt
        return float(step(self, what))

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            run()
