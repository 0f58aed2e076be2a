"""The groups of figures that compare rows as sets of frames: Frechet distances of features and of expressions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ua3dtalk.face.deep3d import ReconNet, expressions
from ua3dtalk.face.points68 import five_points, to_68
from ua3dtalk.metrics.features import FrameFeatures
from ua3dtalk.metrics.figures import evenly
from ua3dtalk.metrics.frechet import frechet_distance, frechet_interval
from ua3dtalk.metrics.scene import Figures, Reading, Scene, shared_frames
from ua3dtalk.workflow import progress

BLOCK_SECONDS = 0.5  # frames that follow each other are resampled together


def frechet_readings(scene: Scene, network: FrameFeatures, most: Mapping[str, int]) -> list[Reading]:
    """Frechet distance of a network's features to the truth's, over at most `most[region]` frames, evenly taken.

    Covariances over n - 1 without shrinkage, as FID is defined.
    """
    chosen = {region: evenly(len(scene), most[region]) for region in scene.regions}
    found: dict[str, list[np.ndarray]] = {region: [] for region in scene.regions}
    together = np.unique(np.concatenate(list(chosen.values())))
    for k, frames in progress(scene.in_step(together), network.name, len(together)):
        for region, wanted in chosen.items():
            if k in wanted:
                found[region].append(network([scene.cut(region, k, frame) for frame in frames]))
    readings = []
    for region, each in found.items():
        features = np.stack(each, axis=1)  # [rows, n, D]
        for number in range(len(scene.rows)):
            enough = len(each) > 1
            value = frechet_distance(features[number], features[scene.truth_of(number)]) if enough else None
            readings.append(Reading(number, region, {network.name: value, "frechet_frames": len(each)}))
    return readings


def expression_readings(scene: Scene, seed: int, resamples: int) -> list[Reading]:
    """E-FID on the landmarker's 52 blendshapes, on the frames where all rows have a face."""
    coefficients = {number: face.blendshapes for number, face in enumerate(scene.faces)}
    return _efid_readings(scene, "blendshapes", coefficients, np.arange(len(scene)), seed, resamples)


def deep3d_readings(scene: Scene, net: ReconNet, most: int, seed: int, resamples: int) -> list[Reading]:
    """E-FID on Deep3DFaceRecon's 64 coefficients of expression, over at most `most` frames, evenly taken."""
    chosen = evenly(len(scene), most)
    found: dict[int, list[np.ndarray]] = {number: [] for number in range(len(scene.rows))}
    for k, frames in progress(scene.in_step(chosen), "deep3d", len(chosen)):
        for number, frame in enumerate(frames):
            points = scene.faces[number].points[k]
            known = bool(np.isfinite(points).all())
            five = five_points(to_68(points))[None, :, :2]
            found[number].append(expressions(net, [frame], five)[0] if known else np.full(64, np.nan, np.float32))
    coefficients = {number: np.stack(rows) for number, rows in found.items()}
    return _efid_readings(scene, "deep3d", coefficients, chosen, seed, resamples)


def _efid_readings(
    scene: Scene, extractor: str, coefficients: Mapping[int, np.ndarray], chosen: np.ndarray, seed: int, resamples: int
) -> list[Reading]:
    """E-FID of coefficients [len(chosen), D] of each row; its name has extractor, width and number of frames."""
    shared, usable = shared_frames(scene)
    kept = shared[chosen]
    width = coefficients[0].shape[1]
    key = f"efid_{extractor}{width}_n{int(kept.sum())}"
    block = max(round(BLOCK_SECONDS * scene.rate), 1)
    readings = []
    for number in range(len(scene.rows)):
        figures: Figures = dict.fromkeys((key, f"{key}_low", f"{key}_high"))
        truth = scene.truth_of(number)
        if usable[number] and usable[truth] and kept.sum() > 1:
            pair = (coefficients[number][kept], coefficients[truth][kept])
            found = frechet_interval(*pair, block=block, seed=seed, resamples=resamples)
            figures = {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}
        readings.append(Reading(number, None, figures))
    return readings
