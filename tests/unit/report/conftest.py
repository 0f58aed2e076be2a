"""The bundle, its page and a browser as fixtures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from browser import Browser, open_browser
from report_bundle import STATE, centred_noise, metrics_document, write_bundle, write_frames, write_renders

from ua3dtalk.config import load_config
from ua3dtalk.media.encode import write_video
from ua3dtalk.report.actor import write_report
from ua3dtalk.report.compare import Outputs, write_compare
from ua3dtalk.settings import CompareSettings, ReportSettings
from ua3dtalk.subject import Subject


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Everything of an actor, with figures and a foreign voice; for reading only."""
    subject = write_bundle(tmp_path_factory.mktemp("report") / "tiny")
    test = subject.test_frames
    document = metrics_document(test, gain=1.0)
    (subject.root / "metrics.json").write_text(json.dumps(document))
    write_frames(subject.root / "metrics_frames.csv", document, centred_noise(len(test)))
    voice = subject.root / "cross/jfk"
    voice.mkdir(parents=True)
    write_video(voice / "driven.mp4", (np.full((64, 64, 3), 90, np.uint8) for _ in range(30)), audio=np.zeros(19200))
    figures = {"sync_local_confidence": 3.2, "novelty": 1.6, "novelty_own": 1.0}
    said = {"voice": {"path": "x.wav", "sha256": "ab" * 32, "seconds": 1.2}, "frames": 30, "figures": figures}
    (voice / "cross.json").write_text(json.dumps(said))
    return subject


@pytest.fixture(scope="session")
def page(bundle: Subject, root: Path) -> Path:
    """The page of the actor."""
    config = load_config(yaml.safe_load((root / "config.yaml").read_text()))
    out = bundle.root / "report.html"
    write_report(
        subject=bundle,
        metrics=bundle.root / "metrics.json",
        out=out,
        settings=config.stage("report"),
        config={name: section.model_dump(mode="json") for name, section in config.sections.items()},
        state=STATE,
    )
    return out


@pytest.fixture(scope="session")
def runs(bundle: Subject) -> list[Path]:
    """Two methods with two seeds each: the second is 1 dB better, and .1 dB more with seed 1."""
    paths = []
    test = bundle.test_frames
    for number, method in enumerate(("baseline", "ua3dtalk")):
        for seed in (0, 1):
            folder = bundle.root / "ablation" / method / str(seed)
            document = metrics_document(test, gain=number * (1 + 0.1 * seed), method=method, seed=seed)
            write_renders(folder / "renders", np.array(bundle.video[test]), 8 + number)
            (folder / "metrics.json").write_text(json.dumps(document))
            write_frames(folder / "metrics_frames.csv", document, centred_noise(len(test), seed=10 * number + seed))
            paths.append(folder / "metrics.json")
    return paths


@pytest.fixture(scope="session")
def compared(runs: list[Path], bundle: Subject) -> Outputs:
    """The files of a comparison."""
    folder = bundle.root.parent
    names = {"table": "json", "markdown": "md", "csv": "csv", "latex": "tex", "page": "html"}
    out = Outputs(**{name: folder / f"compare.{suffix}" for name, suffix in names.items()})
    settings = CompareSettings(block_frames=10, resamples=300)
    write_compare(runs=runs, results=folder, out=out, settings=settings, sizes=ReportSettings(), state=STATE)
    return out


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; tests that need it skip without it, saying why."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def copy(bundle: Subject, tmp_path: Path) -> Path:
    """A bundle of one's own, to break."""
    shutil.copytree(bundle.root, tmp_path / "tiny")
    return tmp_path / "tiny"
