"""Inject every fault into every stage, run again, and compare with a run that nothing happened to.

    python -m benchmarks.faults                                    # the whole table
    python -m benchmarks.faults --stage train_face --fault kill_job
    python -m benchmarks.faults --folder faults                    # goes on with the cases that are not done yet

Needs a user who may mount for two of the faults. Ends with 1 if anything was not survived.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.faults.folder import METRICS, Folder, Reference, Stage
from benchmarks.faults.inject import FAULTS, Case, Missed, NotSurvived
from benchmarks.faults.table import markdown

ROOT = Path(__file__).resolve().parents[2]
ATTEMPTS = (1.0, 0.4, 0.1, 0.0)  # shares of the chosen moment: a stage that ended too soon is tried earlier
TO_THE_FIGURES = "train_fuse"  # the stage from which every rerun goes on to metrics.json


def survive(reference: Reference, place: Path, stage: Stage, fault: str) -> dict[str, Any]:
    """One case: what happened, ready to be written down."""
    begin = time.monotonic()
    found: dict[str, Any] = {"stage": stage.name, "fault": fault, "survived": False, "lines": [], "lost": 0.0}
    try:
        for attempt, early in enumerate(ATTEMPTS):
            folder = reference.copy(place)
            folder.forget(*reference.below(stage))
            draw = random.Random(f"{stage.name} {fault} {attempt}")
            try:
                seen = FAULTS[fault].inject(Case(reference, folder, stage, draw, early))
                break
            except Missed:
                continue
        else:
            raise NotSurvived("the stage was always over before the fault came")
        found |= {"lines": seen.lines, "lost": round(seen.lost, 2), **run_again(reference, folder, stage, fault)}
        found["lines"] = seen.lines or found["lines"]
    except NotSurvived as error:
        found["why"] = str(error)
    except PermissionError as error:
        found |= {"survived": None, "why": str(error)}
    return found | {"seconds": round(time.monotonic() - begin, 1)}


def run_again(reference: Reference, folder: Folder, stage: Stage, fault: str) -> dict[str, Any]:
    """The same command once more; where outputs are as they should be, so are the figures, which one stage proves."""
    whole = stage.name == TO_THE_FIGURES
    targets = [*stage.outputs, *([METRICS] if whole else [])]
    again = folder.run(*targets)
    if again.code:
        raise NotSurvived(f"the second run failed: {again.error[-1500:]}")
    if "Traceback" in again.error or len(again.lines) != (1 if fault == "kill_driver" else 0):
        raise NotSurvived(f"the second run said {again.lines}: {again.error[-1500:]}")
    stages = reference.below(stage) if whole else [stage]
    others = [
        name
        for each in stages
        if each.name not in ("report", "summary")
        for name in reference.differences(folder, each)
    ]
    if others:
        raise NotSurvived(f"other results: {', '.join(others)}")
    left = [str(path) for path in (folder.path / "results").rglob(".*") if path.is_file() and _is_left(path)]
    if left:
        raise NotSurvived(f"left behind: {', '.join(left)}")
    return {"survived": True, "lines": again.lines, "to_metrics": whole}


def _is_left(path: Path) -> bool:
    checkpoint = ".checkpoint" in path.suffixes  # it stays until the next stage
    return path.name not in (".snakemake_timestamp", ".digests.json") and "logs" not in path.parts and not checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", action="append", help="only this stage; may be given again")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this fault; may be given again")
    parser.add_argument("--folder", type=Path, help="where to work and to keep faults.jsonl; a folder of /tmp if unset")
    parser.add_argument("--again", action="store_true", help="also the cases that faults.jsonl holds as survived")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="faults."))).resolve()
    reference = Reference(folder / "reference")
    reference.make(ROOT)
    memory = folder / "faults.jsonl"
    known = [json.loads(line) for line in memory.read_text().splitlines()] if memory.exists() else []
    done = {(case["stage"], case["fault"]): case for case in known}
    wanted = [
        (stage, fault)
        for stage in reference.stages.values()
        for fault in FAULTS
        if FAULTS[fault].applies(stage)
        and (options.stage is None or stage.name in options.stage)
        and (options.fault is None or fault in options.fault)
    ]
    wanted.sort(key=lambda case: case[0].seconds)
    todo = [case for case in wanted if options.again or not _survived(done, *case)]
    print(f"{len(todo)} of {len(wanted)} cases in {folder}", file=sys.stderr, flush=True)
    lock, places = threading.Lock(), [folder / f"case{number}" for number in range(options.jobs)]

    def work(case: tuple[Stage, str]) -> None:
        stage, fault = case
        with lock:
            place = places.pop()
        found = survive(reference, place, stage, fault)
        with lock:
            places.append(place)
            done[stage.name, fault] = found
            with memory.open("a") as file:
                file.write(json.dumps(found) + "\n")
            said = (found["lines"] or [""])[0] if found["survived"] else found["why"]
            print(f"{stage.name} {fault}: survived {found['survived']}, {found['seconds']} s: {said}", file=sys.stderr)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, todo))
    cases = [done[stage.name, fault] for stage, fault in wanted]
    print(markdown(cases))
    sys.exit(any(case["survived"] is False for case in cases))


def _survived(done: dict[tuple[str, str], dict[str, Any]], stage: Stage, fault: str) -> bool:
    return bool(done.get((stage.name, fault), {}).get("survived"))


if __name__ == "__main__":
    main()
