"""Identity: the arithmetic on made-up vectors, dlib's network against its own route, people of the real clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.assets import fetch
from ua3dtalk.errors import AssetError
from ua3dtalk.face.landmarker import FaceLandmarker
from ua3dtalk.media.frames import frames_at
from ua3dtalk.metrics.identity import IdentityNetwork, identity_similarity, vectors_of


def unit_vectors(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, 16))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_similarity_is_the_mean_cosine_with_the_truth_s_frames() -> None:
    shown, truth = unit_vectors(4, 0), unit_vectors(6, 1)
    plain = [np.mean([a @ b for b in truth]) for a in shown]
    np.testing.assert_allclose(identity_similarity(shown, truth), plain)
    alone = [np.mean([truth[k] @ truth[j] for j in range(6) if j != k]) for k in range(6)]
    np.testing.assert_allclose(identity_similarity(truth, truth, same=True), alone)


def test_frames_without_a_face_are_left_out() -> None:
    shown, truth = unit_vectors(3, 0), unit_vectors(5, 1)
    kept = identity_similarity(shown, truth[[0, 2, 3]])
    truth[[1, 4]] = np.nan
    np.testing.assert_allclose(identity_similarity(shown, truth), kept)
    shown[1] = np.nan
    assert np.isnan(identity_similarity(shown, truth)).tolist() == [False, True, False]
    assert np.isnan(identity_similarity(truth, truth, same=True)).tolist() == [False, True, False, False, True]
    assert np.isnan(identity_similarity(shown, np.full((2, 16), np.nan))).all()


@pytest.fixture(scope="module")
def network() -> IdentityNetwork:
    try:
        return IdentityNetwork(fetch("dlib_identity"))
    except AssetError as error:
        pytest.skip(f"dlib's network cannot be had here: {error}")


@pytest.fixture(scope="module")
def landmarker_model() -> Path:
    try:
        return fetch("face_landmarker")
    except AssetError as error:
        pytest.skip(f"face_landmarker cannot be had here: {error}")


def seen(clip: Path, model: Path, every: int, most: int) -> tuple[list[np.ndarray], np.ndarray]:
    with FaceLandmarker(model, video=False) as landmarker:
        frames = [np.ascontiguousarray(frame) for k, frame in enumerate(frames_at(clip)) if k % every == 0][:most]
        found = [landmarker(frame) for frame in frames]
    return frames, np.stack([each.points if each else np.full((478, 3), np.nan) for each in found])


def test_people_are_told_apart(network: IdentityNetwork, clips: Path, landmarker_model: Path) -> None:
    people = {
        name: vectors_of(network, *seen(clips / "video" / f"{name}.mp4", landmarker_model, 20, 3))
        for name in ("obama", "lieu", "fadg0")
    }
    own = [identity_similarity(v, v, same=True).mean() for v in people.values()]
    others = [identity_similarity(people[a], people[b]).mean() for a in people for b in people if a != b]
    assert min(own) > 0.97 and max(others) < 0.9


def test_our_landmarks_give_the_vector_that_dlib_s_own_give(
    network: IdentityNetwork, clips: Path, landmarker_model: Path
) -> None:
    import dlib

    try:
        predictor = dlib.shape_predictor(str(fetch("dlib_landmarks_68")))
    except AssetError as error:
        pytest.skip(f"dlib's landmarks cannot be had here: {error}")
    frames, points = seen(clips / "video" / "obama.mp4", landmarker_model, 40, 2)
    plain = dlib.face_recognition_model_v1(str(fetch("dlib_identity")))
    for frame, each in zip(frames, points, strict=True):
        box = dlib.get_frontal_face_detector()(frame)[0]
        vector = np.array(plain.compute_face_descriptor(frame, predictor(frame, box)))
        assert network(frame, each) @ vector / np.linalg.norm(vector) > 0.998


def test_mistakes_are_one_line(network: IdentityNetwork, tmp_path: Path) -> None:
    (tmp_path / "model.dat").write_bytes(b"nothing")
    with pytest.raises(AssetError, match="fetch it again"):
        IdentityNetwork(tmp_path / "model.dat")
    assert np.isnan(network(np.zeros((50, 50, 3), np.uint8), np.full((478, 3), np.nan))).all()
