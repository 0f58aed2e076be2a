"""What a cluster is asked for: memory and time of each rule's job, from what jobs took.

Measured on two cores at 256 px with `budget: demo` and `method: ua3dtalk`: the largest of three clips of 20 to 60 s.
Time grows with the length of the film or with the steps of training, and like memory with the area of the frames; a
retry asks for more. Frames that are read in place count to the page cache, which a full machine takes back, so memory
does not grow with the length.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ua3dtalk.config import Config

SIZE = 256  # px, at which the table was measured
SNAKEMAKE_MB = 500  # of the processes of Snakemake around a job
SPARE = 1.5, 3.0  # memory and time asked for over those measured: nodes differ
LEAST_MINUTES = 5
UNKNOWN_MINUTES = 10.0  # of film, before its length is known


@dataclass(frozen=True)
class Need:
    """What a rule took.

    Attributes:
        memory: peak, MB.
        seconds: whatever the length.
        per_minute: seconds more for each minute of film.
        per_step: seconds for each iteration of training.
        frames: whether memory and time grow with the area of the frames.
    """

    memory: int
    seconds: float
    per_minute: float = 0.0
    per_step: float = 0.0
    frames: bool = False


NEEDS = {
    "builtin_actor": Need(1760, 5, 340),
    "rehearse": Need(420, 20),
    "export_parser": Need(490, 4),
    "locate": Need(300, 5, 30),
    "decode": Need(110, 1, 4, frames=True),
    "sound": Need(110, 1, 1),
    "landmarks": Need(490, 2, 18, frames=True),
    "train_sync": Need(790, 50, 30),
    "audio_offset": Need(770, 5, 24),
    "regions": Need(700, 2, 400, frames=True),
    "tracking": Need(260, 2, 44),
    "expression": Need(110, 1, 4),
    "layers": Need(850, 2, 28, frames=True),
    "speech": Need(740, 8, 18),
    "priors": Need(640, 10, 20),
    "emotion": Need(940, 15, 25),
    "train_audio": Need(530, 5, 85),
    "train_mouth": Need(520, 2, per_step=0.05, frames=True),
    "train_face": Need(630, 2, per_step=0.07, frames=True),
    "train_fuse": Need(730, 5, per_step=0.11, frames=True),
    "render_test": Need(590, 5, 80, frames=True),
    "metrics": Need(1550, 60, 140, frames=True),
    "cross_drive": Need(1300, 30, 60, frames=True),
    "cross_metrics": Need(1550, 60, 140, frames=True),
    "release": Need(850, 30, 60, frames=True),
    "ablation": Need(300, 10),
    "report": Need(520, 10, 20, frames=True),
    "compare": Need(520, 30),
}


def memory_mb(rule: str, config: Config, attempt: int = 1) -> int:
    """Memory to ask for, MB, in steps of 100.

    Args:
        rule: its name.
        attempt: 1 at first; a job that died may have wanted more.
    """
    need = NEEDS[rule]
    wanted = need.memory * (_area(config) if need.frames else 1.0) * SPARE[0] + SNAKEMAKE_MB
    return 100 * math.ceil(wanted * attempt / 100)


def minutes(rule: str, config: Config, film: float, attempt: int = 1) -> int:
    """Time to ask for, minutes.

    Args:
        rule: its name.
        film: minutes of film.
        attempt: 1 at first; a job that was ended may have wanted more.
    """
    need = NEEDS[rule]
    seconds = need.seconds + need.per_minute * film + need.per_step * _steps(rule, config)
    wanted = seconds * (_area(config) if need.frames else 1.0) * SPARE[1] / 60
    return math.ceil(max(wanted, LEAST_MINUTES) * attempt)


def film_minutes(bundle: Path) -> float:
    """Minutes of an actor's film, `UNKNOWN_MINUTES` before it is decoded."""
    try:
        return float(json.loads((bundle / "clips.json").read_text())["frames"]) / (25 * 60)
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN_MINUTES


def _area(config: Config) -> float:
    """Of the frames over that of the measured ones; what does not shrink with them is at least the measured."""
    return max(1.0, (config.stage("decode").size / SIZE) ** 2)


def _steps(rule: str, config: Config) -> int:
    if rule not in ("train_mouth", "train_face", "train_fuse"):
        return 0
    schedule = getattr(config.stage(rule), rule.removeprefix("train_"))
    return int(schedule.iterations + getattr(schedule, "doubt_iterations", 0))
