"""The emotion memory: what a frame's emotion means at every position.

Code-books of learned entries are read by soft attention with the frame's emotion; what is read at each resolution
modulates the matching scale of a tri-plane.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ua3dtalk.field.triplane import TriPlane

Attention = Literal["selective", "released"]
# Cosines of random vectors have a deviation of 1 / sqrt(width); scores then start with this one.
SCORE_DEVIATION = 2.5


class EmotionMemory(nn.Module):
    """Emotion embedding and positions to f_emotion.

    Args:
        embedding: length of the emotion embedding z.
        entries: of the code-books, one book per scale.
        width: of a query, of an entry, and channels of a plane.
        plane_sides: cells of a plane's side, one per scale.
        bound: half side of the cube in metres that the planes cover.
        attention: "selective" starts from entries of zero mean and compares directions, sharpened by a learned factor;
            "released" has the release's entries in 0.1..0.5 and scores q C^T / sqrt(width), whose attention is nearly
            uniform until trained (no entry above 1.15 times the mean).
    Source: UA-3DTalk, emotion encoder (method 3.4): q = W z, c_s = softmax(scores) C_s, f = concat of P_s(p) * c_s.
    """

    def __init__(
        self,
        embedding: int = 128,
        entries: tuple[int, ...] = (64, 128, 256),
        width: int = 64,
        plane_sides: tuple[int, ...] = (64, 128, 256),
        bound: float = 0.15,
        attention: Attention = "selective",
    ) -> None:
        super().__init__()
        if len(entries) != len(plane_sides):
            raise ValueError(f"{len(entries)} code-books for {len(plane_sides)} scales of planes")
        self.attention = attention
        self.planes = TriPlane(plane_sides, width, bound, "product")
        self.query = nn.Linear(embedding, width)
        books = [torch.empty(count, width) for count in entries]
        for book in books:
            if not book.is_meta:  # there `normal_` would load torch's compiler, which takes a second
                _ = book.normal_() if attention == "selective" else book.uniform_(0.1, 0.5)
        self.books = nn.ParameterList([nn.Parameter(book) for book in books])
        if attention == "selective":
            self.log_sharpness = nn.Parameter(torch.tensor(math.log(SCORE_DEVIATION * math.sqrt(width))))
        self.width = self.planes.width

    def position_part(self, positions: Tensor) -> Tensor:
        """Features [N, W] of positions [N, 3] m before an emotion meets them; no gradient flows into positions."""
        return self.planes(positions.detach())

    def forward(self, position_part: Tensor, embedding: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Args: position_part [N, W] of `position_part`; embedding [1, E] of the frame.

        Returns:
            f_emotion [N, W], and the attention over each code-book's entries [entries], which sums to 1.
        """
        code, attentions = self.read(embedding)
        return position_part * code, attentions

    def read(self, embedding: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the memory holds for an emotion [1, E]: the code [1, W] of all scales, and the attentions."""
        query = self.query(embedding)[0]
        attentions = tuple(torch.softmax(self._scores(query, book), 0) for book in self.books)
        read = [attention @ book for attention, book in zip(attentions, self.books, strict=True)]
        return torch.cat(read)[None], attentions

    def _scores(self, query: Tensor, book: Tensor) -> Tensor:
        if self.attention == "released":
            return book @ query / math.sqrt(len(query))
        return self.log_sharpness.exp() * (F.normalize(book, dim=1) @ F.normalize(query, dim=0))


def attention_entropy(attention: Tensor) -> Tensor:
    """Entropy over its maximum: 1 when all entries are read alike, 0 when one alone is.

    Args: attention [..., entries], sums to 1; at least two entries.
    Returns: [...]
    """
    return torch.special.entr(attention).sum(-1) / math.log(attention.shape[-1])
