"""The page as a file: whole, closed, and safe whatever people call their clips."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_bundle import STATE, WILD, metrics_document

from ua3dtalk.errors import DataError
from ua3dtalk.report.actor import read_metrics, tiles, write_report
from ua3dtalk.report.compare import Outputs
from ua3dtalk.report.record import duration, weights
from ua3dtalk.settings import ReportSettings
from ua3dtalk.subject import Subject

VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """What is on a page: tags with their attributes, ids, text; tags that do not match raise."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)


def both(page: Path, compared: Outputs) -> list[Page]:
    return [Page(path.read_text()) for path in (page, compared.page)]


def test_a_page_loads_nothing(page: Path, compared: Outputs) -> None:
    for path in (page, compared.page):
        found = Page(path.read_text())
        for tag, attributes in found.tags:
            for name in ("src", "href", "data", "poster", "action", "srcset"):
                value = attributes.get(name)
                assert value is None or value.startswith(("data:", "#")), (tag, name, value)
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        style = "".join(re.findall(r"<style>(.*?)</style>", path.read_text(), re.S))
        assert "url(" not in style and "@import" not in style
        (policy,) = [a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy is not None and policy.startswith("default-src 'none'")


def test_text_of_the_users_stays_text(page: Path, compared: Outputs) -> None:
    for found in both(page, compared):
        assert [tag for tag, _ in found.tags].count("script") == 2, "the data and the script"
    text = " ".join(Page(page.read_text()).text)
    assert WILD in text, "the label is shown as it was written"
    assert "<script>alert(2)" in text and "folder/" not in text, "of a clip the file's name alone"


def test_links_inside_the_page_lead_somewhere(page: Path, compared: Outputs) -> None:
    for found in both(page, compared):
        ids = [a["id"] for _, a in found.tags if "id" in a]
        assert len(ids) == len(set(ids))
        targets = [a["href"] for tag, a in found.tags if tag == "a"]
        assert targets and all(target is not None and target[1:] in ids for target in targets)


def test_charts_have_a_place_and_films_a_film(page: Path, compared: Outputs) -> None:
    for path in (page, compared.page):
        (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
        data = json.loads(data)
        ids = {a.get("id") for _, a in Page(path.read_text()).tags}
        films = {film["id"] for film in data["films"]}
        assert films and films <= ids
        assert data["charts"] and {chart["id"] for chart in data["charts"]} <= ids
        assert {c["id"].split(".")[0] for c in data["charts"] if c["kind"] == "time"} <= films


def test_everything_that_was_measured_is_on_the_page(page: Path) -> None:
    text = " ".join(" ".join(Page(page.read_text()).text).split())
    for wanted in (
        "Truth", "Head at rest", "Nearest pose", "Nearest sound", "Face crop, after H.264", "Whole frame",
        "a figure of tomorrow", "1234.5000", "AUSE", "cosine 0.90, gain 0.80", "jfk", "1 min 15 s", "300 MB",
        "train_face-state", "PSNR", "higher is better", "better than 3 of 3 trivial opponents", "Settings",
    ):  # fmt: skip
        assert wanted in text or wanted.capitalize() in text, wanted


def test_the_page_says_which_state_it_is_of(page: Path) -> None:
    assert f'<meta name="ua3dtalk-state" content="{STATE}">' in page.read_text()


def test_a_comparison_shows_differences_and_their_verdict(compared: Outputs) -> None:
    found = Page(compared.page.read_text())
    assert "10 frames, 0.4 s, a block" in " ".join(found.text)
    assert json.loads(compared.table.read_text())["state"] == STATE
    verdicts = [a.get("class") for tag, a in found.tags if tag == "td" and "sure" in (a.get("class") or "")]
    assert verdicts and set(verdicts) == {"sure-good"}, "1 dB and .1 px better"


def test_without_what_a_method_does_not_have_the_page_is_shorter(copy: Path) -> None:
    document = metrics_document(Subject(copy).test_frames)
    for key in ("uncertainty", "emotions", "speed"):
        del document[key]
    (copy / "metrics.json").write_text(json.dumps(document))
    renders = json.loads((copy / "renders/test.json").read_text())
    for key in ("uncertainty", "emotions"):
        del renders[key]
    (copy / "renders/test.json").write_text(json.dumps(renders))
    for name in (
        "metrics_frames.csv",
        "emotion.npz",
        "curves/train_face.json",
        "curves/train_fuse.json",
        "cross/jfk/cross.json",
    ):
        (copy / name).unlink()
    write(copy)
    ids = {a.get("id") for _, a in Page((copy / "report.html").read_text()).tags}
    assert {"watch", "figures", "cost", "record", "pictures"} <= ids
    assert not {"uncertainty", "emotion", "training", "cross", "main.mouth", "main.emotion"} & ids


def write(root: Path, settings: ReportSettings | None = None) -> None:
    settings = settings or ReportSettings()
    out, metrics = root / "report.html", root / "metrics.json"
    write_report(subject=Subject(root), metrics=metrics, out=out, settings=settings, config={}, state=STATE)


def test_long_clips_are_shown_in_part_and_the_page_says_so(copy: Path) -> None:
    write(copy, ReportSettings(video_seconds=0.8))
    text = (copy / "report.html").read_text()
    assert "Shown: the first 0.8 s." in text and '"frames": 20' in text


@pytest.mark.parametrize(
    "file", ["metrics.json", "cross/jfk/cross.json", "curves/train_face.json", "renders/test.json"]
)
def test_a_broken_file_is_one_line(copy: Path, file: str) -> None:
    (copy / file).write_text("{")
    (copy / "report.html").unlink(missing_ok=True)
    with pytest.raises(DataError, match=re.escape(file.split("/")[-1])):
        write(copy)
    assert not (copy / "report.html").exists()


def test_metrics_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"rows": [{"psnr": 3}]}')
    with pytest.raises(DataError, match="no name or no region"):
        read_metrics(tmp_path / "metrics.json")


def test_the_top_of_the_page_says_whether_opponents_are_beaten(bundle: Subject) -> None:
    document = metrics_document(bundle.test_frames, gain=-2.5)  # between the head at rest and the nearest pose
    psnr, perceptual, *_ = tiles(document)
    assert (psnr.reading.title, psnr.value) == ("PSNR", "26.50")
    assert psnr.beaten == "better than 2 of 3 trivial opponents" and psnr.best_opponent == "Head at rest has 27.00"
    assert perceptual.beaten == "better than 3 of 3 trivial opponents"


def test_durations_and_weights_in_words() -> None:
    assert [duration(s) for s in (1.26, 42.4, 75, 3600, 8100)] == [
        "1.3 s",
        "42 s",
        "1 min 15 s",
        "1 h 0 min",
        "2 h 15 min",
    ]
    found = weights(["landmarks", "metrics", "train_face"], {"metrics": {"perceptual": "st_lpips_alex"}})
    by_name = {weight.name: weight for weight in found}
    assert by_name["face_landmarker"].stages == "landmarks, metrics"
    assert by_name["stlpips_alex"].stages == "metrics" and len(by_name["stlpips_alex"].sha256) == 64
