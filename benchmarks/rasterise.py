"""How fast the rasterisers are, as ratios measured in one run.

    python benchmarks/rasterise.py [--gaussians 20000] [--size 256] [--channels 3] [--peer module:function]

Times are medians of forward, and of forward + backward, on a head-like shell of Gaussians, projection included. The
last row is the floor of the machine: the arithmetic of the pixels that Gaussians really touch, at the speed of a large
matrix product. A peer is any function with gsplat's signature, for instance one of a checkout on PYTHONPATH. On a
machine with other work, `--threads 1 --cpu-time` counts the processor's time instead of the clock's.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

import torch
from torch import Tensor

from ua3dtalk import native
from ua3dtalk.splat import reference
from ua3dtalk.splat.rasterise import rasterization

RADII = (0.085, 0.12, 0.10)  # of the head, metres
DISTANCE = 0.62
# Floating point operations per pixel and Gaussian, without and per channel (an exponential counts as its polynomial).
FORWARD_WORK, FORWARD_PER_CHANNEL = 26, 2
BACKWARD_WORK, BACKWARD_PER_CHANNEL = 50, 4

Inputs = tuple[Tensor, ...]


def head(n: int, channels: int, size: int) -> Inputs:
    """Flat Gaussians on an ellipsoid, opacities mixed, and a camera before it."""
    g = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=-1)
    means = normals * torch.tensor(RADII) * (1 + 0.02 * torch.randn(n, 1, generator=g))
    # The rotation that takes z to the surface's normal, after a random turn about z.
    outward = torch.nn.functional.normalize(normals / torch.tensor(RADII), dim=-1)
    tilt = torch.stack([1 + outward[:, 2], -outward[:, 1], outward[:, 0], torch.zeros(n)], -1)
    tilt = torch.nn.functional.normalize(tilt + 1e-6, dim=-1)
    half = math.pi * torch.rand(n, generator=g)
    w, x, y, _ = tilt.unbind(-1)
    quats = torch.stack([w * half.cos(), x * half.cos() + y * half.sin(), y * half.cos() - x * half.sin(),
                         w * half.sin()], -1)  # fmt: skip
    spread = torch.exp(0.35 * torch.randn(n, 3, generator=g)) * torch.tensor([1.2, 0.8, 0.25])
    scales = 0.30 / math.sqrt(n) * spread
    opacities = torch.sigmoid(1.5 * torch.randn(n, generator=g) - 0.3)
    viewmat = torch.eye(4)
    viewmat[:3, :3] = reference.rotation_matrices(torch.tensor([math.cos(0.1), 0, math.sin(0.1), 0]))
    viewmat[2, 3] = DISTANCE
    K = torch.tensor([[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]])
    gaussians = (means, quats, scales, opacities, torch.rand(n, channels, generator=g))
    return (*(x.requires_grad_() for x in gaussians), viewmat[None], K[None])


def forward(render: Callable, inputs: Inputs, size: int) -> None:
    with torch.no_grad():
        render(*inputs, size, size)


def forward_backward(render: Callable, inputs: Inputs, size: int, upstream: Tensor) -> None:
    renders, alphas, _ = render(*inputs, size, size)
    torch.autograd.backward([renders, alphas], [upstream, upstream[..., :1]])
    for x in inputs:
        x.grad = None


def milliseconds(run: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """Median over as many runs as fit into the time, at least three; two more before them warm up."""
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = clock()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - start)
    return 1e3 * median(times[2:])


@contextmanager
def variant(isa: str) -> Iterator[None]:
    before = os.environ.pop("UA3DTALK_ISA", None)
    os.environ["UA3DTALK_ISA"] = isa
    yield
    os.environ.pop("UA3DTALK_ISA")
    if before is not None:
        os.environ["UA3DTALK_ISA"] = before


def touched_pairs(inputs: Inputs, size: int) -> int:
    """Pairs of pixel and Gaussian that gsplat's rules add up: alpha at least 1/255, pixel not yet full."""
    means, quats, scales, opacities, _, viewmats, Ks = (x.detach() for x in inputs)
    p = reference.project(
        means, quats, scales, opacities, viewmats, Ks, size, size, near_plane=0.01, far_plane=1e10, eps2d=0.3
    )
    total = 0
    original = reference.weights_of

    def counting(alphas: Tensor) -> Tensor:
        nonlocal total
        weights = original(alphas)
        total += int((weights > 0).sum())
        return weights

    reference.weights_of = counting
    try:
        reference.render(p, opacities, means[:, :0], size, size, with_depth=False, absgrad=False)
    finally:
        reference.weights_of = original
    return total


def peak_flops(clock: Callable[[], float]) -> float:
    """Floating point operations per second of a large matrix product."""
    a = torch.rand(1024, 1024)
    return 2 * 1024**3 / (1e-3 * milliseconds(lambda: a @ a, 0.5, clock))


def peer_function(name: str) -> Callable:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each number")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of all threads instead of wall time")
    parser.add_argument("--peer", action="append", default=[], help="module:function with gsplat's signature")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    size, inputs = arguments.size, head(arguments.gaussians, arguments.channels, arguments.size)
    upstream = torch.randn(1, size, size, arguments.channels, generator=torch.Generator().manual_seed(1))
    rows: dict[str, tuple[float, float]] = {}

    def measure(name: str, render: Callable, device: str = "cpu") -> None:
        there = tuple(x.detach().to(device).requires_grad_(x.requires_grad) for x in inputs)
        rows[name] = (
            milliseconds(partial(forward, render, there, size), arguments.seconds, clock),
            milliseconds(partial(forward_backward, render, there, size, upstream.to(device)), arguments.seconds, clock),
        )

    for isa in native.available() if native.is_available() else ():
        with variant(isa):
            measure(f"native, {isa}", partial(rasterization, backend="native"))
    measure("reference", partial(rasterization, backend="reference"))
    if torch.cuda.is_available():
        measure("gsplat (CUDA)", partial(rasterization, backend="gsplat"), "cuda")
    for name in arguments.peer:
        measure(name, peer_function(name))
    pairs, speed = touched_pairs(inputs, size), peak_flops(clock)
    first = pairs * (FORWARD_WORK + FORWARD_PER_CHANNEL * arguments.channels) / speed
    second = pairs * (BACKWARD_WORK + BACKWARD_PER_CHANNEL * arguments.channels) / speed
    rows["arithmetic floor"] = (1e3 * first, 1e3 * (first + second))

    best = [min(row[i] for name, row in rows.items() if name != "arithmetic floor") for i in range(2)]
    print(f"{arguments.gaussians} Gaussians, {size} x {size} px, {arguments.channels} channels, "
          f"{arguments.threads} threads, {pairs / 1e6:.2f} M pairs")  # fmt: skip
    print(f"{'':20} {'forward ms':>11} {'times best':>11} {'fwd + bwd ms':>13} {'times best':>11}")
    for name, (fwd, both) in rows.items():
        print(f"{name:20} {fwd:11.2f} {fwd / best[0]:11.2f} {both:13.2f} {both / best[1]:11.2f}")


if __name__ == "__main__":
    main()
