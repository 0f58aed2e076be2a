"""The groups of figures of the person: who it is, how still the head is held, how the eyes blink."""

from __future__ import annotations

import numpy as np

from ua3dtalk.metrics.blinks import eye_closure, find_blinks
from ua3dtalk.metrics.figures import evenly
from ua3dtalk.metrics.identity import NAME, IdentityNetwork, identity_similarity
from ua3dtalk.metrics.scene import Figures, Reading, Scene
from ua3dtalk.metrics.shake import jitter, jitter_error, root_mean_square
from ua3dtalk.workflow import progress


def identity_readings(scene: Scene, network: IdentityNetwork, most: int) -> list[Reading]:
    """Mean cosine of each row's vectors with the truth's, over at most `most` frames, evenly taken."""
    chosen = evenly(len(scene), most)
    found: list[list[np.ndarray]] = [[] for _ in scene.rows]
    for k, frames in progress(scene.in_step(chosen), NAME, len(chosen)):
        for number, frame in enumerate(frames):
            found[number].append(network(frame, scene.faces[number].points[k]))
    vectors = [np.stack(each) for each in found]
    readings = []
    for number, own in enumerate(vectors):
        truth = scene.truth_of(number)
        values = identity_similarity(own, vectors[truth], same=truth == number)
        column = np.full(len(scene), np.nan)
        column[chosen] = values
        mean = float(np.nanmean(values)) if np.isfinite(values).any() else None
        readings.append(Reading(number, None, {NAME: mean, "identity_frames": len(chosen)}, {NAME: column}))
    return readings


def motion_readings(scene: Scene) -> list[Reading]:
    """Trembling of the head's rigid part, and blinks, of each row and against its truth."""
    truths = [_blink_figures(scene, number) for number in range(len(scene.rows))]
    readings = []
    for number, face in enumerate(scene.faces):
        truth = scene.truth_of(number)
        own = scene.inside_runs(jitter(face.points))
        error = scene.inside_runs(jitter_error(face.points, scene.faces[truth].points))
        figures = {"jitter": root_mean_square(own), "jitter_error": root_mean_square(error)}
        blinks = truths[number] | {
            f"{key}_difference": _difference(truths[number][key], truths[truth][key])
            for key in ("blinks_per_minute", "blink_seconds")
        }
        closure = eye_closure(face.blendshapes, face.names)
        columns = {"jitter": own, "jitter_error": error, "blink": closure}
        readings.append(Reading(number, None, {**figures, **blinks}, columns))
    return readings


def _blink_figures(scene: Scene, number: int) -> Figures:
    closure = eye_closure(scene.faces[number].blendshapes, scene.faces[number].names)
    found = find_blinks(np.insert(closure, scene.breaks, np.nan), scene.rate)
    return {
        "blinks": len(found.frames),
        "blinks_per_minute": found.per_minute,
        "blink_seconds": found.mean_duration,
    }


def _difference(own: float | None, truth: float | None) -> float | None:
    return None if own is None or truth is None else own - truth
