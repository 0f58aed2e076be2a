"""Good files, as small as their readers take them; all are made here, of drawn pictures and computed sounds."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

RATE = 16_000
# Container, codec of pictures, codec of sound.
FILMS = {
    "mp4": [("mp4", "libx264", "aac"), ("mp4", "mpeg4", "mp3"), ("mov", "mpeg4", "pcm_s16le"), ("mov", "png", None)],
    "mkv": [("matroska", "libx264", "aac"), ("webm", "libvpx", "libopus"), ("matroska", "ffv1", "flac")],
    "avi": [("avi", "mpeg4", "mp3"), ("avi", "mjpeg", "pcm_s16le"), ("avi", "rawvideo", None)],
    "mpg": [("mpeg", "mpeg2video", "mp2"), ("mpegts", "mpeg2video", "mp2"), ("vob", "mpeg1video", "mp2")],
    "other": [("gif", "gif", None), ("flv", "flv1", "mp3"), ("asf", "wmv2", None), ("ogg", "libtheora", "libvorbis")],
}


def films(kind: str) -> list[bytes]:
    """Clips of 1.2 s, 48 x 32 px, in the containers of a kind that this build of ffmpeg writes."""
    return [content for names in FILMS[kind] for content in _film(*names)]


def _film(container: str, video: str, audio: str | None) -> Iterator[bytes]:
    names = av.codecs_available
    if video not in names or (audio and audio not in names):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(str(path), "w", format=container) as out:
            shown = out.add_stream(video, rate=Fraction(25))
            shown.width, shown.height = 48, 32
            shown.pix_fmt = {"gif": "rgb8", "png": "rgb24", "mjpeg": "yuvj420p"}.get(video, "yuv420p")
            heard = (
                out.add_stream(audio, rate=44_100 if audio in ("mp3", "mp2", "wmav2") else 48_000) if audio else None
            )
            rows, columns = np.mgrid[:32, :48]
            for index in range(30):
                picture = np.stack([rows * 7, columns * 5, (rows + columns + 8 * index) * 3], 2).astype(np.uint8)
                out.mux(shown.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            out.mux(shown.encode(None))
            if heard is not None:
                out.mux([packet for frame in _frames(heard) for packet in heard.encode(frame)])
                out.mux(heard.encode(None))
        yield path.read_bytes()


def _frames(stream: Any) -> Iterator[av.AudioFrame]:
    """1.2 s of a tone in blocks of the encoder's size."""
    rate, size = stream.rate, stream.codec_context.frame_size or 1024
    layout = stream.layout.name
    channels = stream.layout.nb_channels
    resampler = av.AudioResampler(stream.format, layout, rate)
    for start in range(0, round(1.2 * rate), size):
        tone = 0.4 * np.sin(2 * np.pi * 220 * (start + np.arange(size)) / rate)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone[None], channels, 0).astype(np.float32), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield from resampler.resample(frame)


def sounds(kind: str) -> list[bytes]:
    """Half a second of a tone in some containers of a kind."""
    tone = (0.4 * np.sin(2 * np.pi * 220 * np.arange(RATE // 2) / RATE)).astype(np.float32)
    formats = {
        "wav": [
            ("WAV", "PCM_16"),
            ("WAV", "FLOAT"),
            ("WAV", "PCM_U8"),
            ("RF64", "PCM_24"),
            ("AIFF", "PCM_16"),
            ("CAF", "PCM_16"),
        ],
        "mp3": [("MP3", "MPEG_LAYER_III")],
        "flac": [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
        "ogg": [("OGG", "VORBIS"), ("OGG", "OPUS")],
    }[kind]
    found = []
    for container, coding in formats:
        memory = io.BytesIO()
        soundfile.write(memory, np.stack([tone, -tone], 1), RATE, subtype=coding, format=container)
        found.append(memory.getvalue())
    return found


def good_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz."""
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def small_bundle(folder: Path) -> Path:
    """A bundle of 12 frames of 16 px, the landmarks whole."""
    from tiny_subject import write_tiny_subject

    write_tiny_subject(folder / "actor", frames=12, size=16)
    return folder / "actor"


def safetensors_of(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and texts of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def save_models(folder: Path) -> dict[str, Path]:
    """Every kind of model that is read, untrained and small; by name."""
    import torch
    from safetensors.torch import save_file
    from tiny_subject import write_tiny_subject
    from tiny_training import tiny_head

    from ua3dtalk.rendering.head import save_branch, save_head
    from ua3dtalk.speech.emotion.model import EmotionModel, Listener, save_emotion
    from ua3dtalk.sync.net import LocalSync, save_net
    from ua3dtalk.training.listening import Listening, save_listening

    subject = write_tiny_subject(folder / "speaker")
    paths = {
        name: folder / f"{name}.safetensors"
        for name in ("head", "sure", "branch", "listening", "priors", "emotion", "sync")
    }
    head = tiny_head(subject)
    save_head(head, paths["head"], "0")
    save_head(tiny_head(subject, uncertain=True), paths["sure"], "0")
    save_branch(head.mouth, paths["branch"], "0")
    curves = np.zeros((60, 3), np.float32)
    save_listening(Listening(head.reader, curves, curves.copy(), np.zeros(3)), paths["listening"], "0")
    labels = ("neutral", "happy")
    emotion = EmotionModel(Listener(2, 4, 6, False), labels, np.zeros((2, 128), np.float32), "tiny")
    save_emotion(paths["emotion"], emotion, "0")
    save_net(LocalSync(8), paths["sync"], {"state": "0"})
    save_file(_priors(), paths["priors"], {"state": "0"})
    torch.save({"state_dict": torch.nn.Linear(3, 2).state_dict()}, folder / "weights.pth")
    return paths


def _priors() -> dict[str, Any]:
    import torch

    from ua3dtalk.speech.priors.files import _SHAPES
    from ua3dtalk.speech.priors.nets import PriorNets

    lengths = {"D": 6, "P": 2, "W": 3, "F": 12, "C": 4, "n": 5, "K": 3}
    found = {
        f"{part}.{name}": torch.ones([lengths[each] if isinstance(each, str) else each for each in shape])
        for part, shapes in _SHAPES.items()
        for name, shape in shapes.items()
    }
    return found | {f"nets.0.{name}": value for name, value in PriorNets(3, 8, 4, 0.0).state_dict().items()}


def ply(folder: Path) -> bytes:
    """A cloud of three Gaussians."""
    from ua3dtalk.splat.cloud import Cloud
    from ua3dtalk.splat.ply import save_ply

    cloud = Cloud.from_points(np.eye(3), np.full((3, 3), 0.5), 1)
    save_ply(cloud, folder / "cloud.ply")
    return (folder / "cloud.ply").read_bytes()


METRICS = {
    "actor": "a",
    "method": "ua3dtalk",
    "budget": "demo",
    "seed": 0,
    "state": "0",
    "frames": 3,
    "rows": [
        {"name": "truth", "region": "face", "codec": "none", "psnr": 30.0},
        {"name": "ours", "region": "face", "psnr": 3.0},
    ],
    "speed": {"gaussians": {"face": 3}},
    "cost": {"stages": {"decode": {"seconds": 1.0, "peak_memory_mb": 3}}},
}
RENDERS = {"frames": [8, 9], "rows": [{"name": "ours", "driven_by": ["pose"], "file": "test/ours.npy"}]}
CROP = {
    "clips": [
        {
            "path": "a.mp4",
            "sha256": "0" * 64,
            "width": 48,
            "height": 32,
            "fps": 25.0,
            "duration": 1.2,
            "has_audio": True,
            "emotion": None,
            "crop": [0, 0, 32],
        }
    ]
}
OFFSETS = {"clips": [{"path": "a.mp4", "correction": None}, {"path": "b.mp4", "correction": 0.04}]}
CURVE = {"every": 10, "loss": [1.0, 0.5], "gaussians": [3, 4]}
CROSS = {
    "figures": {"sync_local": 1.0},
    "frames": 3,
    "voice": {"seconds": 1.0, "sha256": "0" * 64},
    "files": {"deviation": "deviation.npy"},
}
CONFIGS: list[Any] = [
    {
        "actors": {"May": {"clips": "builtin"}, "you": {"clips": ["a.mp4", {"path": "b.mp4", "emotion": "happy"}]}},
        "method": "ua3dtalk",
        "budget": "demo",
        "seed": 1,
        "backends": {"device": "cpu"},
        "media": {"size": 128, "max_seconds": 60},
        "priors": {"pool": ["you"]},
        "sync": {"train_on": ["you"]},
        "cross": {"voices": {"v": {"path": "v.wav", "emotion": "happy:1", "camera": "orbit:20"}}},
        "training": {"face": {"iterations": 100}},
        "compare": {"actors": ["May"], "seeds": [0, 1]},
    }
]
TIME_LINES: list[Any] = [[{"at": 0, "happy": 0.8}, {"at": 1.5, "sad": 0.5, "angry": "0.2"}]]


def dumped(*documents: Any) -> list[bytes]:
    """Documents as json."""
    return [json.dumps(document).encode() for document in documents]
