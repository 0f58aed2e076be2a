"""Every reader of what comes from outside: how its input is made, and the call by which a user's file reaches it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from fuzzing import mutations as mutate
from fuzzing import seeds
from ua3dtalk.errors import InputError

Strategy = st.SearchStrategy[bytes]
Open = Callable[[bytes], None]
Target = Callable[[Path], tuple[Strategy, Open]]
TARGETS: dict[str, Target] = {}
FIVE_SECONDS = 5.0


def _films(kind: str) -> Target:
    def make(folder: Path) -> tuple[Strategy, Open]:
        from ua3dtalk.media.audio import aligned_audio
        from ua3dtalk.media.frames import Square, frames_at
        from ua3dtalk.media.probe import probe
        from ua3dtalk.settings import MediaSettings

        path, settings = folder / "input", MediaSettings(max_seconds=60)

        def read(content: bytes) -> None:
            path.write_bytes(content)
            found = probe(path, settings, need_audio=False)
            for frame in frames_at(path, 25, Square(-4, 0, 36), 32, settings):
                assert frame.shape == (32, 32, 3)
            length = min(round(found.duration * 25), 250) * 640
            assert sum(map(len, aligned_audio(path, found.video_start, length))) == length

        return mutate.damaged(seeds.films(kind)), read

    return make


def _sounds(kind: str) -> Target:
    def make(folder: Path) -> tuple[Strategy, Open]:
        from ua3dtalk.media.samples import store_sound

        path = folder / "input"

        def read(content: bytes) -> None:
            path.write_bytes(content)
            sound = store_sound(path, folder / "heard.wav", longest=600)
            assert sound.frames >= 1 and np.isfinite(sound[:16_000]).all()

        return mutate.damaged(seeds.films("mp4")[:1] if kind == "m4a" else seeds.sounds(kind)), read

    return make


def _bundle(name: str, strategy: Callable[[Path], Strategy], *parts: str) -> Target:
    """One file of a bundle, read by the subject's readers."""

    def make(folder: Path) -> tuple[Strategy, Open]:
        from ua3dtalk.subject import Subject

        root = seeds.small_bundle(folder)

        def read(content: bytes) -> None:
            (root / name).write_bytes(content)
            subject = Subject(root)
            for part in parts:
                found = getattr(subject, part)
                found = found() if callable(found) else found
                if isinstance(found, np.ndarray) and found.size:
                    float(found.reshape(-1)[-1])  # a mapped file is touched at its end

        return strategy(root / name), read

    return make


def _documents(folder: Path) -> tuple[Strategy, Open]:
    """The json of the figures, and what the pages make of it."""
    from ua3dtalk.metrics.ablation import read_run
    from ua3dtalk.metrics.cross import own_figures
    from ua3dtalk.report.actor import read_metrics

    path = folder / "metrics.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        _every(lambda: read_run(path), lambda: read_metrics(path), lambda: own_figures(path))

    return mutate.json_bytes([seeds.METRICS]), read


def _every(*calls: Callable[[], object]) -> None:
    """All readers of one file; the first answer counts when all have read."""
    from ua3dtalk.errors import UserError

    answer = None
    for call in calls:
        try:
            call()
        except UserError as error:
            answer = answer or error
    if answer is not None:
        raise answer


def _more_json(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.media.decode import _entries
    from ua3dtalk.media.sound import _corrections
    from ua3dtalk.metrics.rows import read_renders
    from ua3dtalk.metrics.sync import read_offsets
    from ua3dtalk.report.curves import training_charts
    from ua3dtalk.subject import Subject

    subject = Subject(seeds.small_bundle(folder))
    (folder / "curves").mkdir()
    path, curve = folder / "test.json", folder / "curves" / "train_face.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        curve.write_bytes(content)
        if b'"crop"' in content:
            _entries(path)
        elif b'"correction"' in content:
            _every(lambda: _corrections(path, 2), lambda: read_offsets(path))
        elif b'"every"' in content:
            training_charts(folder / "curves")
        else:
            read_renders(subject, folder)

    return mutate.json_bytes([seeds.CROP, seeds.OFFSETS, seeds.CURVE, seeds.RENDERS]), read


def _config(folder: Path) -> tuple[Strategy, Open]:
    """What Snakemake's own yaml reader gives; what that refuses never reaches us."""
    import yaml

    from ua3dtalk.config import load_config

    load_config(seeds.CONFIGS[0])  # loads what draws heads, for the words of the voices

    def read(content: bytes) -> None:
        try:
            raw = yaml.safe_load(content.decode())
        except Exception as error:
            raise InputError("refused by Snakemake's reader") from error
        if not isinstance(raw, dict):
            raise InputError("refused by Snakemake's reader")
        load_config(raw)

    return mutate.yaml_bytes(seeds.CONFIGS), read


def _time_line(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.rendering.wishes import parse_wish

    path = folder / "line.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        wish = parse_wish(str(path))
        assert wish is not None
        assert all(np.isfinite(values).all() for values in wish.at(np.arange(10.0)).values())

    return mutate.yaml_bytes(seeds.TIME_LINES), read


def _curves(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.face.basis import NAMES
    from ua3dtalk.rendering.curves import read_curves

    path = folder / "curves.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        values = read_curves(path)
        assert values.shape[1] == len(NAMES) and values.min() >= 0 and values.max() <= 1

    header = ["time", *NAMES[:8], "note"]
    return mutate.table_bytes(header, [[f"{k / 25}", *["0.5"] * 8, "x"] for k in range(5)]), read


def _openface(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.face.expression import read_openface as read_training
    from ua3dtalk.metrics.units import OPENFACE_LOWER, OPENFACE_UPPER, read_openface

    path = folder / "of.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        _every(lambda: read_training(path, 4), lambda: read_openface(path))

    header = ["frame", *(f" AU{unit:02d}_r" for unit in (*OPENFACE_UPPER, *OPENFACE_LOWER))]
    return mutate.table_bytes(header, [[str(k), *["1.5"] * (len(header) - 1)] for k in range(4)]), read


def _frame_table(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.report.series import KEYS, read_frames

    path = folder / "metrics_frames.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        read_frames(path)

    header = [*KEYS, "psnr", "lmd"]
    rows = [[*(["ours"] * (len(KEYS) - 1)), str(k), "30.5", ""] for k in range(4)]
    return mutate.table_bytes(header, rows), read


def _sheet(folder: Path) -> tuple[Strategy, Open]:
    """The sheet of actors; its mistakes come as a list."""
    from ua3dtalk.config import load_config
    from ua3dtalk.sheet import read_sheet

    path = folder / "actors.csv"
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"x")
    load_config(seeds.CONFIGS[0])

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_config({"actors": read_sheet(path)[0]}, read_sheet(path)[1])

    header = ["actor", "clips", "emotions", "media.size", "training.face.iterations"]
    rows = [["May", "builtin", "", "", ""], ["you", "a.mp4;b.mp4", "happy", "128", "10"]]
    return mutate.table_bytes(header, rows), read


def _features(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.speech.files import read_features
    from ua3dtalk.subject import Clip

    path = folder / "features.npy"
    clip = Clip("a.mp4", "0", 0, 4, 3, None, 25.0, 8, 8, (0, 0, 8))

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert read_features(str(path), [clip]).shape[0] == 8

    return mutate.npy_bytes([np.ones((8, 5), np.float32), np.ones((4, 16, 3), np.float32)]), read


def _tensors(name: str, reader: str) -> Target:
    """A model of one kind, read by `module:function`."""

    def make(folder: Path) -> tuple[Strategy, Open]:
        import importlib

        module, function = reader.split(":")
        load = getattr(importlib.import_module(module), function)
        path = seeds.save_models(folder)[name]
        good = seeds.safetensors_of(path)

        def read(content: bytes) -> None:
            path.write_bytes(content)
            load(path)

        return mutate.tensor_bytes(*good), read

    return make


def _weights(folder: Path) -> tuple[Strategy, Open]:
    """Official files of other projects: torch's zip and its older pickle, and the one that is a pickle of arrays."""
    import io
    import pickle

    import torch

    from ua3dtalk.array_pickle import read_numpy_pickle
    from ua3dtalk.official_weights import load_official
    from ua3dtalk.perceptual import load_weights

    net = torch.nn.Linear(3, 2)
    new, old = io.BytesIO(), io.BytesIO()
    torch.save({"state_dict": net.state_dict()}, new)
    torch.save({"state_dict": net.state_dict()}, old, _use_new_zipfile_serialization=False)
    plain = pickle.dumps({"a": np.zeros(3)}, 2)
    path, trap = folder / "weights.pth", folder / "trap"
    # Protocol 0: call os.system.
    traps = [f"cos\nsystem\n(S'touch {trap}'\ntR.".encode(), f"cposix\nsystem\n(Vtouch {trap}\ntR.".encode()]

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            _every(
                lambda: read_numpy_pickle(path),
                lambda: load_weights(path),
                lambda: load_official(net, path, source="from here", entries=("state_dict",)),
            )
        finally:
            assert not trap.exists(), "what a pickle held was run"

    return st.one_of(mutate.damaged([new.getvalue(), old.getvalue(), plain]), st.sampled_from(traps)), read


def _ply(folder: Path) -> tuple[Strategy, Open]:
    from ua3dtalk.splat.ply import load_ply

    path = folder / "cloud.ply"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_ply(path)

    return mutate.damaged([seeds.ply(folder)]), read


def _words(folder: Path) -> tuple[Strategy, Open]:
    """Options of the command line that are little languages, and names where a file is asked for."""
    from ua3dtalk.rendering.guest import open_guest
    from ua3dtalk.rendering.orbit import parse_camera
    from ua3dtalk.rendering.say import _check_voice, open_actor
    from ua3dtalk.rendering.wishes import parse_example, parse_style, parse_wish

    def read(content: bytes) -> None:
        text = content.decode("utf-8", "surrogatepass")
        _every(
            lambda: parse_camera(text),
            lambda: parse_wish(text),
            lambda: parse_style(text),
            lambda: parse_example(text),
            lambda: open_actor(text),
            lambda: _check_voice(Path(text)),
            lambda: open_guest(text, folder / "guest"),
        )

    return mutate.words(
        ["happy:0.8", "happy:0.6,angry:0.3", "orbit:20", "15,-5", "clip.mp4:0.7", "line.yaml", "May"]
    ), read


def _requests(folder: Path) -> tuple[Strategy, Open]:
    from fuzzing.requests import request_reader

    return request_reader(folder)


def _npz(path: Path) -> Strategy:
    return mutate.npz_bytes(seeds.good_arrays(path))


def _npy(path: Path) -> Strategy:
    return mutate.npy_bytes([np.load(path)])


def _bytes(path: Path) -> Strategy:
    return mutate.damaged([path.read_bytes()])


def _clips(path: Path) -> Strategy:
    import json

    return mutate.json_bytes([json.loads(path.read_text())])


TARGETS |= {f"video {kind}": _films(kind) for kind in seeds.FILMS}
TARGETS |= {f"sound {kind}": _sounds(kind) for kind in ("wav", "mp3", "flac", "ogg", "m4a")}
TARGETS |= {
    f"{name}.npz": _bundle(f"{name}.npz", _npz, name)
    for name in ("landmarks", "tracking", "expression", "speech", "priors", "emotion")
}
TARGETS |= {
    "video.npy": _bundle("video.npy", _npy, "video"),
    "regions.npy": _bundle("regions.npy", _npy, "regions"),
    "torso.npy": _bundle("layers/torso.npy", _npy, "torso"),
    "features.npy": _features,
    "audio.wav": _bundle("audio.wav", _bytes, "audio"),
    "plate.png": _bundle("layers/plate.png", _bytes, "plate"),
    "clips.json": _bundle("clips.json", _clips, "clips", "train_frames", "test_frames"),
    "metrics.json": _documents,
    "other json": _more_json,
    "config.yaml": _config,
    "time line yaml": _time_line,
    "curves csv": _curves,
    "openface csv": _openface,
    "frames csv": _frame_table,
    "actors csv": _sheet,
    "head safetensors": _tensors("head", "ua3dtalk.rendering.head:load_head"),
    "sure head safetensors": _tensors("sure", "ua3dtalk.rendering.head:load_head"),
    "branch safetensors": _tensors("branch", "ua3dtalk.rendering.head:load_branch"),
    "audio safetensors": _tensors("listening", "ua3dtalk.training.listening:load_listening"),
    "priors safetensors": _tensors("priors", "ua3dtalk.speech.priors.files:load_priors"),
    "emotion safetensors": _tensors("emotion", "ua3dtalk.speech.emotion.model:load_emotion"),
    "sync safetensors": _tensors("sync", "ua3dtalk.sync.net:load_net"),
    "official weights": _weights,
    "cloud ply": _ply,
    "words": _words,
    "viewer requests": _requests,
}  # fmt: skip


def clean(folder: Path) -> None:
    """Remove what a target has left in its folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            os.unlink(path)
