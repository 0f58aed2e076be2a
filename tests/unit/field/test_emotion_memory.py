"""The emotion memory against its formula, and that it listens to the emotion from the start."""

from __future__ import annotations

import math

import pytest
import torch

from ua3dtalk.field.emotion_memory import Attention, EmotionMemory, attention_entropy

BOUND = 0.15


def small(attention: Attention = "selective") -> EmotionMemory:
    torch.manual_seed(0)
    return EmotionMemory(10, (5, 9), 4, (3, 6), BOUND, attention)


def positions(n: int = 11) -> torch.Tensor:
    return (torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 2 * BOUND


def embedding(seed: int, width: int = 10) -> torch.Tensor:
    return torch.randn(1, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", ["selective", "released"])
def test_is_its_formula(attention: Attention) -> None:
    memory, z = small(attention), embedding(2)
    part = memory.position_part(positions())
    found, attentions = memory(part, z)
    q = memory.query.weight @ z[0] + memory.query.bias
    for s, book in enumerate(memory.books):
        if attention == "released":
            scores = torch.stack([q @ entry / 2 for entry in book])
        else:
            sharpness = memory.log_sharpness.exp()
            scores = torch.stack([sharpness * torch.cosine_similarity(q, entry, dim=0) for entry in book])
        weights = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(attentions[s], weights)
        code = sum(w * entry for w, entry in zip(weights, book, strict=True))
        torch.testing.assert_close(found[:, 4 * s : 4 * s + 4], part[:, 4 * s : 4 * s + 4] * code)
    assert found.shape == (11, memory.width) == (11, 8)


def entropies(memory: EmotionMemory) -> list[float]:
    return [float(attention_entropy(a)) for a in memory.read(embedding(3, 128))[1]]


def test_the_released_memory_hardly_listens_at_first_and_this_one_does() -> None:
    torch.manual_seed(0)
    released = EmotionMemory(plane_sides=(4, 4, 4), attention="released")
    selective = EmotionMemory(plane_sides=(4, 4, 4))
    for attention in released.read(embedding(3, 128))[1]:
        assert float(attention.detach().max()) < 1.3 / len(attention)  # method 3.4: 1.1 to 1.15 times uniform
    assert min(entropies(released)) > 0.99
    assert max(entropies(selective)) < 0.75

    def contrast(memory: EmotionMemory) -> float:
        """How much of a code changes from emotion to emotion."""
        codes = torch.cat([memory.read(embedding(seed, 128))[0] for seed in range(20)])
        return float(codes.var(0).sum() / codes.square().mean(0).sum())

    assert contrast(released) < 0.01
    assert contrast(selective) > 0.5


def test_selective_attention_hears_an_emotion_however_loud() -> None:
    """An embedding's length says nothing: encoders differ in it."""
    memory = small()
    torch.nn.init.zeros_(memory.query.bias)
    for quiet, loud in zip(memory.read(0.01 * embedding(4))[1], memory.read(100 * embedding(4))[1], strict=True):
        torch.testing.assert_close(quiet, loud)


def test_everything_learns() -> None:
    for attention in ("selective", "released"):
        memory = small(attention)
        found, _ = memory(memory.position_part(positions()), embedding(5))
        found.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in memory.parameters())


def test_positions_get_no_gradient() -> None:
    memory, where = small(), positions().requires_grad_()
    memory(memory.position_part(where), embedding(5))[0].sum().backward()
    assert where.grad is None


def test_released_memory_has_the_released_size() -> None:
    """Method 3.1 and 3.4: planes of 16 515 072, code-books of 448 x 64, the query, f_emotion 192 wide."""
    memory = EmotionMemory(attention="released")
    assert memory.width == 192
    planes = 3 * 64 * (64**2 + 128**2 + 256**2)
    assert sum(p.numel() for p in memory.parameters()) == planes + 448 * 64 + 128 * 64 + 64


def test_entropy_of_known_attentions() -> None:
    torch.testing.assert_close(attention_entropy(torch.full((3, 8), 1 / 8)), torch.ones(3))
    assert float(attention_entropy(torch.tensor([0.0, 1.0, 0.0]))) == 0
    half = attention_entropy(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    assert float(half) == pytest.approx(math.log(2) / math.log(4))


def test_books_and_planes_go_in_pairs() -> None:
    with pytest.raises(ValueError, match="2 code-books for 3 scales"):
        EmotionMemory(10, (5, 9), 4, (3, 6, 8))
