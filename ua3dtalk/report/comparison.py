"""Methods compared over actors and seeds: means, spread over seeds, and paired intervals of the differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.metrics.ablation import TRAINING, mean_of, read_run, spread_of
from ua3dtalk.report.bootstrap import Resampled, interval, resample
from ua3dtalk.report.figures import COUNTS, NO_FIGURES, is_end, reading_of
from ua3dtalk.report.series import FrameKey, FrameTable, read_frames
from ua3dtalk.settings import CompareSettings

OPPONENTS = ("static_mean", "nearest_pose", "nearest_audio")
CENTRED = 1e-3  # a figure is a mean over frames if the frames' mean is so near to it, relative to its size

Values = dict[str, dict[int, float]]  # figure -> seed -> value


@dataclass(frozen=True)
class Run:
    """One trained head and its figures."""

    path: Path
    document: Mapping[str, Any]

    @property
    def actor(self) -> str:
        return str(self.document["actor"])

    @property
    def method(self) -> str:
        return str(self.document["method"])

    @property
    def seed(self) -> int:
        return int(self.document["seed"])

    @cached_property
    def frames(self) -> FrameTable | None:
        """Its per-frame figures, where they lie beside metrics.json."""
        path = self.path.with_name("metrics_frames.csv")
        return read_frames(path) if path.exists() else None


@dataclass(frozen=True)
class Row:
    """What a row of the table shows: the truth, an opponent, or what a method rendered.

    Attributes:
        name: as in metrics.json; method: whose head it is, empty where no head takes part.
        variant: 0 for the first row of that name, 1 for the second (modelled blinks).
        driven_by: joined by +.
    """

    name: str
    method: str
    variant: int
    driven_by: str

    @property
    def kind(self) -> str:
        return {"truth": "truth", "ours": "ours"}.get(self.name, "opponent")


@dataclass(frozen=True)
class Part:
    """A region of the picture, before or after a codec."""

    region: str
    codec: str


def comparison(runs: Sequence[Run], settings: CompareSettings, state: str) -> dict[str, Any]:
    """All tables as plain values, those of single actors first; the last of each part is over all actors.

    Differences are paired by seed and are against the first method. Their intervals come from frames, averaged over
    seeds and paired, so they tell what other frames of these clips would have given with these heads; what other
    seeds would have given is told by the spread.
    """
    actors = list(dict.fromkeys(run.actor for run in runs))
    methods = list(dict.fromkeys(run.method for run in runs))
    parts = list(dict.fromkeys(part_of(row) for run in runs for row in run.document["rows"]))
    parts.sort(key=lambda part: (part.region != "face", part.codec != "none"))
    tables = []
    for part in parts:
        found = {actor: _of_actor([run for run in runs if run.actor == actor], methods, part) for actor in actors}
        drawn = {
            actor: _resampled([run for run in runs if run.actor == actor], found[actor], part, settings, number)
            for number, actor in enumerate(actors)
        }
        tables += [_table(actor, part, found[actor], [drawn[actor]], methods[0]) for actor in actors]
        if len(actors) > 1:
            tables.append(_table(None, part, _over(list(found.values())), list(drawn.values()), methods[0]))
    return {
        "state": state,
        "actors": actors,
        "methods": methods,
        "seeds": sorted({run.seed for run in runs}),
        "budgets": sorted({str(run.document["budget"]) for run in runs}),
        "frames": {run.actor: run.document["frames"] for run in runs},
        "bootstrap": {
            "what": "paired difference to the first method over frames, mean over seeds; circular blocks within clips",
            "block_frames": settings.block_frames,
            "resamples": settings.resamples,
            "level": 0.95,
        },
        "tables": tables,
    }


def part_of(row: Mapping[str, Any]) -> Part:
    return Part(str(row["region"]), str(row.get("codec", "none")))


def load_runs(paths: Iterable[Path]) -> list[Run]:
    """The metrics.json of every run."""
    return [Run(path, read_run(path)) for path in paths]


def _of_actor(runs: Sequence[Run], methods: Sequence[str], part: Part) -> dict[Row, Values]:
    """Rows of one actor in the order in which they are shown: truth, opponents, methods."""
    found: dict[Row, Values] = {}
    for run in runs:
        for row, entry in _rows_of(run, part):
            if row.name == "static_mean" and run.method != methods[0]:
                continue
            values = found.setdefault(row, {})
            for key, value in _figures(run, entry):
                values.setdefault(key, {})[run.seed] = value

    def place(row: Row) -> tuple[int, int, int]:
        order = ("truth", *OPPONENTS, "ours")
        method = methods.index(row.method) if row.method in methods else 0
        return (order.index(row.name) if row.name in order else len(order), row.variant, method)

    return {row: found[row] for row in sorted(found, key=place)}


def _rows_of(run: Run, part: Part) -> Iterable[tuple[Row, Mapping[str, Any]]]:
    """The entries of a run under one part, with what they show."""
    seen: dict[str, int] = {}
    for entry in run.document["rows"]:
        if part_of(entry) == part:
            name = str(entry["name"])
            variant = seen[name] = seen.get(name, -1) + 1
            method = run.method if name in ("ours", "static_mean") else ""
            yield Row(name, method, variant, "+".join(entry.get("driven_by", ()))), entry


def _figures(run: Run, entry: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    """Figures of an entry that are finite numbers; what the head rendered also has what that cost."""
    for key, value in entry.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key not in NO_FIGURES and not is_end(key, entry) and number and math.isfinite(value):
            yield key, float(value)
    if entry["name"] == "ours":
        speed = run.document.get("speed", {}).get("frames_per_second")
        stages = run.document.get("cost", {}).get("stages", {})
        seconds = [stages[stage]["seconds"] for stage in TRAINING if stage in stages]
        yield from (("training_seconds", float(sum(seconds))) for _ in seconds[:1])
        yield from (("frames_per_second", float(value)) for value in [speed] if value is not None)


def _over(actors: Sequence[dict[Row, Values]]) -> dict[Row, Values]:
    """Means over actors, seed by seed; a figure that an actor does not have is left out."""
    pooled: dict[Row, Values] = {}
    for row in actors[0]:
        given = [values[row] for values in actors if row in values]
        if len(given) < len(actors):
            continue
        keys = [key for key in given[0] if all(key in values for values in given)]
        pooled[row] = {}
        for key in keys:
            seeds = set.intersection(*(set(values[key]) for values in given))
            pooled[row][key] = {seed: float(np.mean([v[key][seed] for v in given])) for seed in sorted(seeds)}
    return pooled


def _resampled(
    runs: Sequence[Run], found: Mapping[Row, Values], part: Part, settings: CompareSettings, number: int
) -> dict[tuple[Row, str], Resampled]:
    """Of each method's row and figure that is a mean over frames: its resampled difference to the first method."""
    methods = list(dict.fromkeys(run.method for run in runs))
    stretches = runs[0].document.get("test_frames", ())
    result: dict[tuple[Row, str], Resampled] = {}
    for row, values in found.items():
        against = counterpart(row, found, methods[0])
        if against is None:
            continue
        for key in values:
            if reading_of(key).group == COUNTS or key not in found[against]:
                continue
            seeds = sorted(set(values[key]) & set(found[against][key]))
            ours, theirs = (_per_frame(runs, one, key, part, seeds, stretches) for one in (row, against))
            if ours is None or theirs is None:
                continue
            if not (_centred(ours, values[key], seeds) and _centred(theirs, found[against][key], seeds)):
                continue
            clips = [a - b for a, b in zip(ours, theirs, strict=True)]
            rng = np.random.default_rng([0, number])
            drawn = resample(clips, settings.block_frames, settings.resamples, rng)
            if drawn is not None:
                result[row, key] = drawn
    return result


def counterpart(row: Row, rows: Iterable[Row], first: str) -> Row | None:
    """What the first method rendered in the same way; None for all other rows and for the first method itself."""
    if row.name != "ours" or row.method == first:
        return None
    alike = (one for one in rows if (one.name, one.variant, one.method) == ("ours", row.variant, first))
    return next(alike, None)


def _per_frame(
    runs: Sequence[Run], row: Row, key: str, part: Part, seeds: Sequence[int], stretches: Sequence[Sequence[int]]
) -> list[np.ndarray] | None:
    """A figure of each frame, mean over seeds, clip by clip; None where a run has none."""
    tables = [run.frames for run in runs if run.method == row.method and run.seed in seeds]
    frame_key = FrameKey(row.name, row.driven_by, part.region, part.codec)
    if not tables or any(table is None or key not in table.rows.get(frame_key, {}) for table in tables):
        return None
    return [
        np.mean([table.series(frame_key, key, range(a, b + 1)) for table in tables if table is not None], axis=0)
        for a, b in stretches
    ]


def _centred(clips: Sequence[np.ndarray], values: Mapping[int, float], seeds: Sequence[int]) -> bool:
    """Whether the figure is the mean of its frames: a root or a correlation has frames, too, but no such interval."""
    known = np.concatenate([clip[np.isfinite(clip)] for clip in clips]) if clips else np.zeros(0)
    reported = float(np.mean([values[seed] for seed in seeds]))
    return len(known) > 0 and abs(float(known.mean()) - reported) <= CENTRED * max(abs(reported), 1e-9)


def _table(
    actor: str | None,
    part: Part,
    found: Mapping[Row, Values],
    drawn: Sequence[Mapping[tuple[Row, str], Resampled]],
    first: str,
) -> dict[str, Any]:
    rows = []
    for row, values in found.items():
        against = counterpart(row, found, first)
        theirs = found[against] if against else {}
        rows.append(
            {
                "name": row.name,
                "method": row.method,
                "variant": row.variant,
                "driven_by": row.driven_by.split("+") if row.driven_by else [],
                "figures": {
                    key: _figure(row, seeds, theirs.get(key, {}), [d.get((row, key)) for d in drawn])
                    for key, seeds in values.items()
                },
            }
        )
    return {"actor": actor, "region": part.region, "codec": part.codec, "rows": rows}


def _figure(
    row: Row, ours: Mapping[int, float], theirs: Mapping[int, float], drawn: Sequence[Resampled | None]
) -> dict[str, Any]:
    """Mean and, where a head takes part, spread over seeds; against the first method the difference, paired by seed,
    and its interval."""
    values = list(ours.values())
    found: dict[str, Any] = {"mean": mean_of(values), "spread": spread_of(values) if row.method else None}
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if differences:
        found["difference"] = mean_of(differences)
        found["difference_spread"] = spread_of(differences)
        known = [part for part in drawn if part is not None]
        if known and len(known) == len(drawn):
            found["interval"] = [float(f"{end:.6g}") for end in interval(known)]
    return found
