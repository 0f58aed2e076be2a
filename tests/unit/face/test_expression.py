"""Expression: action units' scale, mouth opening free of pose, OpenFace's tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import ConfigError, InputError
from ua3dtalk.face import expression
from ua3dtalk.face.basis import NAMES, expression_basis
from ua3dtalk.face.geometry import project, rigid, rotation_matrix
from ua3dtalk.settings import FaceSettings
from ua3dtalk.subject import ACTION_UNITS, Subject

FRAMES = 44


def made_subject(folder: Path) -> tuple[Subject, np.ndarray]:
    """A bundle with a turning head whose jaw opens; returns the jaw's weight [T] too."""
    basis, time = expression_basis(), np.arange(FRAMES) / 25
    jaw = 0.3 * (1 + np.sin(7 * time))
    weights = np.zeros((FRAMES, 52))
    weights[:, NAMES.index("jawOpen")] = jaw
    weights[10:13, [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]] = 0.9
    angles = np.radians(np.stack([8 * np.sin(3 * time), 25 * np.sin(2 * time), 5 * np.cos(time)], 1))
    pose = rigid(rotation_matrix(angles), np.stack([0 * time, 0 * time, 0.6 + 0.3 * np.sin(2.5 * time)], 1))
    camera = np.array([[600.0, 0, 128], [0, 600, 128], [0, 0, 1]])
    points = project(basis.canonical + np.tensordot(weights, basis.shapes, 1), pose, camera)
    folder.mkdir(parents=True)
    (folder / "clips.json").write_text(
        '{"clips": [{"path": "a", "sha256": "0", "first": 0, "length": 44, "test_first": 40, "emotion": null, '
        '"fps": 25, "width": 256, "height": 256, "crop": [0, 0, 256]}]}'
    )
    np.savez(
        folder / "landmarks.npz",
        points=np.concatenate([points, np.zeros((FRAMES, 478, 1))], -1).astype(np.float32),
        blendshapes=weights.astype(np.float32),
        valid=np.ones(FRAMES, bool),
        names=np.array(NAMES),
    )
    np.savez(
        folder / "tracking.npz",
        K=np.broadcast_to(camera, (FRAMES, 3, 3)),
        world_to_camera=pose,
        neutral=basis.canonical,
        residual=np.zeros(FRAMES),
        expression=weights.astype(np.float32),
    )
    return Subject(folder), jaw


def run(subject: Subject, settings: FaceSettings | None = None) -> Subject:
    """Run the stage; a fresh reader of the bundle."""
    expression.extract_expression(
        subject=subject,
        out=subject.root / "expression.npz",
        picture=subject.root / "expression.png",
        settings=settings or FaceSettings(),
        state="abc",
    )
    return Subject(subject.root)


def test_the_file_has_what_the_bundle_promises(tmp_path: Path) -> None:
    subject, _ = made_subject(tmp_path / "actor")
    made = run(subject).expression
    assert made.coefficients.shape == (FRAMES, 52) and made.names == tuple(NAMES)
    assert made.action_units.shape == (FRAMES, len(ACTION_UNITS))
    assert made.action_units.min() >= 0 and made.action_units.max() <= 5
    assert made.blink[11] > 0.9 and np.delete(made.blink, [10, 11, 12]).max() < 0.1
    with np.load(subject.root / "expression.npz", allow_pickle=False) as data:
        assert str(data["state"]) == "abc"


def test_mouth_opening_follows_the_jaw_and_not_the_pose(tmp_path: Path) -> None:
    subject, jaw = made_subject(tmp_path / "actor")
    opening = run(subject).expression.mouth_opening
    assert np.corrcoef(opening, jaw)[0, 1] > 0.995
    straight = opening - np.polyval(np.polyfit(jaw, opening, 1), jaw)
    assert straight.std() < 0.1 * opening.std()


def test_action_units_come_from_training_frames_only(tmp_path: Path) -> None:
    subject, _ = made_subject(tmp_path / "actor")
    scores, train = subject.landmarks.blendshapes, np.arange(40)
    before = expression.action_units(scores, train)
    other = scores.copy()
    other[40:] = 1
    np.testing.assert_array_equal(expression.action_units(other, train)[:40], before[:40])


def test_a_calm_face_stays_calm() -> None:
    random = np.random.default_rng(0)
    units = expression.action_units(random.uniform(0, 0.03, (200, 52)), np.arange(200))
    assert units.max() < 1


def write_openface(path: Path, rows: int, header: str | None = None, value: str = "1.5") -> Path:
    header = header or "frame, timestamp, " + ", ".join(f"{unit}_r" for unit in ACTION_UNITS)
    lines = [header] + [", ".join([str(k), "0.0"] + [value] * len(ACTION_UNITS)) for k in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_openface_tables_are_read_by_name_and_clipped(tmp_path: Path) -> None:
    subject, _ = made_subject(tmp_path / "actor")
    table = write_openface(tmp_path / "au.csv", FRAMES, value="-0.2")
    made = run(subject, FaceSettings(action_units="openface", openface_csv=str(table))).expression
    assert (made.action_units == 0).all()
    units = expression.read_openface(write_openface(tmp_path / "other.csv", 3), 3)
    np.testing.assert_array_equal(units, np.full((3, 6), 1.5))


@pytest.mark.parametrize(
    ("rows", "header", "value", "message"),
    [
        (3, None, "1", "3 rows for 5 frames"),
        (5, "frame, timestamp, AU01_r", "1", "AU04_r is missing"),
        (5, None, "many", "not a number"),
        (5, None, "nan", "not finite"),
        (0, None, "1", "AU01_r is missing"),
    ],
)
def test_openface_tables_that_do_not_fit_are_one_line(
    tmp_path: Path, rows: int, header: str | None, value: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        expression.read_openface(write_openface(tmp_path / "au.csv", rows, header, value), 5)
    assert "\n" not in str(caught.value)


def test_openface_without_a_table_is_a_clear_error(tmp_path: Path) -> None:
    subject, _ = made_subject(tmp_path / "actor")
    with pytest.raises(ConfigError, match="openface_csv"):
        run(subject, FaceSettings(action_units="openface"))
    with pytest.raises(InputError, match="cannot be read"):
        run(subject, FaceSettings(action_units="openface", openface_csv=str(tmp_path / "none.csv")))
