"""Bad inputs for every reader of foreign files: what each of them answers, how long it takes, how much memory.

    python -m benchmarks.fuzz [--count 2000] [--reader NAME ...] [--seed 0] [--out build/fuzz]

Each reader runs in a process of its own, 20 s and 2 GB an input. A finding is a traceback, a crash, a hang, growth
beyond that, or an answer that is no line; its input is kept under --out. Ends with 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fuzzing.targets import TARGETS
from fuzzing.watch import remove, save_findings, watch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="inputs of each reader (%(default)s)")
    parser.add_argument("--reader", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for inputs of findings (%(default)s)")
    options = parser.parse_args()
    remove(options.out)
    print("| reader | inputs | accepted | refused in our words | findings | slowest, ms | memory, MB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    found = False
    for name in options.reader:
        outcome = watch([name], options.count, options.seed)[0]
        cells = [name, outcome.inputs, outcome.accepted, outcome.refused, len(outcome.findings)]
        cells += [f"{outcome.slowest:.0f}", f"{outcome.grown:.0f}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        paths = save_findings(outcome, options.out)
        for path, finding in zip(paths, outcome.findings, strict=True):
            last = (finding.what.strip().splitlines() or [""])[-1]
            print(f"{path}: {finding.kind}: {last[:200]}", file=sys.stderr)
        found |= bool(paths) or outcome.inputs < options.count
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
