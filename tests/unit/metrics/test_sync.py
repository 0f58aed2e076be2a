"""Every row gets the figures of the nets that are there, and of no others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ua3dtalk.errors import DataError
from ua3dtalk.metrics.detect import Faces
from ua3dtalk.metrics.rows import Row
from ua3dtalk.metrics.scene import Scene
from ua3dtalk.metrics.sync import read_offsets, sync_readings
from ua3dtalk.subject import Speech, Subject
from ua3dtalk.sync.figures import LOCAL, PUBLISHED, local_figures
from ua3dtalk.sync.net import LocalSync, load_net, save_net
from ua3dtalk.sync.syncnet import SyncNet


def test_rows(tiny_subject: Subject, tmp_path: Path) -> None:
    speech = Speech(tiny_subject.speech.features, tiny_subject.speech.mel, "whisper-base")
    subject = SimpleNamespace(speech=speech, audio=tiny_subject.audio)
    frames = np.arange(10, 60)
    points = tiny_subject.landmarks.points[frames]
    faces = [Faces(found, np.zeros((50, 52)), ()) for found in (points, np.full_like(points, np.nan))]
    rows = [Row(name, (), tiny_subject.video, frames) for name in ("truth", "ours")]
    save_net(LocalSync(speech.features.shape[1]).eval(), tmp_path / "net.safetensors", {})

    def figures(local: Path | None, syncnet: Path | None) -> list[dict[str, object]]:
        scene = Scene(rows, frames, faces, {}, np.zeros((len(frames), 4)), 25)
        found = sync_readings(scene, rows, subject, local, syncnet)  # type: ignore[arg-type]
        assert [reading.row for reading in found] == [0, 1]
        return [dict(reading.figures) for reading in found]

    truth, ours = figures(tmp_path / "net.safetensors", None)
    expected = local_figures(load_net(tmp_path / "net.safetensors"), points, speech, frames)
    assert truth == expected and set(expected) == set(LOCAL)
    assert ours == dict.fromkeys(LOCAL), "nobody is seen"
    assert figures(None, None) == [{}, {}]
    torch.save(SyncNet().state_dict(), tmp_path / "syncnet_v2.model")
    rows[0] = Row("truth", (), tiny_subject.video, frames[:8])
    faces[0] = Faces(points[:8], np.zeros((8, 52)), ())
    frames = frames[:8]
    faces[1] = faces[0]
    truth, _ = figures(None, tmp_path / "syncnet_v2.model")
    assert set(truth) == {*PUBLISHED} and all(truth[key] is not None for key in PUBLISHED)


def test_offsets_of_the_source_clips(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"state": "s", "clips": [{"path": "a.mp4", "offset": 0.01}]}))
    assert read_offsets(tmp_path / "a.json") == [{"path": "a.mp4", "offset": 0.01}]
    with pytest.raises(DataError, match="cannot be read"):
        read_offsets(tmp_path / "b.json")
