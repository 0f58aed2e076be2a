"""How fast beliefs are formed and fused, as ratios measured in one run.

    python -m benchmarks.fuse [--gaussians 5000] [--members 10] [--views 4] [--state 48]

Times are medians of forward, and of forward + backward through mean and variance. The dense formula (V + 1 inverses of
state x state per Gaussian, as released) is the opponent; single members are compared with the dense formula for single
members. Peak memory is that of a process of its own, above what it held before the fusion: inputs do not count, their
gradients do. The last rows are the ensembles' nets. On a machine with other work, `--threads 1 --cpu-time` counts the
processor's time instead of the clock's.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.rasterise import variant
from ua3dtalk import native
from ua3dtalk.field.beliefs import Belief, ViewEnsemble
from ua3dtalk.field.fusion import Fused, fuse, fuse_reference

POSITION, CODE = 64, 64  # widths of a view's inputs

Run = Callable[[], object]


def drawn_beliefs(arguments: argparse.Namespace, single: bool) -> list[Belief]:
    """Leaves of a graph, the Gaussians innermost in memory as the ensembles leave them."""
    g = torch.Generator().manual_seed(0)
    n, members, state = arguments.gaussians, arguments.members, arguments.state

    def belief() -> Belief:
        mean = torch.randn(state, n, generator=g).t().requires_grad_()
        variance = torch.randn(state, n, generator=g).exp().t().requires_grad_()
        deviations = 0.2 * torch.randn(members, state, n, generator=g)
        spread = None if single else (deviations - deviations.mean(0)).permute(2, 0, 1).requires_grad_()
        return Belief(mean, variance, spread)

    return [belief() for _ in range(arguments.views)]


def leaves(beliefs: list[Belief]) -> Iterator[Tensor]:
    for belief in beliefs:
        yield from (x for x in (belief.mean, belief.variance, belief.spread) if x is not None)


def backwards(fusion: Callable[[list[Belief]], Fused], beliefs: list[Belief]) -> Run:
    """Forward and backward with fixed upstream gradients."""
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(beliefs[0].mean.shape, generator=g) for _ in range(2)]

    def run() -> None:
        fused = fusion(beliefs)
        outputs = [x for x in (fused.mean, fused.variance) if x is not None]
        torch.autograd.backward(outputs, upstream[: len(outputs)])
        for x in leaves(beliefs):
            x.grad = None

    return run


def without_gradient(run: Run) -> Run:
    def forward() -> None:
        with torch.no_grad():
            run()

    return forward


def milliseconds(run: Run, seconds: float, clock: Callable[[], float]) -> float:
    """Median over as many runs as fit into the time, at least three; one more before them warms up."""
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 4 or time.perf_counter() - begin < seconds:
        start = clock()
        run()
        times.append(clock() - start)
    return 1e3 * median(times[1:])


def fusions(single: bool) -> dict[str, Callable[[list[Belief]], Fused]]:
    """What is compared, by name; the first is the opponent."""
    if single:
        return {"dense": fuse_reference, "by element": fuse}
    every: dict[str, Callable[[list[Belief]], Fused]] = {"dense": fuse_reference}
    every["torch"] = lambda beliefs: fuse(beliefs, "torch")
    if native.is_available():
        every["native"] = lambda beliefs: fuse(beliefs, "native")
        every["native, mean alone"] = lambda beliefs: fuse(beliefs, "native", with_variance=False)
    return every


def peak_bytes(arguments: argparse.Namespace, name: str, single: bool) -> int:
    """Measured in a new process: a peak cannot be taken back."""
    sizes = [f"--{key}={getattr(arguments, key)}" for key in ("gaussians", "members", "views", "state", "threads")]
    command = [sys.executable, "-m", "benchmarks.fuse", *sizes, "--peak", name, *(["--single"] if single else [])]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def own_peak_bytes(arguments: argparse.Namespace) -> int:
    warm = argparse.Namespace(**{**vars(arguments), "gaussians": 64})
    fusion = fusions(arguments.single)[arguments.peak]
    backwards(fusion, drawn_beliefs(warm, arguments.single))()  # libraries and threads take memory of their own
    run = backwards(fusion, drawn_beliefs(arguments, arguments.single))
    ctypes.CDLL(None).malloc_trim(0)  # what the inputs' making left free would hide a part of the fusion
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status_bytes("VmRSS")
    run()
    return _status_bytes("VmHWM") - before


def _status_bytes(field: str) -> int:
    """Of this process (Linux): the kernel's rusage would begin with the parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def compare(arguments: argparse.Namespace, clock: Callable[[], float], single: bool) -> None:
    beliefs = drawn_beliefs(arguments, single)
    print(f"{'single members' if single else 'full ensemble':24} {'forward ms':>11} {'times':>7} "
          f"{'fwd + bwd ms':>13} {'times':>7} {'peak MiB':>9} {'share':>6}")  # fmt: skip
    dense: tuple[float, float, int] | None = None

    def row(label: str, name: str, fusion: Callable[[list[Belief]], Fused]) -> None:
        nonlocal dense
        forward = milliseconds(without_gradient(lambda: fusion(beliefs)), arguments.seconds, clock)
        both = milliseconds(backwards(fusion, beliefs), arguments.seconds, clock)
        peak = peak_bytes(arguments, name, single)
        dense = dense or (forward, both, peak)
        print(f"{label:24} {forward:11.2f} {dense[0] / forward:7.1f} {both:13.2f} {dense[1] / both:7.1f} "
              f"{peak / 2**20:9.1f} {peak / dense[2]:6.3f}", flush=True)  # fmt: skip

    for name, fusion in fusions(single).items():
        if "native" not in name:
            row(name, name, fusion)
            continue
        for isa in native.available():
            with variant(isa):
                row(f"{name}, {isa}", name, fusion)


def compare_nets(arguments: argparse.Namespace, clock: Callable[[], float]) -> None:
    """The nets of all views, the position's part computed afresh, and with their fusion."""
    torch.manual_seed(0)
    views = [
        ViewEnsemble(POSITION, CODE, members=arguments.members, state=arguments.state) for _ in range(arguments.views)
    ]
    features = torch.randn(arguments.gaussians, POSITION, requires_grad=True)
    codes = [torch.randn(1, CODE) for _ in views]

    def beliefs(member: int | None) -> list[Belief]:
        pairs = zip(views, codes, strict=True)
        return [view(view.position_part(features, member), code, member) for view, code in pairs]

    def step(member: int | None, fused: bool) -> None:
        formed = beliefs(member)
        if fused:
            result = fuse(formed)
            outputs = [result.mean.sum(), result.variance.sum()] if result.variance is not None else []
        else:
            outputs = [x.sum() for x in leaves(formed)]
        torch.autograd.backward(outputs)
        for parameter in (features, *(p for view in views for p in view.parameters())):
            parameter.grad = None

    print(f"{'nets of all views':24} {'forward ms':>11} {'':>7} {'fwd + bwd ms':>13} {'with fusion ms':>15}")
    for label, member in (("full ensemble", None), ("single members", 0)):
        forward = milliseconds(without_gradient(lambda m=member: beliefs(m)), arguments.seconds, clock)
        nets = milliseconds(lambda m=member: step(m, False), arguments.seconds, clock)
        both = milliseconds(lambda m=member: step(m, True), arguments.seconds, clock)
        print(f"{label:24} {forward:11.2f} {'':>7} {nets:13.2f} {both:15.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=5_000)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--state", type=int, default=48)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each number")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of all threads instead of wall time")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--single", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        print(own_peak_bytes(arguments))
        return
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    print(f"{arguments.gaussians} Gaussians, {arguments.members} members, {arguments.views} views, "
          f"state of {arguments.state}, {arguments.threads} threads")  # fmt: skip
    for single in (False, True):
        compare(arguments, clock, single)
    compare_nets(arguments, clock)


if __name__ == "__main__":
    main()
