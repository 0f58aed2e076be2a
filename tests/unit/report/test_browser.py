"""The pages in headless Chromium: they play in step, follow, fit and do not complain."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from report_bundle import grey

from ua3dtalk.report.compare import Outputs

READY = "[...document.querySelectorAll('.player')].every((one) => one.dataset.frame !== undefined)"
FRAME = "Number(document.getElementById('main').dataset.frame)"
# The greys in the middle of the first two panels of the first film.
GREY = """
const scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const greys = [...document.querySelectorAll("#main canvas")].slice(0, 2).map((canvas) => {
  scratch.drawImage(canvas, 0, 0);
  return scratch.getImageData(32, 32, 1, 1).data[1];
});
"""
SEEK = "const r = document.querySelector('#main input'); r.value = {}; r.dispatchEvent(new Event('input'));"
CLOCK = "const v = document.querySelector('#main video'); return [v.currentTime, Number(v.parentElement.dataset.frame)]"


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The actor's page, ready."""
    return load(browser, page)


def load(browser: Browser, path: Path, width: int = 1280, scheme: str = "light", media: str = "screen") -> Browser:
    browser.resize(width, scheme=scheme, media=media)
    browser.console()
    browser.open(path)
    browser.wait(READY)
    return browser


def shown(browser: Browser) -> tuple[int, float, float]:
    """Which frame the page says it shows, and which the pictures of truth and render are (render: 8 brighter)."""
    found = browser.run(f"{GREY} return [{FRAME}, ...greys]")
    return int(found[0]), (found[1] - grey(0)) / 4, (found[2] - 8 - grey(0)) / 4


def assert_in_step(found: tuple[int, float, float], frame: int | None = None) -> None:
    assert frame is None or found[0] == frame
    assert found[1] == pytest.approx(found[0], abs=0.6) and found[2] == pytest.approx(found[0], abs=0.6), found


def test_it_plays_in_step_with_the_sound(opened: Browser) -> None:
    opened.run("document.querySelector('#main .play').click()")
    times = []
    for wanted in (0.2, 0.6, 1.0):
        opened.wait(f"document.querySelector('#main video').currentTime > {wanted}")
        assert_in_step(shown(opened))
        times.append(opened.run(CLOCK))
    assert all(later[1] > earlier[1] for earlier, later in pairwise(times))
    # A busy machine may show a frame late; the clock is the sound's, and pictures never lead it.
    assert all(time * 25 - frame > -0.5 for time, frame in times)
    opened.run("document.querySelector('#main .play').click()")
    opened.wait("document.querySelector('#main video').paused")
    assert opened.run("return document.querySelector('#main .play').getAttribute('aria-label')") == "Play"
    assert opened.console() == []


def test_it_stops_at_the_end_and_plays_again(opened: Browser) -> None:
    opened.run(SEEK.format(45))
    opened.wait(f"{FRAME} === 45")
    opened.run("document.querySelector('#main .play').click()")
    opened.wait("document.querySelector('#main video').ended")
    opened.wait(f"{FRAME} === 49")
    assert_in_step(shown(opened), 49)
    opened.run("document.querySelector('#main .play').click()")
    opened.wait(f"{FRAME} < 40")
    assert_in_step(shown(opened))


@pytest.mark.parametrize("frame", [0, 1, 17, 36, 49])
def test_scrubbing_shows_exactly_that_frame(opened: Browser, frame: int) -> None:
    opened.run(
        "const r = document.querySelector('#main input'); r.value = arguments[0]; r.dispatchEvent(new Event('input'))",
        frame,
    )
    opened.wait(f"{FRAME} === {frame} && !document.querySelector('#main video').seeking")
    assert_in_step(shown(opened), frame)
    assert f"frame {frame + 1} of 50" in opened.run(
        "return document.querySelector('#main .controls output').textContent"
    )


def test_the_last_of_many_quick_seeks_wins(opened: Browser) -> None:
    opened.run(
        "const r = document.querySelector('#main input');"
        "for (let k = 0; k < 40; k += 1) { r.value = k; r.dispatchEvent(new Event('input')); }"
    )
    opened.wait(f"{FRAME} === 39 && !document.querySelector('#main video').seeking")
    assert_in_step(shown(opened), 39)


def middle(browser: Browser, chart: str, share: float) -> tuple[float, float]:
    """A place inside a chart, at a share of its time."""
    box: dict[str, Any] = browser.run(
        "const s = document.getElementById(arguments[0]).firstChild;"
        "s.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const b = s.getBoundingClientRect();"
        "return {left: b.left, top: b.top, width: b.width, height: b.height};",
        chart,
    )
    left, right = box["left"] + 46, box["left"] + box["width"] - 10
    return left + share * (right - left), box["top"] + box["height"] / 2


@pytest.mark.parametrize("chart", ["main.mouth", "main.error", "main.emotion"])
def test_clicking_a_curve_goes_there(opened: Browser, chart: str) -> None:
    opened.click(*middle(opened, chart, 20 / 49))
    opened.wait(f"{FRAME} === 20")
    assert_in_step(shown(opened), 20)
    cursors = opened.run(
        "return [...document.querySelectorAll('#watch .cursor')].map((one) => Number(one.getAttribute('x1')))"
    )
    assert len(cursors) == 3 and max(cursors) - min(cursors) < 1, "all curves follow"
    assert opened.run("return document.querySelector('#watch .legend output').textContent") not in ("", "–")


def test_the_keyboard_steps_and_plays(opened: Browser) -> None:
    opened.run("document.getElementById('main.mouth').firstChild.focus()")
    for _ in range(3):
        opened.key("ArrowRight")
    opened.wait(f"{FRAME} === 3")
    opened.key("ArrowLeft")
    opened.wait(f"{FRAME} === 2")
    assert_in_step(shown(opened), 2)
    assert opened.run("return document.activeElement.getAttribute('aria-valuenow')") == "3"
    opened.key(" ")
    opened.wait(f"{FRAME} > 5")


def test_everything_that_can_be_used_can_be_reached_and_has_a_name(opened: Browser) -> None:
    nameless = opened.run(
        "return [...document.querySelectorAll('button, input, select, [tabindex], canvas')].filter((one) =>"
        " !(one.getAttribute('aria-label') || one.closest('label') || one.textContent.trim()))"
        ".map((one) => one.outerHTML)"
    )
    assert nameless == []
    assert opened.run("return [...document.querySelectorAll('[tabindex]')].every((one) => one.tabIndex === 0)")


def test_sound_of_one_film_at_a_time(opened: Browser) -> None:
    opened.run("document.querySelector('#main .play').click()")
    opened.wait("!document.querySelector('#main video').paused")
    opened.run("document.querySelector('#emotions .play').click()")
    opened.wait("document.querySelector('#main video').paused && !document.querySelector('#emotions video').paused")
    opened.run("document.querySelector('#emotions .sound').click()")
    assert opened.run("return document.querySelector('#emotions video').muted")


def test_one_table_at_a_time_is_chosen(opened: Browser) -> None:
    visible = "return [...document.querySelectorAll('#figures .tab')].map((one) => one.offsetHeight > 0)"
    assert opened.run(visible) == [True, False, False, False]
    opened.run("document.querySelectorAll('#figures .choice input')[2].click()")
    assert opened.run(visible) == [False, False, True, False]


def test_all_parts_are_there(opened: Browser) -> None:
    for part in ("watch", "figures", "uncertainty", "emotion", "cross", "training", "cost", "record", "pictures"):
        assert opened.run("return document.getElementById(arguments[0])?.offsetHeight > 0", part), part
    assert opened.run(
        "return [...document.querySelectorAll('.plot')].every((one) => one.querySelector('path.line, circle'))"
    )
    assert opened.run("return [...document.images].length === document.querySelectorAll('#pictures img').length")


def test_text_of_the_users_runs_nothing(opened: Browser) -> None:
    assert opened.run("return document.querySelectorAll('[onclick], b[onclick]').length") == 0
    assert "<b onclick" in opened.run("return document.getElementById('emotion').textContent")


@pytest.mark.parametrize("width", [320, 390, 800, 1280, 1920])
def test_no_page_is_wider_than_its_window(browser: Browser, page: Path, compared: Outputs, width: int) -> None:
    for path in (page, compared.page):
        load(browser, path, width)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert browser.run("return document.documentElement.scrollWidth") <= width, path.name
        assert browser.console() == []


def luminance(colour: str) -> float:
    """Relative luminance of rgb(r, g, b) (WCAG 2)."""
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(browser: Browser, page: Path, scheme: str) -> None:
    load(browser, page, scheme=scheme)
    style = "getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    paper = luminance(browser.run(f"return {style}", "html", "backgroundColor"))
    assert (paper > 0.8) == (scheme == "light")
    for element in ("body", ".lead", ".figures td", ".figures .truth", ".tiles .note", "nav a", "abbr"):
        ink = luminance(browser.run(f"return {style}", element, "color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, element


def test_paper_has_all_tables_and_no_buttons(browser: Browser, page: Path) -> None:
    load(browser, page, width=780, media="print")
    assert browser.run("return [...document.querySelectorAll('#figures .tab')].every((one) => one.offsetHeight > 0)")
    assert browser.run("return document.querySelector('.controls').offsetHeight") == 0
    assert browser.run("return document.documentElement.scrollWidth") <= 780


def test_the_comparison_plays_and_its_curves_follow(browser: Browser, compared: Outputs) -> None:
    load(browser, compared.page)
    assert browser.run("return document.querySelectorAll('.player canvas').length") == 3
    browser.click(*middle(browser, "actor-tiny.mouth_opening", 30 / 49))
    browser.wait("document.getElementById('actor-tiny').dataset.frame === '30'")
    browser.run("document.querySelector('.play').click()")
    browser.wait("Number(document.getElementById('actor-tiny').dataset.frame) > 35")
    assert browser.run("return document.querySelectorAll('.differences tbody tr').length") >= 4
    assert browser.console() == []
