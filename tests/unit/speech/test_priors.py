"""Prior Extraction: plain formulas, honesty about held-out frames, files, and that speech is read at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_subject import write_tiny_subject

from ua3dtalk.errors import DataError
from ua3dtalk.speech.priors.blocks import BLOCKS, GAP, Blocks, correlation, cut_blocks
from ua3dtalk.speech.priors.files import load_priors
from ua3dtalk.speech.priors.fit import Priors, fit_priors
from ua3dtalk.speech.priors.hearing import gaussian_taps, half_whitened_axes, window_axes
from ua3dtalk.speech.priors.kernel import Examples, KernelProblem, cross_validated
from ua3dtalk.speech.priors.nets import PriorNets
from ua3dtalk.speech.priors.novelty import NEIGHBOURS, fit_novelty
from ua3dtalk.speech.priors.reader import ALL_NEW, LEAST_ERROR, LEAST_VARIANCE, fit_mixing
from ua3dtalk.speech.priors.ridge import ridge_by_blocks
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.priors.stage import make_priors
from ua3dtalk.speech.priors.targets import OPENING, expression_targets
from ua3dtalk.speech.priors.train import Added, crops, runs
from ua3dtalk.speech.windows import mel_windows, token_windows
from ua3dtalk.subject import Clip, Speech, Subject

OWN = PriorsSettings(token_components=6, mel_components=8, hidden=4, members=1, steps=4, crop=20)
NAMES = tuple(f"c{k}" for k in range(51))


def rewrite(path: Path, **changed: np.ndarray) -> None:
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    np.savez(path, **{**arrays, **changed})


def write_talker(folder: Path, seed: int = 0, mel_width: int = 80) -> Subject:
    """Ten seconds; of 52 coefficients the first opens the jaw, the others are noise or stand still."""
    subject = write_tiny_subject(folder, frames=250, size=16, seed=seed)
    coefficients = np.zeros((250, 52), np.float32)
    coefficients[:, 0] = subject.expression.coefficients[:, 0]
    coefficients[:, 1] = np.random.default_rng(seed + 9).uniform(0, 1, 250)
    rewrite(folder / "expression.npz", coefficients=coefficients, names=np.array(["jawOpen", *NAMES]))
    return Subject(folder)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return write_talker(tmp_path_factory.mktemp("talker"))


@pytest.fixture(scope="module")
def fitted(talker: Subject) -> Priors:
    return fit_priors(talker, [], OWN, 0)


def made_up(n: int = 120, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Codes of n frames and expressions of which the first is told by them, the second not."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((n, width))
    told = np.sin(codes[:, 0]) + codes[:, 1] + 0.1 * rng.standard_normal(n)
    return codes, np.stack([told / told.std(), rng.standard_normal(n)], 1)


def no_others(width: int = 5, columns: int = 2) -> Examples:
    return Examples(np.zeros((0, width)), np.zeros((0, columns)), np.zeros(0, int))


def kernel_by_loops(a: np.ndarray, b: np.ndarray, spread: float) -> np.ndarray:
    return np.array([[np.exp(-np.sum((x - y) ** 2) / spread) for y in b] for x in a])


def test_blocks_keep_their_distance_and_leave_out_no_frame() -> None:
    train = np.r_[0:100, 130:200]
    fitted = train[train % 7 != 0]
    blocks = cut_blocks(230, train, fitted)
    parts = list(blocks)
    assert len(parts) == BLOCKS + 1
    read = np.concatenate([frames for _, frames in parts])
    assert sorted(read) == list(range(230))
    for rows, frames in parts[:-1]:
        assert len(rows) and np.isin(rows, fitted).all() and np.isin(frames, train).all()
        inside = frames[np.isin(frames, fitted)]
        assert np.abs(rows[:, None] - inside).min() > GAP
    rows, frames = parts[-1]
    assert np.array_equal(rows, fitted) and np.array_equal(np.sort(frames), np.r_[100:130, 200:230])


def test_correlation_is_numpys_and_nothing_where_nothing_moves() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 30, 3))
    b[:, 2] = 4
    found = correlation(a, b)
    np.testing.assert_allclose(found[:2], [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(2)], atol=1e-12)
    assert found[2] == 0


def test_kernel_solution_solves_the_regression() -> None:
    codes, targets = made_up()
    settings = PriorsSettings(penalties=(0.1,), sharing=(0.0,))
    rows = np.arange(0, 100)
    problem = KernelProblem(codes, targets, np.arange(120), no_others(), 3.0, settings)
    (solution,) = problem.solve(rows)
    gram = kernel_by_loops(codes[rows], codes[rows], 3.0)
    mean = targets[rows].mean(0)
    wanted = kernel_by_loops(codes[100:], codes[rows], 3.0) @ np.linalg.solve(
        gram + 0.1 * np.eye(100), targets[rows] - mean
    )
    np.testing.assert_allclose(problem.read(solution, np.arange(100, 120)), wanted + mean, atol=1e-8)
    np.testing.assert_allclose(problem.reader(solution).read(codes[100:]), wanted + mean, atol=1e-4)


def test_pooled_frames_count_by_their_share() -> None:
    """The joint kernel is share times the sounds' kernel between actors, and one half of the frames is another's."""
    codes, targets = made_up()
    others = Examples(codes[60:90], targets[60:90], np.array([1] * 15 + [2] * 15))
    settings = PriorsSettings(penalties=(0.1,), sharing=(0.4,))
    problem = KernelProblem(codes, targets, np.arange(60), others, 3.0, settings)
    (solution,) = problem.solve(np.arange(60))
    actor = np.r_[np.zeros(60), others.actor]
    share = np.where(actor[:, None] == actor, 1, 0.4)
    gram = kernel_by_loops(codes[:90], codes[:90], 3.0) * share
    mean = targets[:60].mean(0)
    dual = np.linalg.solve(gram + 0.1 * np.eye(90), np.vstack([targets[:60] - mean, targets[60:90]]))
    across = kernel_by_loops(codes[90:], codes[:90], 3.0) * np.where(actor == 0, 1, 0.4)
    np.testing.assert_allclose(problem.read(solution, np.arange(90, 120)), across @ dual + mean, atol=1e-8)
    np.testing.assert_allclose(problem.reader(solution).read(codes[90:]), across @ dual + mean, atol=1e-4)


def test_a_share_of_nothing_is_no_pool() -> None:
    codes, targets = made_up()
    settings = PriorsSettings(penalties=(0.1,), sharing=(0.0,))
    others = Examples(codes[:40], targets[:40] + 5, np.ones(40, int))
    read = []
    for pool in (no_others(), others):
        problem = KernelProblem(codes, targets, np.arange(60), pool, 3.0, settings)
        (solution,) = problem.solve(np.arange(60))
        read.append(problem.read(solution, np.arange(60, 120)))
    np.testing.assert_allclose(read[0], read[1], atol=1e-9)


def test_each_coefficient_gets_the_choice_that_reads_unseen_blocks_best() -> None:
    codes, targets = made_up(200)
    settings = PriorsSettings(penalties=(0.01, 100.0), sharing=(0.0,))
    blocks = cut_blocks(200, np.arange(150), np.arange(150))
    read, reader = cross_validated(KernelProblem(codes, targets, np.arange(150), no_others(), 6.0, settings), blocks)
    assert np.corrcoef(read[150:, 0], targets[150:, 0])[0, 1] > 0.9
    assert read[:, 1].std() < 0.2  # noise is not learned
    np.testing.assert_allclose(reader.read(codes[150:]), read[150:], atol=1e-4)


def test_novelty_is_the_distance_to_the_nearest_sounds_of_other_blocks() -> None:
    windows, _ = made_up(200)
    blocks = cut_blocks(200, np.arange(160), np.arange(160))
    novelty, new = fit_novelty(windows, blocks)

    def plainly(frame: int, rows: np.ndarray) -> float:
        return float(np.mean(sorted(np.sum((windows[frame] - windows[row]) ** 2) for row in rows)[:NEIGHBOURS]))

    parts = list(blocks)
    distances = [plainly(frame, rows) for rows, frames in parts[:-1] for frame in frames]
    assert float(novelty.usual) == pytest.approx(np.mean(distances), rel=1e-4)
    np.testing.assert_allclose(new[:160], np.array(distances) / np.mean(distances), rtol=1e-4)
    assert new[170] == pytest.approx(plainly(170, np.arange(160)) / np.mean(distances), rel=1e-4)
    np.testing.assert_allclose(novelty(windows[160:]), new[160:], rtol=1e-4)
    assert novelty(windows[160:] + 20).min() > 10


def test_ridge_is_the_normal_equations_on_plain_windows(talker: Subject) -> None:
    rows = np.arange(0, 160)
    blocks = cut_blocks(250, talker.train_frames, rows)
    speech, clips = talker.speech, talker.clips
    targets = expression_targets(talker, talker.train_frames).values[:, 52:53]
    read, ridge = ridge_by_blocks(speech, clips, targets, blocks, 1000)
    frames = np.arange(250)
    windows = np.hstack(
        [w(speech, clips, frames, r).reshape(250, -1) for w, r in ((token_windows, 4), (mel_windows, 6))]
    )
    windows = windows.astype(np.float64)
    standard = (windows - windows[rows].mean(0)) / (windows[rows].std(0) + 1e-4) / np.sqrt(windows.shape[1])
    found = []
    for penalty in np.logspace(-3, 3, 13):
        gram = standard[rows] @ standard[rows].T + penalty * np.eye(160)
        found.append(standard[rows].T @ np.linalg.solve(gram, targets[rows] - targets[rows].mean(0)))
    held_out = [standard[200:] @ weights + targets[rows].mean(0) for weights in found]
    assert min(np.abs(guess - read[200:]).max() for guess in held_out) < 1e-3
    np.testing.assert_allclose(ridge.read(speech, clips, frames)[200:], read[200:], atol=1e-3)


def test_taps_are_a_gaussian_of_unit_energy_around_the_frame() -> None:
    taps = gaussian_taps(4, 5, 2.0)
    assert len(taps) == 44 and (taps**2).sum() == pytest.approx(1)
    np.testing.assert_allclose(taps, taps[::-1], rtol=1e-5)
    places = (np.arange(44) - 21.5) / 4
    np.testing.assert_allclose(np.diff(np.log(taps**2)), np.diff(-0.5 * (places / 2) ** 2), rtol=1e-3, atol=1e-5)


def test_whitening_takes_deviations_to_a_power() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((500, 6)) * [5, 3, 2, 1, 0.5, 0.1]) @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    rows = (rows - rows.mean(0)).astype(np.float32)
    plain, half, white = (rows @ half_whitened_axes(rows, 4, power) for power in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(white.std(0), 1, rtol=1e-3)
    np.testing.assert_allclose(half.std(0) ** 2, plain.std(0), rtol=1e-3)
    assert (np.diff(plain.std(0)) < 0).all()


def test_codes_keep_distances() -> None:
    windows = np.random.default_rng(2).standard_normal((30, 80)).astype(np.float32)
    axes = window_axes(windows, 100)
    assert axes.shape == (80, 30)
    np.testing.assert_allclose(axes.T @ axes, np.eye(30), atol=1e-4)
    codes = windows @ axes
    np.testing.assert_allclose(((codes[0] - codes[1]) ** 2).sum(), ((windows[0] - windows[1]) ** 2).sum(), rtol=1e-4)


def test_crops_cover_every_frame_once_and_cross_no_border() -> None:
    def clip(first: int, length: int) -> Clip:
        return Clip("a.mp4", "", first, length, first + length, None, 25.0, 8, 8, (0, 0, 8))

    rows = np.r_[0:37, 40:100, 100:130]
    stretches = runs(rows, [clip(0, 100), clip(100, 50)])
    assert stretches == [(0, 37), (40, 100), (100, 130)]
    frames, inside = crops(stretches, 16, np.random.default_rng(0))
    assert frames.shape == inside.shape and frames.shape[1] == 16
    assert np.array_equal(np.sort(frames[inside]), rows)
    for row in frames:
        assert any(first <= row.min() and row.max() < end for first, end in stretches)


def test_nets_add_nothing_before_training() -> None:
    nets = PriorNets(5, 7, 4, 0.3)
    for part in (0, 2):
        assert not nets(torch.randn(2, 9, 5), torch.randn(2, 9, 7), torch.randn(2, 9, 64))[part].any()


def test_the_style_net_hears_both_directions_of_time() -> None:
    torch.manual_seed(0)
    style = PriorNets(5, 7, 4, 0.0).style.eval()
    for values in style.out.parameters():
        torch.nn.init.normal_(values)
    mel = torch.randn(1, 12, 7)
    whole = style(mel)
    changed = mel.clone()
    changed[:, 6] += 3
    moved = (style(changed) - whole).abs().amax(2)[0]
    assert moved[0] > 0 and moved[11] > 0
    np.testing.assert_allclose(style(torch.cat([mel, mel]))[1].detach(), whole[0].detach(), atol=1e-6)


def test_mixing_takes_what_helps_and_leaves_what_does_not() -> None:
    rng = np.random.default_rng(3)
    truth = rng.standard_normal((400, 64))
    reading = 0.5 * truth + 0.5 * rng.standard_normal(truth.shape)
    missing, noise = truth - reading, rng.standard_normal(truth.shape)
    mixing = fit_mixing(reading, Added(missing, noise, noise), truth, np.zeros(64), 0.0)
    assert mixing.lips.min() > 0.99 and mixing.fused.max() < 1e-6 and mixing.error.max() == LEAST_ERROR
    mixing = fit_mixing(reading, Added(noise, noise, noise), truth, np.zeros(64), 0.0)
    assert mixing.lips.max() < 0.3
    plain = ((reading - truth) ** 2).mean(0)
    assert (mixing.error <= plain + 1e-9).all()


def test_variance_grows_with_novelty_up_to_the_expressions_own() -> None:
    rng = np.random.default_rng(4)
    truth = rng.standard_normal((300, 64))
    reading = truth + 0.5 * rng.standard_normal(truth.shape)
    nothing = Added(*(np.zeros((300, 64)) for _ in range(3)))
    mixing = fit_mixing(reading, nothing, truth, np.zeros(64), 0.5)
    variance = mixing.variance(np.array([0.0, 1.0, 2.0, ALL_NEW, 9.0]))
    assert (np.diff(variance, axis=0) >= 0).all() and (variance >= LEAST_VARIANCE * mixing.error - 1e-12).all()
    np.testing.assert_allclose(variance[1], mixing.error)
    np.testing.assert_allclose(variance[3:], 1)


def test_a_shrunken_opening_is_enlarged_by_half_of_what_was_lost() -> None:
    rng = np.random.default_rng(5)
    truth = rng.standard_normal((20_000, 64))
    heard = truth + rng.standard_normal(truth.shape)
    reading = heard / 2  # the regression's best, correlation .71
    nothing = Added(*(np.zeros_like(truth) for _ in range(3)))
    mixing = fit_mixing(reading, nothing, truth, np.zeros(64), 0.5)
    assert mixing.enlarged[52] == pytest.approx(2**0.25, rel=0.02)
    assert (np.delete(mixing.enlarged, 52) == 1).all()


def test_targets_are_standardised_and_still_ones_are_not_blown_up(talker: Subject) -> None:
    targets = expression_targets(talker, talker.train_frames)
    train = targets.values[talker.train_frames]
    assert targets.values.shape == (250, 64) and targets.names[52] == OPENING
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    moving = targets.deviation > 1e-3
    np.testing.assert_allclose(train.std(0)[moving], 1, atol=1e-3)
    assert not train[:, ~moving].any()
    assert targets.mouth[0] and targets.mouth[52] and not targets.mouth[1:52].any()


def test_speech_is_read_on_held_out_frames(talker: Subject, fitted: Priors) -> None:
    held_out, by_blocks = fitted.correlations(fitted.track.mixed)
    opening = fitted.targets.names.index(OPENING)
    assert held_out[opening] > 0.8 and by_blocks[opening] > 0.75 and held_out[0] > 0.8
    assert abs(held_out[1]) < 0.4 and (fitted.track.variance > 0).all()
    usual = fitted.track.novelty[fitted.test].mean()
    assert 0.3 < usual < 3


def test_foreign_sounds_are_new_and_doubtful(talker: Subject, fitted: Priors) -> None:
    rng = np.random.default_rng(6)
    features = 8 * rng.standard_normal(talker.speech.features.shape)
    foreign = fitted.reader.read(Speech(features, talker.speech.mel * 3, "tiny"), talker.clips)
    own = fitted.track.novelty[fitted.test]
    assert foreign.novelty.mean() > 2 * own.mean()
    assert foreign.variance[:, 52].mean() > fitted.track.variance[fitted.test, 52].mean()


def test_the_reader_reads_held_out_frames_as_the_track_does(talker: Subject, fitted: Priors) -> None:
    again = fitted.reader.read(talker.speech, talker.clips)
    for name in ("lip_expression", "voice_style", "mixed", "variance", "novelty"):
        whole, track = getattr(again, name), getattr(fitted.track, name)
        np.testing.assert_allclose(whole[fitted.test], track[fitted.test], atol=2e-3, rtol=2e-3, err_msg=name)
    train = talker.train_frames
    assert not np.allclose(again.mixed[train], fitted.track.mixed[train], atol=1e-2)  # those are of other models


def test_no_held_out_frame_influences_anything(talker: Subject, fitted: Priors, tmp_path: Path) -> None:
    root = Path(shutil.copytree(talker.root, tmp_path / "copy"))
    rng, first = np.random.default_rng(0), int(talker.test_frames[0])
    points, features = talker.landmarks.points.copy(), talker.speech.features.copy()
    mel, coefficients = talker.speech.mel.copy(), talker.expression.coefficients.copy()
    points[first:] += 5 * rng.standard_normal(points[first:].shape)
    features[2 * first :] = rng.standard_normal(features[2 * first :].shape)
    mel[4 * first :] = 9
    coefficients[first:] = rng.uniform(0, 1, coefficients[first:].shape)
    rewrite(root / "landmarks.npz", points=points)
    rewrite(root / "speech.npz", features=features, mel=mel)
    rewrite(root / "expression.npz", coefficients=coefficients)
    other = fit_priors(Subject(root), [], OWN, 0)
    assert np.array_equal(fitted.targets.values[:first], other.targets.values[:first])
    for part in ("kernel", "ridge", "novelty", "mixing"):
        for name, value in vars(getattr(fitted.reader, part)).items():
            changed = getattr(getattr(other.reader, part), name)
            np.testing.assert_allclose(changed, value, rtol=1e-5, atol=1e-5, err_msg=f"{part}.{name}")
    for name, value in fitted.reader.nets[0].state_dict().items():
        np.testing.assert_allclose(other.reader.nets[0].state_dict()[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    assert not np.array_equal(fitted.track.mixed[first:], other.track.mixed[first:])  # the change was one


def test_pooled_actors_of_another_encoder_are_one_line(talker: Subject, tmp_path: Path) -> None:
    other = write_talker(tmp_path / "other", seed=3)
    rewrite(other.root / "speech.npz", encoder=np.array("else"))
    with pytest.raises(DataError, match="cannot be pooled") as caught:
        fit_priors(talker, [Subject(other.root)], OWN, 0)
    assert "\n" not in str(caught.value)


def test_too_short_a_clip_is_one_line(talker: Subject) -> None:
    subject = Subject(talker.root)
    subject.landmarks.valid[:150] = False
    with pytest.raises(DataError, match="give a longer clip") as caught:
        fit_priors(subject, [], OWN, 0)
    assert "\n" not in str(caught.value)


def test_a_clip_without_a_sound_leaves_the_face_at_rest(talker: Subject) -> None:
    subject = Subject(talker.root)
    subject.speech.features[:] = 0.25
    subject.speech.mel[:] = -11
    priors = fit_priors(subject, [], OWN, 0)
    assert np.isfinite(priors.track.mixed).all() and np.isfinite(priors.track.variance).all()
    assert np.ptp(priors.track.lip_expression[priors.test], axis=0).max() < 0.1


def test_the_stage_writes_what_the_bundle_promises(talker: Subject, tmp_path: Path) -> None:
    other = write_talker(tmp_path / "other", seed=3)
    paths = {name: tmp_path / name for name in ("priors.npz", "priors.safetensors", "priors.png")}
    make_priors(
        subject=talker,
        pooled=[other],
        out=paths["priors.npz"],
        out_model=paths["priors.safetensors"],
        picture=paths["priors.png"],
        settings=OWN,
        seed=0,
        state="abc",
    )
    with np.load(paths["priors.npz"]) as data:
        for name in ("expression", "lip_expression", "voice_style", "mixed", "variance"):
            assert data[name].shape == (250, 64) and data[name].dtype == np.float32
        assert data["novelty"].shape == (250,) and str(data["state"]) == "abc"
        assert all(data[name].shape == (64,) for name in ("names", "mouth", "correlation", "cv_correlation_ridge"))
        track = data["mixed"][talker.test_frames]
    read = load_priors(paths["priors.safetensors"]).read(talker.speech, talker.clips)
    np.testing.assert_allclose(read.mixed[talker.test_frames], track, atol=2e-3)
    assert paths["priors.png"].stat().st_size > 10_000


@pytest.mark.parametrize("share", [0.0, 0.4, 0.99])
def test_truncated_file_is_one_line(fitted: Priors, tmp_path: Path, share: float) -> None:
    from ua3dtalk.speech.priors.files import save_priors

    path = tmp_path / "priors.safetensors"
    save_priors(fitted.reader, path, "abc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"priors\.safetensors cannot be read") as caught:
        load_priors(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_priors(tmp_path / "priors.safetensors")


def test_blocks_are_centred_one_by_one() -> None:
    series = np.repeat([[1.0], [5.0], [-2.0], [0.0], [9.0]], 10, 0)
    assert not Blocks(np.arange(50), np.repeat(np.arange(5), 10)).centred(series).any()
