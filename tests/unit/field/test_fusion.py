"""The fusion against dense inverses in float64, also where beliefs are badly conditioned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ua3dtalk import native
from ua3dtalk.field.beliefs import LOG_VARIANCE_BOUND, Belief
from ua3dtalk.field.fusion import Backend, Fused, fuse, fuse_reference

needs_native = pytest.mark.skipif(not native.is_available(), reason="the native kernels are not built")
BACKENDS = ["torch", pytest.param("native", marks=needs_native)]
VALUE, GRADIENT = 1e-5, 1e-4  # largest error, relative to the largest number


def drawn(
    n: int = 9,
    members: Sequence[int] = (4, 4, 4),
    state: int = 6,
    seed: int = 0,
    log_deviation: float = 1.0,
    spread: float = 0.3,
    shared: float = 0.0,
) -> list[Belief]:
    """Views with `members` each (0: single). `shared` turns all spreads towards the same directions."""
    g = torch.Generator().manual_seed(seed)
    common = torch.randn(n, max(members, default=0), state, generator=g)

    def belief(count: int) -> Belief:
        mean = torch.randn(n, state, generator=g)
        log_variance = log_deviation * torch.randn(n, state, generator=g)
        variance = log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND).exp()
        if not count:
            return Belief(mean, variance)
        own = torch.randn(n, count, state, generator=g)
        return Belief(mean, variance, spread * (shared * common[:, :count] + (1 - shared) * own))

    return [belief(count) for count in members]


def arrays(beliefs: Sequence[Belief]) -> list[Tensor]:
    return [x for b in beliefs for x in (b.mean, b.variance, b.spread) if x is not None]


def cast(beliefs: Sequence[Belief], dtype: torch.dtype) -> list[Belief]:
    """Leaves of a new graph."""

    def leaf(x: Tensor) -> Tensor:
        return x.detach().to(dtype).clone().requires_grad_()

    return [Belief(leaf(b.mean), leaf(b.variance), None if b.spread is None else leaf(b.spread)) for b in beliefs]


def upstream(beliefs: Sequence[Belief]) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(99)
    shape = beliefs[0].mean.shape
    return torch.randn(shape, generator=g), torch.randn(shape, generator=g)


def gradients(
    fusion: Callable[[Sequence[Belief]], Fused], beliefs: Sequence[Belief], outputs: str = "both"
) -> list[Tensor]:
    """Of a random projection of mean, variance or both."""
    fused, (g, h) = fusion(beliefs), upstream(beliefs)
    loss = beliefs[0].mean.new_zeros(())
    if outputs != "variance":
        loss = loss + (fused.mean * g).sum()
    if outputs != "mean":
        loss = loss + (fused.variance * h).sum()
    return list(torch.autograd.grad(loss, arrays(beliefs), allow_unused=True))


def error(found: Tensor | None, wanted: Tensor | None) -> float:
    if found is None or wanted is None:
        present = found if wanted is None else wanted
        return 0.0 if present is None else float(present.detach().abs().max())
    return float((found.detach().double() - wanted.detach()).abs().max() / wanted.detach().abs().max().clamp_min(1e-30))


def check(beliefs: Sequence[Belief], backend: Backend) -> None:
    """Values and gradients equal the dense formula's."""
    single, double = cast(beliefs, torch.float32), cast(beliefs, torch.float64)
    fused, wanted = fuse(single, backend), fuse_reference(double)
    assert error(fused.mean, wanted.mean) < VALUE
    assert error(fused.variance, wanted.variance) < VALUE
    assert (fused.variance > 0).all()
    found = gradients(lambda b: fuse(b, backend), single)
    for gradient, truth in zip(found, gradients(fuse_reference, double), strict=True):
        assert error(gradient, truth) < GRADIENT


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("members", [(4, 4, 4), (10, 10, 10, 10), (3,), (0, 3), (5, 0, 2, 7)], ids=str)
@pytest.mark.parametrize("state", [1, 6, 48])
def test_is_the_dense_formula(backend: Backend, members: tuple[int, ...], state: int) -> None:
    check(drawn(members=members, state=state), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 31, 100])
def test_any_number_of_gaussians(backend: Backend, n: int) -> None:
    if n:
        check(drawn(n=n, members=(3, 4)), backend)
    else:
        assert fuse(drawn(n=0, members=(3, 4)), backend).mean.shape == (0, 6)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    log_deviation=st.floats(0, 5),
    spread=st.floats(-3, 0.5).map(lambda e: 10**e),
    shared=st.sampled_from([0.0, 0.9, 0.999, 1.0]),
    members=st.lists(st.sampled_from([0, 2, 5, 10]), min_size=1, max_size=4),
)
def test_badly_conditioned_beliefs(
    backend: Backend, seed: int, log_deviation: float, spread: float, shared: float, members: list[int]
) -> None:
    """Variances anywhere between the clamps, members up to 10 apart: a covariance's condition reaches 1e6."""
    check(drawn(4, members, 12, seed, log_deviation, spread, shared), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_at_the_clamp(backend: Backend, sign: int) -> None:
    beliefs = drawn(members=(5, 5))
    edge = torch.full_like(beliefs[0].variance, math.exp(sign * LOG_VARIANCE_BOUND))
    check([Belief(beliefs[0].mean, edge, beliefs[0].spread), beliefs[1]], backend)
    check([Belief(b.mean, edge, b.spread) for b in beliefs], backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("outputs", ["mean", "variance"])
def test_each_output_has_its_own_gradient(backend: Backend, outputs: str) -> None:
    beliefs = drawn(members=(4, 0, 3))
    single, double = cast(beliefs, torch.float32), cast(beliefs, torch.float64)
    found = gradients(lambda b: fuse(b, backend), single, outputs)
    for gradient, truth in zip(found, gradients(fuse_reference, double, outputs), strict=True):
        assert error(gradient, truth) < GRADIENT


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_the_variance_the_mean_is_the_same(backend: Backend) -> None:
    beliefs = cast(drawn(), torch.float32)
    alone = fuse(beliefs, backend, with_variance=False)
    assert alone.variance is None
    assert torch.equal(alone.mean, fuse(beliefs, backend).mean)
    found = torch.autograd.grad(alone.mean.sum(), arrays(beliefs))
    for gradient, truth in zip(
        found, torch.autograd.grad(fuse_reference(beliefs).mean.sum(), arrays(beliefs)), strict=True
    ):
        assert error(gradient, truth.double()) < GRADIENT


def test_gradients_of_the_torch_twin_by_finite_differences() -> None:
    beliefs = cast(drawn(n=2, members=(3, 0, 2), state=3), torch.float64)

    def flat(*tensors: Tensor) -> tuple[Tensor, Tensor | None]:
        x = iter(tensors)
        views = [Belief(next(x), next(x), None if b.spread is None else next(x)) for b in beliefs]
        fused = fuse(views, "torch")
        return fused.mean, fused.variance

    assert torch.autograd.gradcheck(flat, arrays(beliefs))


def test_single_members_are_weighted_by_precision() -> None:
    beliefs = drawn(members=(0, 0, 0, 0), log_deviation=3)
    check(beliefs, "auto")
    w = torch.stack([1 / b.variance for b in beliefs])
    means = torch.stack([b.mean for b in beliefs])
    fused = fuse(beliefs)
    torch.testing.assert_close(fused.mean, (w * means).sum(0) / w.sum(0))
    torch.testing.assert_close(fused.variance, 1 / w.sum(0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("members", [(4, 4, 4), (0, 0, 0)], ids=str)
def test_a_view_left_out_is_a_view_of_infinite_variance(backend: Backend, members: tuple[int, ...]) -> None:
    beliefs = drawn(members=members)
    without = fuse([beliefs[0], beliefs[2]], backend)
    dropped = fuse(beliefs, backend, [1, math.inf, 1])
    assert torch.equal(dropped.mean, without.mean) and torch.equal(dropped.variance, without.variance)
    faint = fuse(beliefs, backend, [1, 1e12, 1])
    torch.testing.assert_close(faint.mean, without.mean)
    torch.testing.assert_close(faint.variance, without.variance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_inflated_view_has_a_larger_covariance(backend: Backend) -> None:
    beliefs = drawn()
    scales = torch.tensor([1.0, 7.0, 0.5])
    inflated = [Belief(b.mean, b.variance * s, b.spread * s.sqrt()) for b, s in zip(beliefs, scales, strict=True)]
    found, wanted = fuse(beliefs, backend, scales), fuse_reference(inflated)
    torch.testing.assert_close(found.mean, wanted.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.variance, wanted.variance, rtol=1e-4, atol=1e-5)
    assert (fuse(beliefs, backend, [2, 2, 2]).variance > fuse(beliefs, backend).variance).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_view_is_itself_and_equal_views_agree(backend: Backend) -> None:
    (one,) = drawn(members=(4,))
    marginal = one.variance + one.spread.square().sum(1)
    fused, four = fuse([one], backend), fuse([one] * 4, backend)
    torch.testing.assert_close(fused.mean, one.mean)
    torch.testing.assert_close(fused.variance, marginal)
    torch.testing.assert_close(four.mean, one.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(four.variance, marginal / 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_order_of_views_does_not_matter(backend: Backend) -> None:
    beliefs = drawn(members=(4, 3, 0))
    first = fuse(beliefs, backend)
    for order in itertools.permutations(beliefs):
        torch.testing.assert_close(fuse(order, backend).mean, first.mean)


@pytest.mark.parametrize("backend", BACKENDS)
def test_doubt_of_the_members_moves_the_mean_away(backend: Backend) -> None:
    """A view whose members disagree weighs less, even at equal variances."""
    one = torch.ones(1, 1)
    sure, torn = Belief(0 * one, one, torch.zeros(1, 2, 1)), Belief(one, one, torch.full((1, 2, 1), 3.0))
    fused = fuse([sure, torn], backend)
    torch.testing.assert_close(fused.mean, one / 20)  # weights 1 and 1 / (1 + 2 * 9)
    torch.testing.assert_close(fused.variance, one * 19 / 20)


@needs_native
@pytest.mark.parametrize("isa", native.ISAS)
def test_every_variant_of_the_library(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if isa not in native.available():
        pytest.skip(f"this machine cannot run {isa}")
    monkeypatch.setenv("UA3DTALK_ISA", isa)
    check(drawn(n=21, members=(10, 10, 10, 10), state=48), "native")
    check(drawn(n=21, members=(3, 0, 6), state=7, log_deviation=3, spread=5, shared=1), "native")


@needs_native
def test_threads_and_layout_change_no_bit() -> None:
    beliefs = drawn(n=300, members=(5, 5, 5), state=10)
    first = cast(beliefs, torch.float32)
    wanted = [fuse(first, "native").mean, *gradients(lambda b: fuse(b, "native"), first)]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            again = [
                Belief(
                    b.mean.t().contiguous().t().requires_grad_(),
                    b.variance.t().contiguous().t().requires_grad_(),
                    b.spread.permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_(),
                )
                for b in beliefs
            ]
            found = [fuse(again, "native").mean, *gradients(lambda b: fuse(b, "native"), again)]
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    finally:
        torch.set_num_threads(before)


@needs_native
def test_a_gaussian_does_not_see_its_neighbours() -> None:
    beliefs = drawn(n=20, members=(4, 4))
    broken = [Belief(b.mean.clone(), b.variance, b.spread) for b in beliefs]
    broken[0].mean[3] = math.nan
    found, wanted = fuse(broken, "native").mean, fuse(beliefs, "native").mean
    others = torch.arange(20) != 3
    assert torch.equal(found[others], wanted[others]) and found[3].isnan().all()


def test_what_does_not_fit_is_refused() -> None:
    beliefs = drawn(members=(3, 3))
    with pytest.raises(ValueError, match="no view is left"):
        fuse(beliefs, scales=[math.inf, math.inf])
    with pytest.raises(ValueError, match="no view is left"):
        fuse([])
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            fuse(beliefs, scales=[1, bad])
    with pytest.raises(ValueError, match="3 scales for 2 views"):
        fuse(beliefs, scales=[1, 1, 1])
    with pytest.raises(ValueError, match="view 1"):
        fuse([beliefs[0], drawn(n=4, members=(3,))[0]])
    with pytest.raises(ValueError, match="spread"):
        fuse([Belief(beliefs[0].mean, beliefs[0].variance, beliefs[0].spread[:, 0])])
    with pytest.raises(ValueError, match="backend"):
        fuse(beliefs, "cuda")  # type: ignore[arg-type]
