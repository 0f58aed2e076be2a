"""The stage with the authors' nets: their tracks in the files, in the target's deviations, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_subject import write_tiny_subject

from ua3dtalk.errors import ConfigError
from ua3dtalk.speech.priors.files import load_priors
from ua3dtalk.speech.priors.settings import PriorsSettings
from ua3dtalk.speech.priors.stage import make_priors
from ua3dtalk.speech.reference import stage
from ua3dtalk.speech.reference.priors import ReferencePriors
from ua3dtalk.subject import Subject

FILES = {"wav2lip": "w.pth", "audio2style": "a.pth", "deep3d": "d.pth"}
SMALL = {"token_components": 4, "mel_components": 4, "members": 1, "steps": 8, "hidden": 4, "crop": 10}


def settings(**values: Any) -> PriorsSettings:
    return PriorsSettings(source="reference", **{**FILES, **SMALL, **values})


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return write_tiny_subject(tmp_path / "tiny", frames=120)


@pytest.fixture
def found(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> ReferencePriors:
    """What the authors' nets would say, without running them: an expression and noisy readings of it."""
    rng = np.random.default_rng(0)
    truth = 3 + 2 * subject.speech.features[::2, :1].astype(np.float32) @ rng.standard_normal((1, 64))
    noisy = [truth + 0.2 * rng.standard_normal(truth.shape) for _ in range(2)]
    tone = 5 + rng.standard_normal(truth.shape)
    found = ReferencePriors(noisy[0], tone, noisy[1], truth)
    monkeypatch.setattr(stage, "reference_priors", lambda *_, **__: found)
    return found


def test_the_files_hold_the_authors_tracks(subject: Subject, found: ReferencePriors, tmp_path: Path) -> None:
    make_priors(
        subject=subject,
        out=subject.root / "priors.npz",
        out_model=tmp_path / "priors.safetensors",
        picture=tmp_path / "priors.png",
        settings=settings(),
        seed=0,
        state="s",
    )
    priors = subject.priors
    train = subject.train_frames
    mean, deviation = found.expression[train].mean(0), found.expression[train].std(0)
    np.testing.assert_allclose(priors.expression, (found.expression - mean) / deviation, atol=1e-4)
    np.testing.assert_allclose(priors.lip_expression, (found.lip_expression - mean) / deviation, atol=1e-4)
    np.testing.assert_allclose(priors.mixed, (found.mixed - mean) / deviation, atol=1e-4)
    np.testing.assert_allclose(priors.voice_style[train].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(priors.voice_style[train].std(0), 1, atol=1e-3)
    assert (priors.variance > 0).all() and (priors.novelty >= 0).all()
    usual = np.median(priors.variance, axis=0)
    error = ((priors.mixed - priors.expression)[train] ** 2).mean(0)
    assert np.corrcoef(np.log(usual), np.log(error))[0, 1] > 0.9
    with np.load(subject.root / "priors.npz") as data:
        assert data["names"][0] == "deep3dExpression00" and data["mouth"].all()
        assert data["correlation"].mean() > 0.8
    new = load_priors(tmp_path / "priors.safetensors").read(subject.speech, subject.clips)
    assert new.mixed.shape == (120, 64) and np.isfinite(new.mixed).all()


@pytest.mark.parametrize("key", sorted(FILES))
def test_a_file_that_is_not_named_is_one_line(subject: Subject, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^priors\.{key} is not set") as error:
        stage.fit_reference(subject, settings(**{key: None}), 0)
    assert "\n" not in str(error.value) and "licences.md" in str(error.value)


def test_a_pool_is_refused(subject: Subject) -> None:
    with pytest.raises(ConfigError, match=r"priors\.pool"):
        stage.fit_reference(subject, settings(pool=("anna",)), 0)
