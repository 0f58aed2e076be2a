"""The command `ua3dtalk`: what is done outside the pipeline.

ua3dtalk evaluate generated.mp4 truth.mp4 --out metrics.json
ua3dtalk say May speech.wav --out may.mp4 --emotion happy:0.8
ua3dtalk perform May curves.csv --out may.mp4
ua3dtalk curves May speech.wav --out may.csv
ua3dtalk export May --out may.ply
ua3dtalk view May --voice speech.wav
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ua3dtalk.errors import InputError, UserError
from ua3dtalk.workflow import SYNC_NET, one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ua3dtalk.rendering.say import FilmOptions

REGIONS = {"both": ("frame", "face"), "frame": ("frame",), "face": ("face",)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; a mistake of the user's ends as one line."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (UserError, OSError, MemoryError, KeyboardInterrupt) as error:
        print(f"ua3dtalk: error: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """All subcommands."""
    root = argparse.ArgumentParser(
        prog="ua3dtalk",
        description="Outside the pipeline: measure any two videos, let a trained head speak, export it.",
    )
    commands = root.add_subparsers(required=True, metavar="command")
    evaluate = commands.add_parser("evaluate", help="figures of a generated video against the truth")
    evaluate.add_argument("generated", type=Path, help="what was made")
    evaluate.add_argument("truth", type=Path, help="what it should be")
    evaluate.add_argument("--out", type=Path, default=Path("metrics.json"), help="where the figures go (%(default)s)")
    evaluate.add_argument("--region", choices=REGIONS, default="both", help="whole frame, face crop or %(default)s")
    evaluate.add_argument("--figures", help="groups, joined by commas; all unless given")
    evaluate.add_argument("--strict", action="store_true", help="refuse other rates, sizes and lengths")
    evaluate.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 4), help="(%(default)s)")
    evaluate.add_argument("--sync-net", type=Path, help="the local sync net; results/.shared's unless given")
    evaluate.set_defaults(run=_evaluate)
    say = commands.add_parser("say", help="let a trained actor say any sound")
    _add_voice(say)
    _add_film(say)
    say.set_defaults(run=_say)
    perform = commands.add_parser("perform", help="let a table of blendshape curves drive a trained actor")
    perform.add_argument("actor", help="name under results/, or a folder")
    perform.add_argument("curves", type=Path, help=".csv with ARKit's names, 25 rows a second or a column time")
    perform.add_argument("--voice", type=Path, help="sound that is played with it")
    _add_film(perform)
    perform.set_defaults(run=_perform)
    curves = commands.add_parser("curves", help="write the blendshape curves that a sound drives a trained actor by")
    _add_voice(curves)
    curves.add_argument("--out", type=Path, required=True, help="the table, .csv with ARKit's 52 names")
    curves.add_argument("--seed", type=int, default=0, help="of blinks and brows (%(default)s)")
    curves.set_defaults(run=_curves)
    export = commands.add_parser("export", help="write a trained head for viewers of Gaussians")
    export.add_argument("actor", help="name under results/, or a folder")
    export.add_argument("--out", type=Path, required=True, help="the head at rest, .ply")
    export.set_defaults(run=_export)
    view = commands.add_parser("view", help="show a trained actor in a browser, from all sides")
    view.add_argument("actor", help="name under results/, or a folder")
    view.add_argument("--voice", type=Path, help="any file with sound; silence unless given")
    view.add_argument("--out", type=Path, help="write one page, .html, that needs no server")
    view.add_argument("--host", default="127.0.0.1", help="where it listens (%(default)s: this computer alone)")
    view.add_argument("--port", type=int, default=8765, help="(%(default)s; 0: any)")
    view.add_argument("--no-browser", dest="browser", action="store_false", help="open none")
    view.add_argument("--pose", default="wander", help="head motion: %(default)s, replay or still")
    _add_fast(view)
    view.add_argument("--longest", type=float, default=600.0, help="seconds that a voice may last (%(default)g)")
    view.add_argument("--seed", type=int, default=0, help="of blinks, brows and head motion (%(default)s)")
    view.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    view.set_defaults(run=_view)
    return root


def _add_voice(command: argparse.ArgumentParser) -> None:
    command.add_argument("actor", help="name under results/, or a folder")
    command.add_argument("voice", type=Path, help="any file with sound")
    command.add_argument(
        "--emotion",
        help="label:strength, 0..1.5, several joined by commas, a .yaml of key frames, or a clip whose face shows it; "
        "unless given the one that is heard",
    )
    command.add_argument("--style", help="a clip whose manner of speaking is taken over, clip:strength from 0 to 1.5")


def _add_film(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, required=True, help="the film, .mp4, the moving head, .glb, or a folder for pictures"
    )
    command.add_argument(
        "--pose", default="wander", help="head motion: %(default)s, replay, still, or a clip whose it is"
    )
    command.add_argument("--camera", default="still", help="%(default)s, orbit, orbit:degrees, or yaw,pitch in degrees")
    _add_fast(command)
    command.add_argument("--uncertainty", type=Path, help="another film, which shows where the head is unsure")
    command.add_argument("--seed", type=int, default=0, help="of blinks, brows and head motion (%(default)s)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _add_fast(command: argparse.ArgumentParser) -> None:
    command.add_argument("--fast", action="store_true", help="one net for each view in place of its ensemble")


def _say(options: argparse.Namespace) -> None:
    from ua3dtalk.rendering.say import say

    say(_film(options), options.voice, options.emotion, options.style)


def _perform(options: argparse.Namespace) -> None:
    from ua3dtalk.rendering.say import perform

    perform(_film(options), options.curves, options.voice)


def _curves(options: argparse.Namespace) -> None:
    from ua3dtalk.rendering.say import voice_curves

    voice_curves(_film(options), options.voice, options.emotion, options.style)


def _film(options: argparse.Namespace) -> FilmOptions:
    """What a command knows of the film's options; the rest is as usual."""
    from ua3dtalk.rendering.say import FilmOptions

    return FilmOptions(**_known(options, FilmOptions))


def _known(options: argparse.Namespace, kind: type[DataclassInstance]) -> dict[str, Any]:
    """Those options that a class of options has a field for."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(options).items() if name in names}


def _export(options: argparse.Namespace) -> None:
    from ua3dtalk.rendering.aside import from_aside
    from ua3dtalk.rendering.head import load_head
    from ua3dtalk.rendering.say import open_actor
    from ua3dtalk.splat.cloud import Cloud
    from ua3dtalk.splat.ply import save_ply

    if options.out.suffix.lower() != ".ply":
        raise InputError(f"--out {options.out}: a cloud is written as .ply; name it so")
    subject = open_actor(options.actor)
    head = from_aside(load_head(subject.path("model/fused.safetensors")), subject)
    save_ply(Cloud.joined([head.face.cloud, head.mouth.cloud]), options.out)


def _view(options: argparse.Namespace) -> None:
    from ua3dtalk.viewer.view import ViewOptions, view

    view(ViewOptions(**_known(options, ViewOptions)))


def _evaluate(options: argparse.Namespace) -> None:
    # Before torch is loaded, which reads them once; threads that wait sleep soon, for the sake of neighbours.
    os.environ["OMP_NUM_THREADS"] = str(max(options.threads, 1))
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from ua3dtalk.metrics.evaluate import GROUPS, evaluate

    groups = tuple(options.figures.split(",")) if options.figures else GROUPS
    if unknown := [name for name in groups if name not in GROUPS]:
        raise InputError(f"--figures: {unknown[0]!r} is no group of figures: choose of {', '.join(GROUPS)}")
    result = evaluate(
        generated=options.generated,
        truth=options.truth,
        out=options.out,
        regions=REGIONS[options.region],
        groups=groups,
        strict=options.strict,
        workers=max(options.threads, 1),
        sync_net=options.sync_net or SYNC_NET,
    )
    for note in result["notes"]:
        print(f"ua3dtalk: note: {note}", file=sys.stderr)
    print(table(result))


def table(result: dict[str, object]) -> str:
    """The figures of the generated video as lines: one for each, one column for each region."""
    rows = [row for row in result["rows"] if row["name"] == "generated"]  # type: ignore[attr-defined]
    names = dict.fromkeys(key for row in rows for key in row if key not in ("name", "region", "codec", "driven_by"))
    width = max((len(name) for name in names), default=0)
    head = f"{'':{width}}  " + "  ".join(f"{row['region']:>10}" for row in rows)
    lines = [f"{name:{width}}  " + "  ".join(f"{_shown(row.get(name)):>10}" for row in rows) for name in names]
    return "\n".join([head, *lines])


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.5g}"


if __name__ == "__main__":
    sys.exit(main())
