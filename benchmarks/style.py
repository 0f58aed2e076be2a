"""Whether a head takes over a manner of speaking, and whether its lips still fit the voice.

    python -m benchmarks.style results/May voice.wav guest.mp4 other.mp4 [--strengths 0,0.5,1] [--frames 250]

The voice is said with each strength of each guest's style, with the head still. The landmarker finds the coefficients
of what was rendered, and of the guest's own clip; the distances are between their manners (`Manner.distances`, in
hundredths), over the coefficients that style may move. Lip sync is the local sync net's confidence, the opening's
correlation is with that of strength 0.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.assets import fetch
from ua3dtalk.face.basis import NAMES
from ua3dtalk.media.samples import store_sound
from ua3dtalk.metrics.cross import find_faces
from ua3dtalk.metrics.lips import mouth_opening
from ua3dtalk.rendering.curves import Curves
from ua3dtalk.rendering.drive import Driver
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.guest import open_guest
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.replay import Still
from ua3dtalk.rendering.say import open_actor, whisper_folder
from ua3dtalk.rendering.style import LEFT_ALONE, Manner, Style
from ua3dtalk.subject import SAMPLES_PER_FRAME
from ua3dtalk.sync.figures import local_figures, speech_of
from ua3dtalk.sync.net import load_net
from ua3dtalk.sync.talk import hearing

COLUMNS = ("strength", "usual", "motion", "sync", "offset ms", "opening r", "spread")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", help="name under results/, or a folder")
    parser.add_argument("voice", type=Path)
    parser.add_argument("guests", nargs="+", help="clips, or folders of actors")
    parser.add_argument("--strengths", default="0,0.5,1")
    parser.add_argument("--frames", type=int, default=250, help="of the voice")
    options = parser.parse_args()
    subject, device = open_actor(options.actor), torch.device("cpu")
    head = load_head(subject.path("model/fused.safetensors")).to(device)
    net, hear = load_net(subject.root.parent / ".shared" / "sync_local.safetensors"), hearing(whisper_folder(subject))
    landmarker, curves = fetch("face_landmarker"), Curves(subject, head.views, head.lip_count)
    moved = np.setdiff1d(np.arange(len(NAMES)), LEFT_ALONE)
    print(f"{'guest':28}" + "".join(f" {name:>9}" for name in COLUMNS))
    for text in options.guests:
        with tempfile.TemporaryDirectory() as folder:
            sound = store_sound(options.voice, Path(folder) / "heard.wav")[: options.frames * SAMPLES_PER_FRAME]
            guest = open_guest(text, Path(folder) / "guest")
            wanted = Manner.of([guest.landmarks.blendshapes[guest.landmarks.valid][:, moved]])
            plain = None
            for strength in map(float, options.strengths.split(",")):
                ears = Ears(subject, head, whisper_folder(subject))
                style = Style(curves, ears.own, guest, strength)
                driver = Driver(subject, head, ears, Still(subject, device), 0, device, style=style)
                faces = find_faces(landmarker, (shown.picture for shown in driver(sound)))
                opening = mouth_opening(faces.points)
                plain = opening if plain is None else plain
                found = local_figures(net, faces.points, speech_of(sound, len(opening), hear))
                usual, motion = Manner.of([faces.blendshapes[faces.found][:, moved]]).distances(wanted)
                same, spread = np.corrcoef(plain, opening)[0, 1], opening.std() / plain.std()
                sync = (found["sync_local_confidence"], found["sync_local_offset_ms"])
                figures = (strength, 100 * usual, 100 * motion, *sync, same, spread)
                print(f"{Path(text).stem[:28]:28}" + "".join(f" {value:9.3f}" for value in figures), flush=True)


if __name__ == "__main__":
    main()
