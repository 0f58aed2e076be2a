"""The local sync net: lips and speech into one space in which those of one moment lie near each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ua3dtalk.reading import reading
from ua3dtalk.subject import TOKENS_PER_FRAME
from ua3dtalk.sync.lips import MEASURES
from ua3dtalk.sync.talk import Talk
from ua3dtalk.tensors import check_fit, read_tensors, write_tensors

TOKEN_WIDTH = 512
COMPONENTS = 64  # of the tokens: with all 512 the voices of the training clips are learned by heart
HIDDEN = 64
EMBEDDING = 48
DROPOUT = 0.2


class LocalSync(nn.Module):
    """Two stacks of convolutions over time; a frame's embedding sees 9 frames of lips and hears 7 frames of speech.

    Both embeddings have length 1, so distances lie in 0..2.

    Buffers:
        lip_scale [11]: deviations over the training clips.
        token_axes [D, K]: the tokens' leading principal components over their deviations.
    """

    lip_scale: Tensor
    token_axes: Tensor

    def __init__(self, token_width: int = TOKEN_WIDTH) -> None:
        super().__init__()
        self.register_buffer("lip_scale", torch.ones(MEASURES))
        components = min(COMPONENTS, token_width)
        self.register_buffer("token_axes", torch.eye(token_width, components))
        self.eyes = nn.Sequential(*_layer(MEASURES, 3), *_layer(HIDDEN, 5), nn.Conv1d(HIDDEN, EMBEDDING, 3, padding=1))
        self.ears = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Conv1d(components, HIDDEN, TOKENS_PER_FRAME, stride=TOKENS_PER_FRAME),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            *_layer(HIDDEN, 5),
            nn.Conv1d(HIDDEN, EMBEDDING, 3, padding=1),
        )

    def see(self, lips: Tensor) -> Tensor:
        """Lips [b, n, 11] in deviations -> [b, n, 48]."""
        return functional.normalize(self.eyes(lips.transpose(1, 2)), dim=1).transpose(1, 2)

    def hear(self, tokens: Tensor) -> Tensor:
        """Components of tokens [b, 2 n, K] -> [b, n, 48]."""
        return functional.normalize(self.ears(tokens.transpose(1, 2)), dim=1).transpose(1, 2)

    @torch.inference_mode()
    def embed(self, talk: Talk) -> tuple[np.ndarray, np.ndarray]:
        """What is seen and heard in each frame of a stretch: two [n, 48]."""
        lips = torch.from_numpy(talk.lips) / self.lip_scale
        tokens = torch.from_numpy(talk.tokens) @ self.token_axes
        return self.see(lips[None])[0].numpy(), self.hear(tokens[None])[0].numpy()


def save_net(net: LocalSync, path: Path, metadata: dict[str, str]) -> None:
    """Write the net as safetensors with texts beside it."""
    write_tensors(path, net.state_dict(), metadata)


def load_net(path: Path) -> LocalSync:
    """The trained net, for inference.

    Raises:
        DataError: the file is missing or is not what `save_net` writes.
    """
    with reading(path, what="a sync net"):
        state, _ = read_tensors(path)
        width = len(state["token_axes"])
        check_fit(lambda: LocalSync(width), state)
        net = LocalSync(width)
        net.load_state_dict(state)
        return net.eval().requires_grad_(False)


def _layer(width: int, reach: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(width, HIDDEN, reach, padding=reach // 2), nn.ReLU(), nn.Dropout(DROPOUT)
