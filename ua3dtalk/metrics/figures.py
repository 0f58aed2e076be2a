"""The groups of figures that compare frames: pixels, perceptual distance, lips and units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.image import MS_SSIM_LEAST, psnr, similarities
from ua3dtalk.metrics.lips import eye_distance, gain, lip_distance, mouth_opening, partial_correlation
from ua3dtalk.metrics.scene import Columns, Figures, Reading, Scene, shared_frames
from ua3dtalk.metrics.units import blendshape_error
from ua3dtalk.perceptual import PerceptualDistance, limit_side
from ua3dtalk.workflow import progress

BATCH = 8
PIXELS = ("psnr", "ssim", "ms_ssim")


def pixel_readings(scene: Scene) -> list[Reading]:
    """PSNR, SSIM and MS-SSIM of each row against its truth, per frame and region."""
    shape = (len(PIXELS), len(scene.rows), len(scene))
    tables = {region: np.full(shape, np.nan) for region in scene.regions}

    def one(task: tuple[str, int, int, np.ndarray, np.ndarray]) -> None:
        region, number, k, shown, wanted = task
        tables[region][:, number, k] = compare(shown, wanted)

    with ThreadPoolExecutor(scene.workers) as pool:
        for k, frames in progress(scene.in_step(), "pixels", len(scene)):
            tasks = []
            for region in scene.regions:
                cuts = [scene.cut(region, k, frame) for frame in frames]
                tasks += [(region, number, k, cut, cuts[scene.truth_of(number)]) for number, cut in enumerate(cuts)]
            list(pool.map(one, tasks))
    return [
        Reading(number, region, _means(columns), columns)
        for region, table in tables.items()
        for number in range(len(scene.rows))
        for columns in [dict(zip(PIXELS, table[:, number], strict=True))]
    ]


def compare(shown: np.ndarray, wanted: np.ndarray) -> tuple[float, float, float]:
    """`PIXELS` of two pictures; what is compared with itself needs no computing."""
    if shown is wanted:
        return math.inf, 1.0, 1.0 if min(shown.shape[:2]) >= MS_SSIM_LEAST else math.nan
    return psnr(shown, wanted), *similarities(shown, wanted)


def _means(columns: Columns) -> Figures:
    """Mean over the frames; infinity and what is not defined are None."""
    means = {name: float(np.mean(values)) for name, values in columns.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0..count-1, evenly taken."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def perceptual_readings(scene: Scene, distance: PerceptualDistance, most: Mapping[str, int]) -> list[Reading]:
    """Mean perceptual distance of each row to its truth over at most `most[region]` frames, evenly taken."""
    chosen = {region: evenly(len(scene), most[region]) for region in scene.regions}
    tables = {region: np.full((len(scene.rows), len(scene)), np.nan) for region in scene.regions}
    for region, batch, stacks in _batches(scene, chosen, distance.name):
        tables[region][:, batch] = _distances(scene, distance, stacks)
    return [
        Reading(
            number,
            region,
            {distance.name: float(np.nanmean(values)), "perceptual_frames": len(chosen[region])},
            {distance.name: values},
        )
        for region, table in tables.items()
        for number, values in enumerate(table)
    ]


def _batches(
    scene: Scene, chosen: Mapping[str, np.ndarray], label: str
) -> Iterator[tuple[str, list[int], list[np.ndarray]]]:
    """(region, frames, of each row their shrunk cuts [n, h, w, 3]) for the chosen frames, in one pass."""
    waiting: dict[str, dict[int, list[np.ndarray]]] = {region: {} for region in chosen}
    together = np.unique(np.concatenate(list(chosen.values())))
    for k, frames in progress(scene.in_step(together), label, len(together)):
        for region, wanted in chosen.items():
            if k in wanted:
                waiting[region][k] = [limit_side(scene.cut(region, k, frame)) for frame in frames]
            if len(waiting[region]) == BATCH or (waiting[region] and k == together[-1]):
                batch = waiting[region]
                yield region, list(batch), [np.stack(row) for row in zip(*batch.values(), strict=True)]
                waiting[region] = {}


def _distances(scene: Scene, distance: PerceptualDistance, stacks: Sequence[np.ndarray]) -> np.ndarray:
    """Distances [rows, n] of each row's frames [n, h, w, 3] to its truth's; only the truths' features are kept."""
    truths = {number: distance.features(stacks[number]) for number in {scene.truth_of(k) for k in range(len(stacks))}}
    found = []
    for number, stack in enumerate(stacks):
        own = truths[number] if number in truths else distance.features(stack)
        found.append(distance.between(own, truths[scene.truth_of(number)]))
    return np.stack(found)


def landmark_readings(scene: Scene) -> list[Reading]:
    """Lips and units of each row against its truth, on the frames where all rows have a face."""
    shared, usable = shared_frames(scene)
    readings = []
    for number, face in enumerate(scene.faces):
        good = usable[number] and usable[scene.truth_of(number)] and bool(shared.any())
        truth = scene.faces[scene.truth_of(number)]
        columns = _landmark_columns(face, truth, shared) if good else {}
        figures = _landmark_figures(face, truth, columns, shared, scene.poses, good)
        counts = {
            "landmark_frames": int(shared.sum()) if good else 0,
            "frames_without_face": int((~face.found).sum()),
        }
        readings.append(Reading(number, None, figures | counts, columns))
    return readings


def _landmark_columns(face: Faces, truth: Faces, frames: np.ndarray) -> Columns:
    """Figures of single frames [n], nan outside `frames` (bool [n])."""
    points, wanted = face.points[frames], truth.points[frames]
    distances = lip_distance(points, wanted)
    units = [
        blendshape_error(own[None], other[None], truth.names)
        for own, other in zip(face.blendshapes[frames], truth.blendshapes[frames], strict=True)
    ]
    found = {
        "lmd_px": distances,
        "lmd_normalised": distances / eye_distance(wanted),
        **{name: np.array([each[name] for each in units]) for name in units[0]},
        "mouth_opening": mouth_opening(points),
    }
    columns = {name: np.full(len(frames), np.nan) for name in found}
    for name, values in found.items():
        columns[name][frames] = values
    return columns


def _landmark_figures(
    face: Faces, truth: Faces, columns: Columns, frames: np.ndarray, poses: np.ndarray, good: bool
) -> Figures:
    names = ("lmd_px", "lmd_normalised", "aue", "aue_upper", "aue_lower")
    if not good:
        correlations = ("mouth_opening_correlation", "mouth_opening_correlation_plain", "mouth_opening_gain")
        return dict.fromkeys((*names, *correlations))
    opening, wanted = mouth_opening(face.points[frames]), mouth_opening(truth.points[frames])
    return {
        **{name: float(np.nanmean(columns[name])) for name in names},
        "mouth_opening_correlation": partial_correlation(opening, wanted, poses[frames]),
        "mouth_opening_correlation_plain": partial_correlation(opening, wanted, poses[frames][:, :0]),
        "mouth_opening_gain": gain(opening, wanted, poses[frames]),
    }
