"""The table of a run of faults, as markdown."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.faults.inject import FAULTS

TRAININGS = ("train_mouth", "train_face", "train_fuse")


def markdown(cases: list[dict[str, Any]]) -> str:
    """A row for each fault: stages survived, seconds lost, what was read; then whatever was not survived, and why."""
    lines = [
        "| fault | stages survived | work lost at most, s: trainings / other stages | what the user reads |",
        "|---|---|---|---|",
    ]
    for name, fault in FAULTS.items():
        own = [case for case in cases if case["fault"] == name]
        tried = [case for case in own if case["survived"] is not None]
        if not own:
            continue
        survived = [case for case in tried if case["survived"]]
        said = next((case["lines"][0] for case in survived if case["lines"]), "nothing: it is made again")
        lost = " / ".join(_most(survived, training) for training in (True, False))
        lines.append(f"| {fault.title} | {len(survived)} of {len(tried)}{_skipped(own)} | {lost} | {_quoted(said)} |")
    total = [case for case in cases if case["survived"] is not None]
    lines += ["", f"{sum(case['survived'] for case in total)} of {len(total)} cases survived."]
    lines += [
        f"- {case['stage']}, {case['fault']}: {' '.join(str(case.get('why')).split())[-1500:]}"
        for case in cases
        if not case["survived"]
    ]
    return "\n".join(lines)


def _most(cases: list[dict[str, Any]], training: bool) -> str:
    lost = [case["lost"] for case in cases if (case["stage"] in TRAININGS) == training]
    return f"{max(lost):.1f}" if lost and max(lost) else "-"


def _skipped(cases: list[dict[str, Any]]) -> str:
    number = sum(case["survived"] is None for case in cases)
    return f" ({number} skipped)" if number else ""


def _quoted(line: str) -> str:
    return line if line.startswith("nothing") else f"`{re.sub(r'[|`]', '', line)}`"
