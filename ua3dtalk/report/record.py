"""Where the figures come from: states of the stages, weights, versions, clips, settings; and what it all cost."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from ua3dtalk import __version__
from ua3dtalk.asset_table import ASSETS, FOLDERS
from ua3dtalk.outcomes import cost
from ua3dtalk.provenance import PERCEPTUAL_WEIGHTS, STAGES, metric_weights
from ua3dtalk.settings import MetricsSettings
from ua3dtalk.subject import FPS, Subject

# What the figures may depend on.
PACKAGES = (
    *("torch", "numpy", "scipy", "mediapipe", "onnxruntime", "opencv-contrib-python", "av", "librosa"),
    *("faster-whisper", "ctranslate2", "gsplat", "snakemake"),
)


@dataclass(frozen=True)
class StageCost:
    """Seconds and peak memory of a stage, and both as shares of the largest."""

    stage: str
    seconds: float
    megabytes: float
    seconds_share: float
    memory_share: float
    state: str


@dataclass(frozen=True)
class Weight:
    """A pretrained file that a stage of this run read."""

    name: str
    stages: str
    licence: str
    sha256: str


@dataclass(frozen=True)
class ClipRecord:
    """A source clip: its file's name, what was held out of it, and its content."""

    file: str
    emotion: str
    source: str
    trained: str
    held_out: str
    sha256: str


def stage_costs(bundle: Path) -> list[StageCost]:
    """What each stage took, in the order in which data walks, with the state that it left."""
    stages = cost(bundle, without=("report", "ablation"))["stages"]
    order = [*(name for name in STAGES if name in stages), *(name for name in stages if name not in STAGES)]
    longest = max((stage["seconds"] for stage in stages.values()), default=0) or 1
    largest = max((stage["peak_memory_mb"] for stage in stages.values()), default=0) or 1
    return [
        StageCost(
            name,
            stages[name]["seconds"],
            stages[name]["peak_memory_mb"],
            stages[name]["seconds"] / longest,
            stages[name]["peak_memory_mb"] / largest,
            _state(bundle / "logs" / f"{name}.json"),
        )
        for name in order
    ]


def _state(record: Path) -> str:
    try:
        return str(json.loads(record.read_text())["state"])
    except (OSError, ValueError, KeyError):
        return ""


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def weights(stages: Iterable[str], config: Mapping[str, Any]) -> list[Weight]:
    """The pretrained files that the stages read.

    Args:
        stages: those that ran.
        config: sections of the config; `perceptual` of metrics and training names a weight.
    """
    readers: dict[str, list[str]] = {}
    for name in stages:
        for asset in _assets_of(name, config):
            readers.setdefault(asset, []).append(name)
    known = {asset.name: asset for asset in ASSETS}
    return [
        Weight(asset, ", ".join(readers[asset]), known[asset].licence, known[asset].sha256)
        for asset in known
        if asset in readers
    ]


def _assets_of(stage: str, config: Mapping[str, Any]) -> list[str]:
    found = list(STAGES[stage].assets) if stage in STAGES else []
    if stage == "metrics":
        found += metric_weights(MetricsSettings(**config.get("metrics", {}))).values()
    elif stage in ("train_face", "train_mouth"):
        found += filter(None, [PERCEPTUAL_WEIGHTS.get(str(config.get("training", {}).get("perceptual")))])
    return [part for name in found for part in FOLDERS.get(name, (name,))]


def versions() -> list[tuple[str, str]]:
    """This package, Python, the machine's kind and the packages that figures may depend on."""
    found = [("ua3dtalk", __version__), ("Python", platform.python_version())]
    found.append(("platform", f"{platform.system()} {platform.machine()}"))
    for package in PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    return found


def clip_records(subject: Subject) -> list[ClipRecord]:
    """The actor's clips; a file's folder is the user's own business."""
    return [
        ClipRecord(
            PurePath(clip.path).name,
            clip.emotion or "",
            f"{clip.width} × {clip.height}, {clip.fps:g} fps",
            f"{(clip.test_first - clip.first) / FPS:.1f} s",
            f"{(clip.end - clip.test_first) / FPS:.1f} s",
            clip.sha256,
        )
        for clip in subject.clips
    ]
