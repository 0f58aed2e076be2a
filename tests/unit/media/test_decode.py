"""The stage: clips end to end on one index, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.errors import DataError, InputError
from ua3dtalk.media.decode import decode_clips
from ua3dtalk.media.probe import probe
from ua3dtalk.media.rows import RowWriter
from ua3dtalk.media.sound import clip_sound
from ua3dtalk.settings import MediaSettings
from ua3dtalk.subject import Subject, split_point

MakeClip = Callable[..., Path]
NumberOf = Callable[[np.ndarray], int]


def tone(seconds: float) -> np.ndarray:
    return 0.3 * np.sin(np.arange(round(seconds * 16_000)) * 0.3).astype(np.float32)[None]


def entry(path: Path, crop: Sequence[float], emotion: str | None = None) -> dict[str, object]:
    found = probe(path)
    return {
        "path": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "width": found.width,
        "height": found.height,
        "fps": found.fps,
        "duration": found.duration,
        "has_audio": found.has_audio,
        "emotion": emotion,
        "crop": list(crop),
    }


def run(folder: Path, clips: list[dict[str, object]], size: int = 64) -> Subject:
    folder.mkdir(exist_ok=True)
    (folder / "crop.json").write_text(json.dumps({"state": "before", "clips": clips}))
    decode_clips(
        crop=folder / "crop.json",
        out_clips=folder / "clips.json",
        out_video=folder / "video.npy",
        picture=folder / "media.png",
        settings=MediaSettings(size=size),
        state="abc",
    )
    return Subject(folder)


def test_two_clips_of_different_rates(make_clip: MakeClip, tmp_path: Path, number_of: NumberOf) -> None:
    first = make_clip(np.arange(50) / 25, "one.mp4", sound=tone(1.5))
    second = make_clip(np.arange(90) / 30, "two.mkv", size=(320, 240), sound=tone(5))
    clips = [entry(first, (0, 0, 160), "neutral"), entry(second, (0, 0, 320))]
    subject = run(tmp_path / "May", clips)
    assert subject.video.shape == (125, 64, 64, 3) and subject.video.dtype == np.uint8
    one, two = subject.clips
    assert (one.first, one.length, two.first, two.length) == (0, 50, 50, 75)
    assert (one.emotion, two.emotion) == ("neutral", None)
    assert [clip.test_first - clip.first for clip in (one, two)] == split_point([50, 75])
    assert two.crop == (0, 0, 320) and two.fps == pytest.approx(30)
    document = json.loads((tmp_path / "May" / "clips.json").read_text())
    assert (document["state"], document["fps"], document["size"], document["frames"]) == ("abc", 25, 64, 125)
    # the square of the first clip is 160 px of a picture 120 px high, so its numbers end a little higher
    assert [number_of(frame) for frame in subject.video[:50]] == list(range(50))
    assert number_of(subject.video[50]) == 0 and number_of(subject.video[50 + 25]) == 30


def test_a_second_run_gives_the_same_bytes(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = entry(make_clip(np.arange(50) / 24, sound=tone(2)), (-11, 3, 97.5))
    first, second = run(tmp_path / "a", [clip]), run(tmp_path / "b", [clip])
    for name in ("video.npy", "clips.json", "media.png"):
        assert (first.root / name).read_bytes() == (second.root / name).read_bytes(), name


def test_a_changed_clip_is_noticed(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = entry(make_clip(np.arange(50) / 25, sound=tone(2)), (0, 0, 100))
    make_clip(np.arange(40) / 25, sound=tone(2))
    with pytest.raises(DataError, match="has changed"):
        run(tmp_path / "a", [clip])


def test_a_damaged_clip_leaves_nothing_behind(make_clip: MakeClip, tmp_path: Path) -> None:
    """The index lists all packets, but half of the picture data is zeros."""

    def noise(index: int, width: int, height: int) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)

    path = make_clip(np.arange(100) / 25, picture=noise, sound=tone(4))
    content = bytearray(path.read_bytes())
    first, last = content.index(b"mdat"), content.index(b"moov")
    first, last = first + (last - first) * 4 // 10, first + (last - first) * 9 // 10
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    clip = entry(path, (0, 0, 100))
    with pytest.raises(InputError, match=r"damaged.*can be decoded"):
        run(tmp_path / "a", [clip])
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["crop.json"]


def test_unreadable_crop_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        run(tmp_path / "a", [])


PEAK = """
import resource, sys
from pathlib import Path
from ua3dtalk.settings import MediaSettings
from ua3dtalk.media.decode import decode_clips
folder = Path(sys.argv[1])
decode_clips(crop=folder / "crop.json", out_clips=folder / "c.json", out_video=folder / "v.npy",
             picture=folder / "p.png", settings=MediaSettings(size=256), state="")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_length(make_clip: MakeClip, tmp_path: Path) -> None:
    """Ten times the frames (130 MB more of them) may cost a few MB, not their size."""
    peaks = []
    for seconds in (3, 30):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        clip = make_clip(np.arange(seconds * 25) / 25, f"{seconds}.mp4", sound=tone(seconds))
        (folder / "crop.json").write_text(json.dumps({"clips": [entry(clip, (0, 0, 120))]}))
        done = subprocess.run([sys.executable, "-c", PEAK, folder], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 40, peaks


def test_rows_are_a_npy_file(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).integers(0, 255, (7, 3, 5)).astype(np.uint8)
    with RowWriter(tmp_path / "a.npy", (3, 5)) as rows:
        for row in expected:
            rows.append(row)
        with pytest.raises(ValueError, match="a row is"):
            rows.append(expected[0].astype(np.int32))
    assert np.array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), expected)


@pytest.mark.parametrize(
    "names, frames",
    [
        (["grid_bbaf2n.mpg"], 75),
        (["m030_angry.mp4", "m030_sad.mp4"], 174),
        (["portrait_1080x1920.mp4"], 250),
    ],
)
def test_real_clips(clips: Path, tmp_path: Path, names: list[str], frames: int) -> None:
    entries = []
    for name in names:
        found = probe(clips / "video" / name)
        side = min(found.width, found.height)
        entries.append(entry(clips / "video" / name, (0, -10, side)))
    subject = run(tmp_path / "a", entries, 128)
    assert abs(subject.frame_count - frames) <= 1
    sound = np.concatenate([clip_sound(clip, clip.length) for clip in subject.clips])
    assert len(sound) == subject.frame_count * 640
    assert np.sqrt((sound**2).mean()) > 0.005
    assert subject.video[::10].std() > 10


def test_the_silent_real_clip(clips: Path) -> None:
    with pytest.raises(InputError, match="no audio track"):
        probe(clips / "video" / "fadg0_headturn_silent.mp4")
