"""The controls of an actor's own frames, on the actor's frame index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.field.conditioners import AudioEncoder, LipReader
from ua3dtalk.rendering.head import Controls
from ua3dtalk.speech.clips import borders
from ua3dtalk.speech.windows import MEL_PER_FRAME, mel_windows, token_windows
from ua3dtalk.subject import TOKENS_PER_FRAME, Clip, Speech, Subject

BLINK_LIMIT = 2.0  # OpenFace's AU45 rarely means more beyond it (TalkingGaussian clips it there)


def action_unit_input(units: np.ndarray) -> np.ndarray:
    """Action units [T, 6] as the nets take them: OpenFace's 0..5, the blink clipped to 0..2."""
    units = units.astype(np.float32).copy()
    units[:, 5] = np.clip(units[:, 5], 0, BLINK_LIMIT)
    return units


def speech_windows(speech: Speech, clips: Sequence[Clip], frames: np.ndarray, radius: int) -> np.ndarray:
    """Tokens and mel of `radius` frames on either side of each frame, flattened for the lip reader: [n, F] float32."""
    tokens = token_windows(speech, clips, frames, radius * TOKENS_PER_FRAME)
    mel = mel_windows(speech, clips, frames, radius * MEL_PER_FRAME)
    return np.concatenate([tokens.reshape(len(frames), -1), mel.reshape(len(frames), -1)], 1).astype(np.float32)


def read_lips(reader: LipReader, speech: Speech, clips: Sequence[Clip]) -> np.ndarray:
    """Lip shapes [T, K] that the reader hears, frame by frame."""
    count = clips[-1].end
    blocks = np.array_split(np.arange(count), max(count // 512, 1))
    with torch.no_grad():
        read = [reader(torch.from_numpy(speech_windows(speech, clips, b, int(reader.radius)))) for b in blocks]
    return torch.cat(read).numpy()


class ControlTrack:
    """Controls frame by frame.

    Args:
        subject: the actor.
        lips: [T, K] lip shapes that drive the frames.
        action_units: [T, 6].
        with_tokens: whether the nets also listen to the tokens themselves.
    """

    def __init__(
        self, subject: Subject, lips: np.ndarray, action_units: np.ndarray, with_tokens: bool, device: torch.device
    ) -> None:
        self._subject = subject
        self._lips = torch.from_numpy(np.ascontiguousarray(lips, np.float32)).to(device)
        self._units = torch.from_numpy(action_unit_input(action_units)).to(device)
        self._with_tokens = with_tokens
        self._device = device

    def __call__(self, frame: int) -> Controls:
        tokens = self.tokens(frame) if self._with_tokens else None
        return Controls(self._lips[frame : frame + 1], tokens, self._units[frame : frame + 1])

    def tokens(self, frame: int) -> Tensor:
        """[1, 8, 16, D]: the windows of the frames around, never across the clip's border."""
        clips = self._subject.clips
        around = np.arange(frame - AudioEncoder.WINDOWS // 2, frame + AudioEncoder.WINDOWS // 2)
        first, end = borders(clips, np.array([frame]))
        around = np.clip(around, first[0], end[0] - 1)
        windows = token_windows(self._subject.speech, clips, around, AudioEncoder.TOKENS // 2 - 1)
        return torch.from_numpy(windows.astype(np.float32))[None].to(self._device)
