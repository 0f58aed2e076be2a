"""The stage: clips that may be learned from in, the local sync net out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ua3dtalk.errors import DataError
from ua3dtalk.face.basis import expression_basis
from ua3dtalk.reading import Field, floats, read_npz, reading, texts
from ua3dtalk.settings import SyncSettings
from ua3dtalk.subject import SAMPLES_PER_FRAME, TOKENS_PER_FRAME, Subject
from ua3dtalk.sync.distances import SyncFigures
from ua3dtalk.sync.examples import PIECE, SPEEDS
from ua3dtalk.sync.local import Verdict, embed, judge
from ua3dtalk.sync.net import save_net
from ua3dtalk.sync.picture import draw_training
from ua3dtalk.sync.ridge import Ridge
from ua3dtalk.sync.talk import Hear, Talk, clip_talk, hearing, talk
from ua3dtalk.sync.train import train
from ua3dtalk.workflow import say

SEED = 0  # not the config's: runs with other seeds are measured by the same net
SHORTEST = int(np.ceil(PIECE * SPEEDS[0])) + 1  # frames of a clip that gives examples at all


def train_local(
    *,
    subjects: Sequence[Subject],
    offsets: Sequence[Sequence[float | None]],
    rehearsal: Path | None,
    whisper: Path,
    out: Path,
    picture: Path,
    settings: SyncSettings,
    state: str,
) -> None:
    """Train the local sync net on the training frames of actors and write it as safetensors.

    Args:
        subjects: clips.json, landmarks.npz and the source clips are read; no held-out frame is learned from.
        offsets: seconds by which the sound of each actor's clips is moved; None counts as 0.
        rehearsal: rehearsal.npz, more speech of the built-in actor.
        whisper: folder of the Whisper weights.
        out: the net; its metadata has `state`, `trained_on` and `held_out`, what it says of the clips' held-out parts.
        picture: png with the loss and the curves over offsets of the held-out parts.
    Raises:
        DataError: no clip is long enough.
    """
    hear = hearing(whisper)
    learned, held = [], []
    for subject, moves in zip(subjects, offsets, strict=True):
        for clip, move in zip(subject.clips, moves, strict=True):
            whole = clip_talk(subject, clip, move or 0.0, hear)
            train_frames = clip.test_first - clip.first
            learned.append(clip_talk(subject, clip, move or 0.0, hear, train_frames))
            held.append((f"{subject.name} {Path(clip.path).stem}", part(whole, train_frames)))
    learned = [each for each in learned if len(each) >= SHORTEST and each.usable.mean() > 0.5]
    if rehearsal is not None:
        learned += rehearsed(rehearsal, hear)
    if not learned:
        raise DataError(f"sync.train_on: no clip has {SHORTEST / 25:.0f} s of a face to learn from: name longer clips")
    net, losses = train(learned, settings.iterations, SEED)
    opponent = Ridge(learned)
    verdicts = {name: judge(embed(net, [each])) for name, each in held}
    simple = {name: opponent.measure(each) for name, each in held if len(each) > PIECE // 3}
    found = {name: _said(verdict, simple.get(name)) for name, verdict in verdicts.items() if verdict}
    for name, figures in found.items():
        say(f"train_sync: held-out part of {name}: {figures}")
    draw_training(picture, losses, {name: verdict for name, verdict in verdicts.items() if verdict})
    names = ", ".join(subject.name for subject in subjects)
    save_net(net, out, {"state": state, "trained_on": names, "held_out": json.dumps(found)})


def part(whole: Talk, first: int) -> Talk:
    """A stretch from frame `first` on."""
    return Talk(whole.lips[first:], whole.tokens[first * TOKENS_PER_FRAME :], whole.usable[first:])


def rehearsed(path: Path, hear: Hear) -> list[Talk]:
    """Rehearsals as talk: the expression basis makes landmarks of their blendshapes."""
    wanted = {"lengths": Field(("V",), "iu"), "blendshapes": floats("T", "E"), "sound": Field(("S",), "i")}
    data = read_npz(path, {**wanted, "names": texts("E")}, {})
    with reading(path):
        ends = np.cumsum(data["lengths"])[:-1]
        weights = np.split(data["blendshapes"], ends)
        sounds = np.split(data["sound"].astype(np.float32) / 32768, ends * SAMPLES_PER_FRAME)
        columns = basis_columns(data["names"].tolist())
    basis = expression_basis()
    found = []
    for weight, sound in zip(weights, sounds, strict=True):
        points = basis.canonical + np.einsum("tk,kpd->tpd", weight[:, columns[0]], basis.shapes[columns[1]])
        found.append(talk(points, hear(sound)))
    return found


def basis_columns(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Columns of blendshapes that the basis has, and where it has them."""
    known = expression_basis().names
    both = [name for name in names if name in known]
    return [list(names).index(name) for name in both], [known.index(name) for name in both]


def _said(verdict: Verdict, opponent: SyncFigures | None) -> dict[str, float]:
    """Figures of the net and, of the opponent that only reads mouth opening, the offset."""
    figures = {
        "confidence": round(verdict.figures.confidence, 3),
        "distance": round(verdict.figures.distance, 3),
        "offset_ms": round(verdict.figures.offset_ms, 1),
    }
    return figures | ({"ridge_offset_ms": round(opponent.offset_ms, 1)} if opponent else {})
