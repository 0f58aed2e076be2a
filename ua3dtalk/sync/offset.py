"""The stage that finds clips whose sound does not fit the lips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ua3dtalk.subject import FPS, Subject
from ua3dtalk.sync.local import Verdict, embed, judge
from ua3dtalk.sync.net import load_net
from ua3dtalk.sync.picture import draw_offsets
from ua3dtalk.sync.talk import clip_talk, hearing
from ua3dtalk.workflow import atomic, progress, say

TOLERATED = 1.0  # frames
STEP = 2  # decimals of a correction: nobody sees 10 ms, and no measurement of lips knows them
MOST = 120 * FPS  # frames of a clip that are looked at: more would not change the answer


def measure_offsets(
    *,
    subject: Subject,
    offsets: Sequence[float | None],
    net: Path,
    whisper: Path,
    out: Path,
    picture: Path,
    state: str,
) -> None:
    """Measure by how much the sound of each clip has to be moved to fit its lips, and write audio_offset.json.

    A clip whose sound is off by more than one frame, the measurement's own error taken off, is reported in a line with
    the setting that corrects it; so is one in which lips and sound cannot be matched.

    Args:
        subject: clips.json, landmarks.npz and the source clips are read; audio.wav is not.
        offsets: seconds by which the config has each clip's sound moved already.
        net: the local sync net.
        whisper: folder of the Whisper weights.
        out, picture: json, and a png with one curve for each clip.
        state: stored in the result.
    """
    trained, hear = load_net(net), hearing(whisper)
    verdicts, entries = [], []
    for clip, said in progress(list(zip(subject.clips, offsets, strict=True)), "audio_offset"):
        verdict = judge(embed(trained, [clip_talk(subject, clip, said or 0.0, hear, MOST)]))
        verdicts.append((Path(clip.path).name, verdict))
        entries.append(entry(clip.path, said, verdict))
    for number, found in enumerate(entries):
        if found["warning"]:
            say(f"audio_offset: warning: actors.{subject.name}.clips[{number}] {found['path']}: {found['warning']}")
    with atomic(out) as temporary:
        temporary.write_text(json.dumps({"state": state, "clips": entries}, indent=1, allow_nan=False) + "\n")
    draw_offsets(picture, verdicts)


def entry(path: str, said: float | None, verdict: Verdict | None) -> dict[str, Any]:
    """What audio_offset.json holds of one clip; seconds, and null for what could not be measured."""
    known: dict[str, Any] = {"path": path, "configured": said}
    if verdict is None:
        empty = dict.fromkeys(("offset", "offset_error", "confidence", "distance", "beats_shuffled", "correction"))
        return {**known, **empty, "trusted": False, "warning": None}
    offset, error = verdict.figures.offset_frames / FPS, verdict.offset_error / FPS
    off = verdict.trusted and abs(offset) - error > TOLERATED / FPS
    correction = round((said or 0.0) + offset, STEP) if off else None
    return {
        **known,
        "offset": round(offset, 4),
        "offset_error": round(error, 4) if error < float("inf") else None,
        "confidence": round(verdict.figures.confidence, 4),
        "distance": round(verdict.figures.distance, 4),
        "beats_shuffled": verdict.beats_shuffled,
        "trusted": verdict.trusted,
        "correction": correction,
        "warning": _warning(offset, correction, verdict),
    }


def _warning(offset: float, correction: float | None, verdict: Verdict) -> str | None:
    if correction is not None:
        late = "late" if offset < 0 else "early"
        return (
            f"the sound is {abs(offset):.2f} s {late}; if that is not wanted, give this clip "
            f"audio_offset: {correction:g}, or set media.fix_audio_offset: true"
        )
    if verdict.beats_shuffled is not None and not verdict.trusted:
        return "lips and sound cannot be matched: is it the voice of the person who is seen?"
    return None
