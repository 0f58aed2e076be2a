"""The stage: audio of the bundle in, `speech.npz` out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ua3dtalk.errors import AssetError, ConfigError
from ua3dtalk.settings import SpeechSettings
from ua3dtalk.speech.clips import check_length, clip_samples
from ua3dtalk.speech.files import read_features
from ua3dtalk.speech.mel import log_mel
from ua3dtalk.speech.picture import draw_speech
from ua3dtalk.speech.whisper import ENCODER, encode_clip, load_encoder, position_share
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import atomic, progress


def extract_features(
    *, subject: Subject, model: Path | None, out: Path, picture: Path, settings: SpeechSettings, state: str
) -> None:
    """Write `speech.npz`: features float16 [2 T, D] (50 Hz), mel float32 [4 T, 80] (100 Hz), encoder, state.

    Args:
        subject: audio.wav and clips.json are read.
        model: folder of the Whisper weights (`whisper_base` of the assets); not needed for features from a file.
        out, picture: files to write.
        settings: which encoder.
        state: stored beside the arrays.
    """
    samples = subject.audio()
    check_length(samples, subject.frame_count)
    clips = subject.clips
    mel = np.concatenate([log_mel(clip_samples(samples, clip)) for clip in clips])
    if settings.encoder == "file":
        if not settings.features_file:
            raise ConfigError('speech.features_file: name the .npy file that encoder "file" reads')
        features, encoder = read_features(settings.features_file, clips), Path(settings.features_file).name
        position = np.zeros((0, features.shape[1]), np.float32)
    else:
        if model is None:
            raise AssetError("the Whisper model's folder was not given")
        encode, encoder = load_encoder(model), ENCODER
        position = position_share(encode)
        tokens = [encode_clip(encode, clip_samples(samples, clip), position) for clip in progress(clips, "speech")]
        features = np.concatenate(tokens)
    with atomic(out) as temporary:
        np.savez(
            temporary,
            features=features,
            mel=mel,
            position=position,
            encoder=np.array(encoder),
            state=np.array(state),
        )
    draw_speech(picture, samples, features, mel, clips, encoder)
