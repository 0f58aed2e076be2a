"""A tiny subject whose two emotions differ in how its noise comes: in one stream, or in bursts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from tiny_subject import write_tiny_subject

from ua3dtalk.speech.mel import log_mel
from ua3dtalk.subject import AUDIO_RATE, SAMPLES_PER_FRAME, Subject

LENGTH, TRAIN = 60, 44  # frames of a clip


def write_two_emotions(
    root: Path, emotions: tuple[str | None, str | None] = ("calm", "angry"), seed: int = 0
) -> Subject:
    """Two clips of 60 frames: the second one's sound is switched off and on every fifth frame."""
    write_tiny_subject(root, frames=2 * LENGTH, seed=seed)
    document = json.loads((root / "clips.json").read_text())
    clip = document["clips"][0]
    document["clips"] = [
        {**clip, "first": k * LENGTH, "length": LENGTH, "test_first": k * LENGTH + TRAIN, "emotion": emotion}
        for k, emotion in enumerate(emotions)
    ]
    (root / "clips.json").write_text(json.dumps(document))
    rng = np.random.default_rng(seed)
    loud = np.ones(2 * LENGTH)
    loud[LENGTH:] = np.arange(LENGTH) // 5 % 2
    sound = 0.1 * rng.standard_normal(2 * LENGTH * SAMPLES_PER_FRAME) * np.repeat(loud, SAMPLES_PER_FRAME)
    soundfile.write(root / "audio.wav", sound, AUDIO_RATE, subtype="PCM_16")
    write_mel(root)
    return Subject(root)


def write_mel(root: Path) -> None:
    """The mel spectrum of audio.wav, clip by clip, beside the tokens that are there."""
    samples, _ = soundfile.read(root / "audio.wav", dtype="float32")
    half = LENGTH * SAMPLES_PER_FRAME
    with np.load(root / "speech.npz") as data:
        tokens, encoder = data["features"], data["encoder"]
    mel = np.concatenate([log_mel(samples[:half]), log_mel(samples[half:])])
    position = np.zeros((0, tokens.shape[1]), np.float32)
    np.savez(root / "speech.npz", features=tokens, mel=mel, position=position, encoder=encoder)
