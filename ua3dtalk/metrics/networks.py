"""The groups of figures that need a network, each on a bounded number of frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ua3dtalk.face.deep3d import load_deep3d
from ua3dtalk.metrics.fan import fan_readings, load_fan
from ua3dtalk.metrics.features import load_features
from ua3dtalk.metrics.figures import perceptual_readings
from ua3dtalk.metrics.identity import IdentityNetwork
from ua3dtalk.metrics.person import identity_readings
from ua3dtalk.metrics.scene import Reading, Scene
from ua3dtalk.metrics.sets import deep3d_readings, frechet_readings
from ua3dtalk.perceptual import load_perceptual
from ua3dtalk.settings import MetricsSettings


def network_readings(
    scene: Scene, weights: Mapping[str, Path], settings: MetricsSettings, seed: int
) -> Iterator[Reading]:
    """Every group whose network is at hand, on a bounded number of frames.

    Args:
        weights: files by figure; a figure that is not among them is left out.
    """
    distances = (settings.perceptual, *settings.more_perceptual)
    most = {"frame": settings.perceptual_frames_whole, "face": settings.perceptual_frames_face}
    for distance in dict.fromkeys(name for name in distances if name in weights):
        yield from perceptual_readings(scene, load_perceptual(distance, weights[distance]), most)
    most = {"frame": settings.frechet_frames_whole, "face": settings.frechet_frames_face}
    for name in ("frechet_efficientnet_lite0", "fid_inception"):
        if name in weights:
            yield from frechet_readings(scene, load_features(name, weights[name]), most)
    if not scene.faces:
        return
    if "identity_dlib128" in weights:
        yield from identity_readings(scene, IdentityNetwork(weights["identity_dlib128"]), settings.identity_frames)
    if "lmd_fan68" in weights:
        yield from fan_readings(scene, load_fan(weights["lmd_fan68"]), settings.fan68_frames)
    if settings.deep3d:
        net = load_deep3d(settings.deep3d)
        yield from deep3d_readings(scene, net, settings.deep3d_frames, seed, settings.resamples)
