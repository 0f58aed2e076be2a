"""What the face does in each frame: expression coefficients, action units, mouth opening, blink.

Action units come from the landmarker's blendshapes (or from an OpenFace table), on OpenFace's scale: 0 absent to
5 strongest. Each is (score - rest) / (strong - rest) * 5 with `rest` the score of a face at rest and `strong` a score
that a full movement reaches; both are read from the training frames, within bounds that keep a calm clip calm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ua3dtalk.errors import ConfigError, InputError
from ua3dtalk.face.basis import NAMES
from ua3dtalk.reading import reading, table_rows
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import ACTION_UNITS, Subject
from ua3dtalk.workflow import atomic

UPPER_LIP, LOWER_LIP = 13, 14  # middle of the inner lips
EYE_CORNERS = ((33, 133), (362, 263))

# Blendshapes of each action unit and the least range (rest to strongest) that counts as a full movement.
UNITS: dict[str, tuple[tuple[str, ...], float]] = {
    "AU01": (("browInnerUp",), 0.6),
    "AU04": (("browDownLeft", "browDownRight"), 0.6),
    "AU05": (("eyeWideLeft", "eyeWideRight"), 0.3),
    "AU06": (
        ("cheekSquintLeft", "cheekSquintRight", "eyeSquintLeft", "eyeSquintRight", "mouthSmileLeft", "mouthSmileRight"),
        0.5,
    ),
    "AU07": (("eyeSquintLeft", "eyeSquintRight"), 0.6),
    "AU45": (("eyeBlinkLeft", "eyeBlinkRight"), 0.5),
}


def extract_expression(*, subject: Subject, out: Path, picture: Path, settings: FaceSettings, state: str) -> None:
    """Write expression.npz.

    Args:
        subject: reads clips.json, landmarks.npz, tracking.npz.
        out: expression.npz: coefficients float32 [T, 52] in 0..1 (names [52]), action_units float32 [T, 6] in 0..5,
            mouth_opening float32 [T], blink float32 [T] in 0..1, state.
        picture: the curves.
    Errors: InputError or ConfigError when an OpenFace table is asked for and does not fit.
    """
    coefficients = blend(subject)
    train = subject.train_frames[subject.landmarks.valid[subject.train_frames]]
    if settings.action_units == "openface":
        if not settings.openface_csv:
            raise ConfigError(
                "face.openface_csv is not set: name OpenFace's table or set face.action_units to blendshapes"
            )
        units = read_openface(Path(settings.openface_csv), subject.frame_count)
    else:
        units = action_units(coefficients, train)
    opening = mouth_opening(subject)
    blink = np.clip(units[:, ACTION_UNITS.index("AU45")] / 5, 0, 1)
    with atomic(out) as temporary:
        np.savez(
            temporary,
            coefficients=coefficients,
            action_units=units.astype(np.float32),
            mouth_opening=opening.astype(np.float32),
            blink=blink.astype(np.float32),
            names=np.array(NAMES),
            state=state,
        )
    draw_expression(subject, coefficients, units, opening, blink, picture)


def blend(subject: Subject) -> np.ndarray:
    """Coefficients float32 [T, 52]: the mean of the landmarker's scores and the tracker's weights.

    On the built-in actor the weights follow jaw, brows and lips better, the scores gaze and funnelled lips.
    """
    scores, weights = subject.landmarks.blendshapes.astype(np.float32), subject.tracking.expression
    mixed = (scores + weights) / 2
    alone = [k for k, name in enumerate(NAMES) if name == "_neutral" or name.startswith("eyeLook")]
    mixed[:, alone] = scores[:, alone]
    return np.clip(mixed, 0, 1)


def action_units(coefficients: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Action units [T, 6] in 0..5 of blendshapes [T, 52]; ranges from the training frames."""
    out = np.zeros((len(coefficients), len(ACTION_UNITS)))
    for column, unit in enumerate(ACTION_UNITS):
        score = coefficients[:, [NAMES.index(name) for name in UNITS[unit][0]]].mean(1)
        rest, width = unit_range(score[train], unit)
        out[:, column] = np.clip((score - rest) / width, 0, 1) * 5
    return out


def unit_range(score: np.ndarray, unit: str) -> tuple[float, float]:
    """Score at which a unit is 0, and how much more makes it 5, from the training frames' scores [n]."""
    rest, strong = np.percentile(score, (10, 99.5))
    return float(rest), max(float(strong - rest), UNITS[unit][1])


def read_openface(table: Path, frames: int) -> np.ndarray:
    """Action units [T, 6] of OpenFace's FeatureExtraction csv (` AU01_r` ...); row i is frame i."""
    with reading(table, "give the csv that OpenFace wrote", InputError, "a table"):
        rows = table_rows(table)
        header = {word.strip(): column for column, word in enumerate(next(rows, []))}
        columns = [f"{unit}_r" for unit in ACTION_UNITS]
        if missing := [column for column in columns if column not in header]:
            raise InputError(f"{table}: column {missing[0]} is missing; run FeatureExtraction with -aus")
        found = [[row[header[column]] for column in columns] for row in rows if row]
    if not found:
        raise InputError(f"{table}: column {columns[0]} is missing, as all rows are; run FeatureExtraction with -aus")
    if len(found) != frames:
        raise InputError(f"{table}: {len(found)} rows for {frames} frames; run OpenFace on the decoded 25 fps frames")
    try:
        values = np.array([[float(word) for word in row] for row in found])
    except ValueError as error:
        raise InputError(f"{table}: a value is not a number ({error}); run OpenFace again") from error
    if not np.isfinite(values).all():
        raise InputError(f"{table}: holds values that are not finite; run OpenFace again")
    return np.clip(values, 0, 5)


def mouth_opening(subject: Subject) -> np.ndarray:
    """Distance of the inner lips over the distance of the eyes [T], as if the face looked into the camera.

    The seen lip points are put at the depth of the tracked neutral face and turned back into the head frame; the
    distance of the eyes is the neutral face's. So neither turning nor coming nearer opens the mouth.
    """
    points = subject.landmarks.points[..., :2].astype(float)
    tracking = subject.tracking
    neutral, pose, intrinsics = tracking.neutral, tracking.world_to_camera, tracking.K
    lips = [UPPER_LIP, LOWER_LIP]
    rotation, translation = pose[:, :3, :3], pose[:, :3, 3]
    depth = np.einsum("td,pd->tp", rotation[:, 2], neutral[lips]) + translation[:, 2:]
    rays = (points[:, lips] - intrinsics[:, None, :2, 2]) / intrinsics[:, [0, 1], [0, 1]][:, None]
    camera = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) * depth[..., None]
    head = (camera - translation[:, None]) @ rotation
    eyes = [neutral[list(pair)].mean(0) for pair in EYE_CORNERS]
    return (head[:, 1, 1] - head[:, 0, 1]).clip(0) / float(np.linalg.norm(eyes[0] - eyes[1]))


def draw_expression(
    subject: Subject, coefficients: np.ndarray, units: np.ndarray, opening: np.ndarray, blink: np.ndarray, picture: Path
) -> None:
    """Curves of the strongest coefficients, the action units, mouth and blink; held-out frames are shaded."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(12, 8), sharex=True, constrained_layout=True)
    for index in np.argsort(-coefficients.std(0))[:6]:
        axes[0].plot(coefficients[:, index], label=NAMES[index], lw=0.8)
    for column, unit in enumerate(ACTION_UNITS):
        axes[1].plot(units[:, column], label=unit, lw=0.8)
    axes[2].plot(opening, label="mouth opening", lw=0.8)
    axes[2].plot(blink, label="blink", lw=0.8)
    for axis, title in zip(axes, ("coefficients that move most", "action units, 0..5", "mouth and eyes"), strict=True):
        for clip in subject.clips:
            axis.axvspan(clip.test_first, clip.end, color="0.92")
        axis.set_title(title, fontsize=9, loc="left")
        axis.legend(fontsize=7, ncol=6, loc="upper right")
    axes[-1].set_xlabel("frame (held-out frames shaded)")
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)
