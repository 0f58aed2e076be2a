"""The reference route from a bundle and the authors' files to the priors, on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from official_names import random_state, read_names
from tiny_subject import write_tiny_subject

from ua3dtalk.errors import AssetError
from ua3dtalk.face.geometry import project
from ua3dtalk.speech.reference.priors import ReferencePriors, face_boxes, reference_priors
from ua3dtalk.subject import Subject

FRAMES = 6
UNIT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four files as their authors save them."""
    folder = tmp_path_factory.mktemp("official")

    def state(name: str) -> dict[str, torch.Tensor]:
        room = "face" if name == "deep3d" else "speech"
        return random_state(read_names(UNIT / room / "data" / f"{name}_names.txt"))

    torch.save({"state_dict": state("wav2lip")}, folder / "wav2lip.pth")
    torch.save({"audio2style": state("audio2style")}, folder / "style.pth")
    torch.save({"fusemodel": state("fuse_net")}, folder / "fuse.pth")
    torch.save({"net_recon": state("deep3d")}, folder / "epoch_20.pth")
    names = {"wav2lip": "wav2lip", "audio2style": "style", "fuse_net": "fuse", "deep3d": "epoch_20"}
    return {key: folder / f"{name}.pth" for key, name in names.items()}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return write_tiny_subject(tmp_path_factory.mktemp("reference") / "tiny", frames=FRAMES)


@pytest.fixture(scope="module")
def priors(subject: Subject, files: dict[str, Path]) -> ReferencePriors:
    return reference_priors(subject, **files)


def test_every_frame_has_its_row(priors: ReferencePriors) -> None:
    for rows in priors:
        assert rows.shape == (FRAMES, 64) and rows.dtype == np.float32 and np.isfinite(rows).all()
        assert rows.std(axis=0).max() > 1e-3  # random, but not dead


def test_the_lip_expert_does_not_see_the_mouth(
    subject: Subject, files: dict[str, Path], priors: ReferencePriors, tmp_path: Path
) -> None:
    """Other mouths and other landmarks in all frames but the first, which is the reference: the same f_exp."""
    other = write_tiny_subject(tmp_path / "other", frames=FRAMES)
    height, width = subject.video.shape[1:3]
    tracking = subject.tracking
    boxes = face_boxes(project(tracking.neutral[:468], tracking.world_to_camera, tracking.K), height, width)
    video = np.array(subject.video)
    for i, (x0, y0, x1, y1) in enumerate(boxes[1:], start=1):
        # One row of the 96 may mix two rows of the frame at the border of the halves.
        video[i, (y0 + y1) // 2 + 2 : y1, x0:x1] = 255 - video[i, (y0 + y1) // 2 + 2 : y1, x0:x1]
    np.save(other.root / "video.npy", video)
    landmarks = dict(np.load(other.root / "landmarks.npz"))
    np.savez(other.root / "landmarks.npz", **landmarks | {"points": landmarks["points"] + 3})
    seen = reference_priors(Subject(other.root), **files)
    np.testing.assert_allclose(seen.lip_expression, priors.lip_expression, atol=1e-5)
    assert np.abs(seen.expression[1:] - priors.expression[1:]).max() > 1e-3


def test_without_a_mixer_one_is_trained_on_training_frames(subject: Subject, files: dict[str, Path]) -> None:
    found = reference_priors(subject, **{**files, "fuse_net": None})
    again = reference_priors(subject, **{**files, "fuse_net": None})
    np.testing.assert_array_equal(found.mixed, again.mixed)
    assert found.mixed.shape == (FRAMES, 64) and np.isfinite(found.mixed).all()


@pytest.mark.parametrize("key", ["wav2lip", "audio2style", "fuse_net", "deep3d"])
def test_a_missing_file_is_named_before_any_work(subject: Subject, files: dict[str, Path], key: str) -> None:
    with pytest.raises(AssetError, match=rf"none\.pth is missing: .*priors\.{key}") as error:
        reference_priors(subject, **{**files, key: Path("none.pth")})
    assert "\n" not in str(error.value)


def test_boxes_hold_the_face_and_stay_inside() -> None:
    points = np.array([[[-5.0, 10.0], [40.0, 60.0]], [[20.0, 30.0], [70.0, 90.0]]])
    assert face_boxes(points, 100, 64).tolist() == [[0, 10, 40, 64], [20, 30, 64, 95]]
