"""Time and memory of `ua3dtalk say`, from a sound to the film, for voices of several lengths.

    python -m benchmarks.say results/May voice.wav [--seconds 10 60 600]

The voice is said over and over until it is so long. Memory counts the pages of the actor's files that were read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.process import cost_of
from ua3dtalk.media.audio import read_audio
from ua3dtalk.rendering.say import open_actor
from ua3dtalk.subject import AUDIO_RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", help="name under results/, or a folder")
    parser.add_argument("voice", type=Path)
    parser.add_argument("--seconds", type=int, nargs="*", default=[10, 60, 600])
    options = parser.parse_args()
    height, width = open_actor(options.actor).plate.shape[:2]
    samples = read_audio(options.voice, AUDIO_RATE)
    print(f"{width} x {height} px\n\n| voice s | wall s | processor s | peak MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            sound = Path(folder) / "voice.wav"
            soundfile.write(sound, np.resize(samples, seconds * AUDIO_RATE), AUDIO_RATE)
            wall, busy, memory = cost_of(["say", options.actor, str(sound), "--out", str(Path(folder) / "said.mp4")])
            print(f"| {seconds} | {wall:.1f} | {busy:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
