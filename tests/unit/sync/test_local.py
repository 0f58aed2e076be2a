"""A net that is trained on synthetic talkers finds the delay of others and knows when there is nothing to find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sync_talkers import talker

from ua3dtalk.errors import DataError
from ua3dtalk.sync.examples import PIECE, at_times, in_deviations, piece, scales
from ua3dtalk.sync.local import beats_shuffled, embed, judge, measure, pooled_curve
from ua3dtalk.sync.net import LocalSync, load_net, save_net
from ua3dtalk.sync.ridge import Ridge
from ua3dtalk.sync.stage import part
from ua3dtalk.sync.train import contrast, train


@pytest.fixture(scope="module")
def net() -> LocalSync:
    return train([talker(200, seed) for seed in range(3)], 150, 0)[0]


@pytest.mark.parametrize("late", [-9.0, 0.0, 0.4, 5.5, 12.0])
def test_a_known_delay_is_found(net: LocalSync, late: float) -> None:
    verdict = judge(embed(net, [talker(250, 50, late=late)]))
    assert verdict is not None and verdict.trusted and verdict.beats_shuffled == 1
    assert verdict.figures.offset_frames == pytest.approx(-late, abs=0.25)
    assert verdict.offset_error < 0.5


def test_lips_that_do_not_move_are_not_trusted(net: LocalSync) -> None:
    moving, still = (judge(embed(net, [talker(250, 51, still=still)])) for still in (False, True))
    assert moving is not None and still is not None
    assert not still.trusted
    assert still.figures.confidence < 0.3 * moving.figures.confidence
    assert still.figures.distance > moving.figures.distance


def test_stretches_are_put_together(net: LocalSync) -> None:
    """Pairs of all stretches count alike, and none goes across a border."""
    stretches = embed(net, [talker(60, 52), talker(90, 53)])
    sums, counts = np.zeros(31), np.zeros(31)
    for seen, heard, _ in stretches:
        for i in range(len(seen)):
            for entry in range(31):
                if 0 <= i + entry - 15 < len(heard):
                    sums[entry] += np.linalg.norm(seen[i] - heard[i + entry - 15])
                    counts[entry] += 1
    np.testing.assert_allclose(pooled_curve(stretches), sums / counts, rtol=1e-6)


def test_frames_without_a_face_do_not_count(net: LocalSync) -> None:
    whole = talker(120, 54)
    spoilt = whole.lips.copy()
    spoilt[50:60] = 7
    hidden = replace(whole, lips=spoilt, usable=np.abs(np.arange(120) - 55) > 15)
    seen, heard, usable = embed(net, [hidden])[0]
    kept = embed(net, [whole])[0]
    assert np.allclose(seen[usable], kept[0][usable], atol=1e-5), "four frames either side are seen"
    assert measure([(seen, heard, usable)]).offset_frames == pytest.approx(0, abs=0.3)  # type: ignore[union-attr]


def test_too_short_a_stretch(net: LocalSync) -> None:
    assert judge(embed(net, [talker(12, 55)])) is None
    short = embed(net, [talker(40, 56)])
    assert measure(short) is not None
    assert beats_shuffled(short) is None and not judge(short).trusted  # type: ignore[union-attr]


def test_the_opponent_finds_delays_too() -> None:
    ridge = Ridge([talker(200, seed) for seed in range(3)])
    assert ridge.measure(talker(250, 50, late=5.0)).offset_frames == pytest.approx(-5, abs=0.5)


def test_embeddings_have_length_one_and_a_limited_view(net: LocalSync) -> None:
    one = talker(60, 57)
    seen, heard = net.embed(one)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(heard, axis=1), 1, atol=1e-5)
    lips, tokens = one.lips.copy(), one.tokens.copy()
    lips[30], tokens[60] = 9, 9
    other_seen, other_heard = net.embed(replace(one, lips=lips, tokens=tokens))
    assert np.flatnonzero(np.abs(other_seen - seen).max(axis=1) > 1e-6).tolist() == list(range(26, 35))
    assert np.flatnonzero(np.abs(other_heard - heard).max(axis=1) > 1e-6).tolist() == list(range(27, 34))


def test_contrast_is_the_loss_written_plainly() -> None:
    generator = torch.Generator().manual_seed(0)
    seen, heard = (torch.nn.functional.normalize(torch.randn(2, 7, 5, generator=generator), dim=2) for _ in "ab")
    losses = []
    for clip in range(2):
        scores = (4 * seen[clip] @ heard[clip].T).exp()
        for i in range(7):
            others = [k for k in range(7) if abs(i - k) != 1]
            losses.append(-torch.log(scores[i, i] / scores[i, others].sum()))
            losses.append(-torch.log(scores[i, i] / scores[others, i].sum()))
    assert float(contrast(seen, heard, torch.tensor(4.0))) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_examples_keep_lips_and_speech_together() -> None:
    """A clip whose lips and tokens both say which frame it is."""
    count = 200
    frames, halves = np.arange(count, dtype=np.float32), np.arange(2 * count, dtype=np.float32) / 2
    clip = replace(talker(count, 0), lips=np.tile(frames[:, None], 11), tokens=np.tile(halves[:, None], 24))
    lips, tokens = piece(clip, np.random.default_rng(5))  # type: ignore[misc]
    assert lips.shape == (PIECE, 11) and tokens.shape == (2 * PIECE, 24)
    pace = np.polyfit(np.arange(PIECE), tokens[::2].mean(axis=1), 1)[0]
    assert 0.78 < pace < 1.27
    known = np.abs(lips).sum(axis=0) > 0
    shape = np.corrcoef(tokens[::2].mean(axis=1), lips[:, known].mean(axis=1))[0, 1]
    assert shape > 0.9


def test_reading_between_rows() -> None:
    rows = np.array([[0.0], [1.0], [3.0]])
    assert at_times(rows, np.array([-1.0, 0.5, 1.75, 9.0])).ravel().tolist() == [0, 0.5, 2.5, 3]


def test_a_clip_too_short_gives_no_example() -> None:
    assert all(piece(talker(60, 0), np.random.default_rng(seed)) is None for seed in range(20))


def test_tokens_become_components_of_unit_deviation_that_do_not_correlate() -> None:
    one = talker(300, 3)
    scaled = in_deviations(one, *scales([one], 4))
    np.testing.assert_allclose(np.cov(scaled.tokens.T, bias=True), np.eye(4), atol=0.01)
    np.testing.assert_allclose(scaled.lips.std(axis=0), 1, atol=0.01)
    left, _, _ = np.linalg.svd(one.tokens, full_matrices=False)
    overlap = np.abs(left[:, :4].T @ scaled.tokens) / np.sqrt(len(one.tokens))
    np.testing.assert_allclose(overlap, np.eye(4), atol=0.02)


def test_saved_and_read_again(net: LocalSync, tmp_path: Path) -> None:
    save_net(net, tmp_path / "net.safetensors", {"state": "s"})
    again = load_net(tmp_path / "net.safetensors")
    one = talker(60, 58)
    assert all(np.array_equal(a, b) for a, b in zip(net.embed(one), again.embed(one), strict=True))
    (tmp_path / "net.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read as a sync net"):
        load_net(tmp_path / "net.safetensors")


def test_training_twice_gives_the_same_net() -> None:
    first, second = (train([talker(150, 1)], 5, 3)[0].state_dict() for _ in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_part_begins_with_its_own_tokens() -> None:
    whole = talker(50, 2)
    rest = part(whole, 20)
    assert len(rest) == 30 and np.array_equal(rest.tokens, whole.tokens[40:])
