"""Whether a trained head doubts what it was not trained on: other voices, noise and silence against its own speech.

    python -m benchmarks.foreign_speech results/obama voice.wav other.wav

Needs a head with beliefs (method ua3dtalk). Every sound is heard anew (speech tokens, priors, emotion) and drives the
head in the poses of its own held-out frames; reported are the novelty of the speech, the mean log variance of the fused
beliefs, and the mean predicted deviation of the pixels of the head, each beside the held-out speech's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.media.audio import read_audio
from ua3dtalk.rendering.controls import ControlTrack
from ua3dtalk.rendering.ears import Ears
from ua3dtalk.rendering.head import load_head
from ua3dtalk.rendering.test import TestStage
from ua3dtalk.settings import RenderingSettings
from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME, Subject


def sounds(paths: Iterable[Path], own: np.ndarray) -> dict[str, np.ndarray]:
    """The held-out speech itself, noise as loud as it, silence, and the files, all of its length."""
    rng = np.random.default_rng(0)
    found = {"own held-out speech": own}
    for path in paths:
        found[path.stem] = np.resize(read_audio(path, AUDIO_RATE), len(own))
    found["white noise"] = (rng.standard_normal(len(own)) * own.std()).astype(np.float32)
    found["silence"] = np.zeros_like(own)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", type=Path, help="folder of an actor, e.g. results/May")
    parser.add_argument("sounds", type=Path, nargs="*", help="wav files of other voices")
    options = parser.parse_args()
    subject, device = Subject(options.actor), torch.device("cpu")
    head = load_head(options.actor / "model" / "fused.safetensors")
    stage, test = TestStage(subject, head, RenderingSettings(), 0, device), subject.test_frames
    ears = Ears(subject, head, options.actor.parent / ".assets" / "whisper_base")
    own = subject.audio().reshape(-1, SAMPLES_PER_FRAME)[test].reshape(-1)
    units = subject.expression.action_units[test]
    print(f"{'sound':34} {'novelty':>8} {'log variance':>13} {'deviation':>10}")
    for name, samples in sounds(options.sounds, own).items():
        track = replace(ears.hear(samples, 0, len(test)).track, action_units=units)
        controls = ControlTrack(subject, track, head.face.net.encoder is not None, device)
        states, pixels = [], []
        for index in range(0, len(test), 5):
            given, camera = controls(index), stage.camera(test[index])
            with torch.no_grad():
                variance = stage.renderer.variance(camera, given)
                seen = stage.renderer.transmittance(camera, given) < 0.5
                states.append(float(stage.renderer.belief_variance(given).log().mean()))
            pixels.append(float(variance[seen].sqrt().mean()))
        assert track.novelty is not None
        print(f"{name[:34]:34} {np.mean(track.novelty):8.2f} {np.mean(states):13.3f} {np.mean(pixels):10.4f}")


if __name__ == "__main__":
    main()
