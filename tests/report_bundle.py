"""A bundle with everything that a page shows, drawn and made up; its frames carry their number."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tiny_subject import write_tiny_subject

from ua3dtalk.subject import Subject

FRAMES = 150
WILD = "<b onclick=\"alert(1)\">angry</b> & 'sad'"  # a label of the user's
STATE = "0123456789abcdef"
ROWS = (
    ("truth", ()),
    ("ours", ("audio", "pose", "action_units", "torso")),
    ("ours", ("audio", "pose", "torso", "modelled_blinks")),
    ("static_mean", ("pose", "torso")),
    ("nearest_pose", ("pose",)),
    ("nearest_audio", ("audio",)),
)
PER_FRAME = ("psnr", "lmd_px", "mouth_opening")


def grey(k: int) -> int:
    """The grey of held-out frame k: a film can be asked which frame it shows."""
    return 20 + 4 * k


def write_bundle(root: Path) -> Subject:
    """A drawn actor whose held-out frames are grey by their number, rendered a little brighter."""
    subject = write_tiny_subject(root, FRAMES)
    clips = json.loads((root / "clips.json").read_text())
    clips["clips"][0] |= {"path": "folder/<script>alert(2).mp4", "emotion": WILD}
    (root / "clips.json").write_text(json.dumps(clips))
    subject = Subject(root)
    test = subject.test_frames
    video = np.array(subject.video)
    for k, frame in enumerate(test):
        video[frame] = grey(k)
    np.save(root / "video.npy", video)
    write_renders(root / "renders", video[test])
    write_curves(root)
    return Subject(root)


def write_renders(folder: Path, truth: np.ndarray, brighter: int = 8) -> None:
    (folder / "test").mkdir(parents=True)
    np.save(folder / "test/ours.npy", truth + np.uint8(brighter))
    np.save(folder / "test/deviation.npy", np.full(truth.shape[:3], 0.1, np.float16))
    for k in range(2):
        np.save(folder / f"test/emotion_{k}.npy", truth)
    document = {
        "state": STATE,
        "frames": list(range(FRAMES - len(truth), FRAMES)),
        "rows": [{"name": name, "driven_by": driven, "file": "test/ours.npy"} for name, driven in ROWS[1:4]],
        "uncertainty": {"deviation": "test/deviation.npy"},
        "emotions": {"neutral": "test/emotion_0.npy", WILD: "test/emotion_1.npy"},
    }
    (folder / "test.json").write_text(json.dumps(document))


def write_curves(root: Path) -> None:
    for folder in ("curves", "logs", "benchmarks", "pictures"):
        (root / folder).mkdir()
    for stage in ("train_face", "train_fuse"):
        curve = {"state": STATE, "every": 20, "loss": [0.5, 0.2, 0.1], "gaussians": [50, 80, 90]}
        (root / f"curves/{stage}.json").write_text(json.dumps(curve))
        (root / f"benchmarks/{stage}.tsv").write_text("s\tmax_rss\n75.0\t300.5\n")
        (root / f"logs/{stage}.json").write_text(json.dumps({"state": f"{stage}-state"}))
        Image.new("RGB", (1500, 300), (90, 120, 90)).save(root / f"pictures/{stage}.png")


def metrics_document(frames: np.ndarray, gain: float = 0.0, **run: Any) -> dict[str, Any]:
    """A made-up metrics.json: `gain` dB and tenths of px better."""
    rows = []
    for codec in ("none", "h264"):
        for region in ("frame", "face"):
            for number, (name, driven) in enumerate(ROWS[: 2 if codec == "h264" else None]):
                own = gain if name == "ours" else 0.0
                truth = number == 0 and codec == "none"
                rows.append(
                    {
                        "name": name,
                        "region": region,
                        "codec": codec,
                        "driven_by": list(driven),
                        "psnr": None if truth else 30.0 - number + own,
                        "st_lpips_alex": 0.0 if truth else 0.02 * (number + 1),
                        "lmd_px": 0.0 if truth else 1.0 + 0.2 * number - own / 10,
                        "mouth_opening_correlation": None if name == "static_mean" else 0.9,
                        "a_figure_of_tomorrow": 1234.5,
                        "landmark_frames": len(frames),
                    }
                )
    return {
        "actor": "tiny", "method": "ua3dtalk", "budget": "tiny", "seed": 0, "state": STATE,
        "frames": len(frames), "test_frames": [[int(frames[0]), int(frames[-1])]], "size": 64, "face_side": 40,
        "extractors": {"perceptual": "st_lpips_alex"}, "notes": {"psnr": WILD}, "rows": rows,
        "speed": {"frames_per_second": 50.0, "device": "cpu", "gaussians": {"face": 900}},
        "cost": {"stages": {"train_face": {"seconds": 75.0}}},
        "uncertainty": {
            "random_ause": 0.7,
            "ours": {
                "spearman_pixels": 0.6, "spearman_frames": 0.2, "ause": 0.1,
                "calibration": {"predicted": [0.01, 0.02, 0.1], "observed": [0.02, 0.02, 0.2], "ence": 0.3},
            },
            "training_residual_map": {"spearman_pixels": 0.4, "spearman_frames": -0.1, "ause": 0.3},
        },
        "emotions": {
            "pairs": {
                f"neutral - {WILD}": {
                    "cosine": 0.9, "gain": 0.8, "rendered": {"browDown": 0.1}, "true": {"browDown": 0.2}
                }
            }
        },
        **run,
    }  # fmt: skip


def write_frames(path: Path, document: dict[str, Any], noise: np.ndarray) -> None:
    """A per-frame table whose means are the document's figures; noise [n, len(PER_FRAME)] of mean 0."""
    first, last = document["test_frames"][0]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "driven_by", "region", "codec", "frame", *PER_FRAME])
        for row in document["rows"]:
            head = [row["name"], "+".join(row["driven_by"]), row["region"], row["codec"]]
            for k, frame in enumerate(range(first, last + 1)):
                values = [row.get(name) for name in PER_FRAME[:2]]
                cells = ["" if v is None else v + noise[k, j] for j, v in enumerate(values)]
                table.writerow([*head, frame, *cells, 0.1 + 0.05 * np.sin(k / 3)])


def centred_noise(count: int, seed: int = 0) -> np.ndarray:
    noise = 0.3 * np.random.default_rng(seed).standard_normal((count, len(PER_FRAME)))
    return np.asarray(noise - noise.mean(0))
