"""The stage that measures cross-driving: no truth exists, so the actor's own training frames say what is usual."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ua3dtalk.face.landmarker import FaceLandmarker
from ua3dtalk.media.frames import frames_at
from ua3dtalk.metrics.blinks import eye_closure, find_blinks
from ua3dtalk.metrics.cross_picture import draw_cross
from ua3dtalk.metrics.detect import Faces, settle
from ua3dtalk.metrics.figures import evenly
from ua3dtalk.metrics.identity import NAME as IDENTITY
from ua3dtalk.metrics.identity import IdentityNetwork, identity_similarity, vectors_of
from ua3dtalk.metrics.image import crop, face_squares
from ua3dtalk.metrics.lips import mouth_opening
from ua3dtalk.metrics.scene import Figures, rounded
from ua3dtalk.metrics.shake import jitter, root_mean_square
from ua3dtalk.reading import Field, floats, map_npy, read_json, read_npz, reading
from ua3dtalk.rendering.cross import FRAMES, HEARD, SOUND, VIDEO
from ua3dtalk.rendering.uncertainty import DEVIATION
from ua3dtalk.subject import FPS, SAMPLES_PER_FRAME, Subject
from ua3dtalk.sync.figures import local_figures, speech_of
from ua3dtalk.sync.net import load_net
from ua3dtalk.sync.talk import hearing
from ua3dtalk.workflow import atomic, progress

SILENT = 0.1  # probability of speech under which nobody speaks, as long as it lasts
SILENT_AROUND = 6  # frames: lips still move so shortly before and after speech
CLOSED = 0.1  # of the speaking range: an opening under it is a closed mouth
LOWEST, HIGHEST = 5, 95  # percentiles that are a range
IDENTITY_FRAMES = 25
OWN = ("jitter", "blinks_per_minute", "blink_seconds")  # of the truth's row in metrics.json


@dataclass(frozen=True)
class Usual:
    """Of the actor's training frames: opening [n] of the mouth (inner lips over eye distance), loudness [n]."""

    opening: np.ndarray
    loudness: np.ndarray

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest opening while speaking."""
        low, high = np.percentile(self.opening, (LOWEST, HIGHEST))
        return float(low), float(high)


def measure_cross(
    *,
    subject: Subject,
    drive: Path,
    own_deviation: Path,
    own_metrics: Path,
    landmarker: Path,
    identity: Path,
    out: Path,
    picture: Path,
    method: str,
    budget: str,
    seed: int,
    state: str,
    sync: Path | None = None,
    whisper: Path | None = None,
) -> None:
    """Write cross.json and its picture.

    Args:
        subject: clips, audio, landmarks and, where the head has them, priors are read.
        drive: drive.json of `cross_drive`, beside what it names.
        own_deviation: deviation.npy of the actor's held-out frames; absent for a head without beliefs.
        own_metrics: the actor's metrics.json, whose row of the truth says how still and how often blinking it is.
        landmarker: face_landmarker.task; identity: weights of the network of identity.
        method, budget, seed: of the run, for the record.
        sync, whisper: the local sync net and the folder of Whisper's weights; None leaves its figures out.
    """
    document, usually = _read(drive), own_figures(own_metrics)
    folder = drive.parent
    with reading(folder / FRAMES):
        frames = map_npy(folder / FRAMES, Field(("T", "H", "W", 3), "u"))
    heard = _read_heard(folder / HEARD)
    usual = usual_of(subject)
    height, width = frames.shape[1:3]
    film = (each[:height, :width] for each in frames_at(folder / VIDEO))
    sources: Mapping[str, Iterator[np.ndarray]] = {"none": iter(frames), "h264": islice(film, len(frames))}
    network = IdentityNetwork(identity)
    own = own_vectors(subject, network)
    faces, figures = {}, {}
    for codec, source in sources.items():
        kept = Kept(progress(source, f"landmarks, codec {codec}", len(frames)), evenly(len(frames), IDENTITY_FRAMES))
        faces[codec] = find_faces(landmarker, iter(kept))
        figures[codec] = seen_figures(faces[codec], heard, usual) | motion_figures(faces[codec])
        figures[codec] |= identity_figures(kept.frames, faces[codec], network, own)
    if sync and whisper:
        in_sync = sync_figures(sync, whisper, folder / SOUND, faces)
        figures = {codec: {**found, **in_sync[codec]} for codec, found in figures.items()}
    told = novelty_figures(heard, document["views"], subject) | deviation_figures(
        subject, folder / DEVIATION, own_deviation, faces["none"]
    )
    result = {
        "actor": subject.name,
        "method": method,
        "budget": budget,
        "seed": seed,
        "state": state,
        "voice": document["voice"],
        "frames": len(frames),
        "size": [width, height],
        "driven_by": document["driven_by"],
        "figures": rounded(figures["none"] | told | usually),
        "figures_h264": rounded(figures["h264"]),
        "emotions": heard_emotions(heard, document["labels"]),
        "speed": {"frames_per_second": document["frames_per_second"]},
    }
    draw_cross(picture, frames, faces["none"], heard, usual.range, result)
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


def find_faces(landmarker: Path, frames: Iterator[np.ndarray]) -> Faces:
    """Landmarks of frames uint8 [H, W, 3]."""
    with FaceLandmarker(landmarker, video=True) as found:
        return settle(found, frames)


def sync_figures(net: Path, whisper: Path, sound: Path, faces: Mapping[str, Faces]) -> dict[str, Figures]:
    """Lip sync of each codec's frames with the voice."""
    trained, (samples, _) = load_net(net), soundfile.read(sound, dtype="float32")
    speech = speech_of(samples, len(faces["none"].found), hearing(whisper))
    return {codec: local_figures(trained, found.points, speech) for codec, found in faces.items()}


def usual_of(subject: Subject) -> Usual:
    """Of the training frames in which a face was found."""
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    samples = subject.audio().reshape(-1, SAMPLES_PER_FRAME)[train]
    return Usual(mouth_opening(subject.landmarks.points[train]), np.sqrt(np.square(samples).mean(1)))


def seen_figures(faces: Faces, heard: Mapping[str, np.ndarray], usual: Usual) -> Figures:
    """What the frames show: whether the mouth moves as far as the actor's, with the sound, and rests in silence."""
    found = faces.found
    figures: Figures = {"frames_without_face": int((~found).sum())}
    opening = mouth_opening(faces.points)
    low, high = usual.range
    silent = silent_frames(heard["spoken"])
    figures["silent_share"] = float(silent.mean())
    figures["closed_in_silence"] = _share(opening[silent & found] <= low + CLOSED * (high - low))
    figures["mouth_opening_low"], figures["mouth_opening_high"] = _range(opening[found])
    figures["mouth_opening_low_own"], figures["mouth_opening_high_own"] = low, high
    figures["mouth_opening_loudness_correlation"] = loudness_correlation(opening[found], heard["loudness"][found])
    figures["mouth_opening_loudness_correlation_own"] = loudness_correlation(usual.opening, usual.loudness)
    return figures


class Kept:
    """Frames that pass by once; the chosen ones stay in `frames`, by their number."""

    def __init__(self, source: Iterable[np.ndarray], chosen: np.ndarray) -> None:
        self.frames: dict[int, np.ndarray] = {}
        self._source, self._chosen = source, set(chosen.tolist())

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, frame in enumerate(self._source):
            if number in self._chosen:
                self.frames[number] = np.array(frame)
            yield frame


def own_vectors(subject: Subject, network: IdentityNetwork) -> np.ndarray:
    """Vectors of identity [m, 128] of some training frames."""
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    chosen = train[evenly(len(train), IDENTITY_FRAMES)]
    return vectors_of(network, [subject.video[k] for k in chosen], subject.landmarks.points[chosen])


def identity_figures(
    frames: Mapping[int, np.ndarray], faces: Faces, network: IdentityNetwork, own: np.ndarray
) -> Figures:
    """Whether it is still the actor: mean cosine with training frames [m, 128], beside these among themselves."""
    vectors = vectors_of(network, list(frames.values()), faces.points[list(frames)])
    found = {IDENTITY: identity_similarity(vectors, own), f"{IDENTITY}_own": identity_similarity(own, own, same=True)}
    return {name: _mean(values) for name, values in found.items()}


def motion_figures(faces: Faces) -> Figures:
    """How much the head trembles and how its eyes blink."""
    blinks = find_blinks(eye_closure(faces.blendshapes, faces.names), FPS)
    return {
        "jitter": root_mean_square(jitter(faces.points)),
        "blinks_per_minute": blinks.per_minute,
        "blink_seconds": blinks.mean_duration,
    }


def own_figures(metrics: Path) -> Figures:
    """What the actor's held-out frames show of what a voice without truth is measured by."""
    rows = read_json(metrics).get("rows")
    with reading(metrics):
        truth = next((row for row in rows or () if (row["name"], row.get("codec", "none")) == ("truth", "none")), None)
        if truth is None:
            raise ValueError("it has no row of the truth")
    return {f"{name}_own": truth[name] for name in OWN if name in truth}


def silent_frames(spoken: np.ndarray) -> np.ndarray:
    """bool [n]: nobody speaks in the frame nor shortly before or after; spoken [n]: probability of speech."""
    loud = np.convolve(spoken >= SILENT, np.ones(2 * SILENT_AROUND + 1), "full")[SILENT_AROUND : -SILENT_AROUND or None]
    return np.asarray(loud < 0.5)


def loudness_correlation(opening: np.ndarray, loudness: np.ndarray) -> float | None:
    """Of the mouth's opening [n] with the logarithm of the loudness [n]; None where either stands still."""
    level = np.log(loudness + 1e-4)  # -80 dB of full scale: digital silence is not infinitely far from a quiet room
    if len(opening) < 3 or opening.std() < 1e-6 or level.std() < 1e-6:
        return None
    return float(np.corrcoef(opening, level)[0, 1])


def novelty_figures(heard: Mapping[str, np.ndarray], views: list[str], subject: Subject) -> Figures:
    """How new the speech is, beside the actor's own held-out speech; nothing for a head without priors."""
    if "lip_expression" not in views:
        return {}
    own = np.maximum(subject.priors.novelty[subject.test_frames], 1)
    return {"novelty": float(heard["novelty"].mean()), "novelty_own": float(own.mean())}


def heard_emotions(heard: Mapping[str, np.ndarray], labels: list[str]) -> dict[str, float]:
    """Mean probability of each label of emotion that was listened for."""
    return {label: round(float(p), 4) for label, p in zip(labels, heard["emotions"].mean(0), strict=True)}


def deviation_figures(subject: Subject, maps: Path, own: Path, faces: Faces) -> Figures:
    """Mean predicted deviation (colours 0..1) inside the face's square, and of the actor's own held-out speech."""
    if not (maps.is_file() and own.is_file() and faces.found.any()):
        return {}
    test = subject.test_frames
    points = np.where(subject.landmarks.valid[test, None, None], subject.landmarks.points[test], np.nan)
    figures: Figures = {"deviation": mean_deviation(maps, faces.points)}
    if np.isfinite(points).any():
        figures["deviation_own"] = mean_deviation(own, points)
    return figures


def mean_deviation(path: Path, points: np.ndarray) -> float:
    """Over the face squares of maps float16 [n, H, W] with landmarks [n, P, >= 2] (nan: no face)."""
    with reading(path):
        maps = map_npy(path, floats("T", "H", "W", finite=False), {"T": len(points)})
    squares = face_squares(points, maps.shape[1:3])
    cuts = (crop(each, square) for each, square in zip(maps, squares, strict=True))
    return float(np.mean([cut.astype(np.float32).mean() for cut in cuts]))


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _range(values: np.ndarray) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
    low, high = np.percentile(values, (LOWEST, HIGHEST))
    return float(low), float(high)


def _read(path: Path) -> dict[str, Any]:
    document = read_json(path)
    with reading(path):
        if missing := {"voice", "views", "labels", "driven_by", "frames_per_second"} - document.keys():
            raise ValueError(f"it has no {min(missing)}")
    return document


def _read_heard(path: Path) -> dict[str, np.ndarray]:
    wanted = {name: floats("T") for name in ("spoken", "loudness", "novelty")}
    return read_npz(path, {**wanted, "emotions": floats("T", "L")}, {})
