"""Whether a face shows an emotion that is asked for, the more the stronger it is asked.

    python -m benchmarks.emotions results/May voice.wav [--labels happy,angry,sad] [--strengths 0,0.5,1] [--sheet f.png]

The voice is said with each label at each strength, with the head still. The landmarker finds the coefficients of what
was rendered; shown is, per label, their mean over the frames for each shape of the label's prototype
(`ua3dtalk.rendering.transfer`), in hundredths, left and right together. What has to grow is the last column: the
shapes' sum, weighted as in the prototype, for a label that the actor never showed; the way from the mean of all its
training frames (0) to that of the label's (100) for its own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.face.basis import NAMES
from ua3dtalk.media.samples import store_sound
from ua3dtalk.metrics.cross import find_faces
from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.replay import Still
from ua3dtalk.rendering.say import open_actor, whisper_folder
from ua3dtalk.rendering.transfer import PROTOTYPES
from ua3dtalk.rendering.wishes import parse_wish
from ua3dtalk.subject import SAMPLES_PER_FRAME, Subject

SHOWN = 6  # frames of each run on the sheet


def score(coefficients: np.ndarray, shape: str) -> float:
    """Mean of a shape over frames [T, 52], of both sides if it has two."""
    columns = [k for k, name in enumerate(NAMES) if name in (shape, f"{shape}Left", f"{shape}Right")]
    return float(coefficients[:, columns].mean())


def own_way(subject: Subject, label: str, coefficients: np.ndarray) -> float:
    """How far frames [T, 52] are on the way from the actor's training frames to those of a label, on average."""
    blendshapes, train = subject.landmarks.blendshapes, subject.train_frames
    runs = [np.arange(clip.first, clip.test_first) for clip in subject.clips if clip.emotion == label]
    anyone = blendshapes[train].mean(0)
    way = blendshapes[np.concatenate(runs)].mean(0) - anyone
    return float((coefficients.mean(0) - anyone) @ way / (way @ way))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", help="name under results/, or a folder")
    parser.add_argument("voice", type=Path)
    parser.add_argument("--labels", default="happy,angry,sad")
    parser.add_argument("--strengths", default="0,0.5,1")
    parser.add_argument("--frames", type=int, default=125, help="of the voice")
    parser.add_argument("--sheet", type=Path, help="a picture of the faces, a row for each run")
    options = parser.parse_args()
    subject, device = open_actor(options.actor), torch.device("cpu")
    head = load_head(subject.path("model/fused.safetensors")).to(device)
    landmarker, ears = fetch("face_landmarker"), Ears(subject, head, whisper_folder(subject))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sound = store_sound(options.voice, Path(folder) / "heard.wav")[: options.frames * SAMPLES_PER_FRAME]
    for label in options.labels.split(","):
        shapes = PROTOTYPES[label]
        print(f"\n{label:12} " + " ".join(f"{shape:>15}" for shape in (*shapes, "grows")))
        for strength in options.strengths.split(","):
            stances, wish = Still(subject, device), parse_wish(f"{label}:{strength}")
            driver = Driver(subject, head, ears, stances, 0, device, asked=wish)
            pictures = [shown.picture for shown in driver(sound)]
            found = find_faces(landmarker, iter(pictures)).blendshapes
            each = [score(found, shape) for shape in shapes]
            if driver.own:
                grows = own_way(subject, label, found)
            else:
                grows = float(np.dot(each, list(shapes.values())))
            whose = "own" if driver.own else "carried"
            print(f"{strength:>4} {whose:7} " + " ".join(f"{100 * v:15.1f}" for v in (*each, grows)), flush=True)
            rows.append(np.hstack([pictures[k] for k in np.linspace(5, len(pictures) - 5, SHOWN).astype(int)]))
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
