"""The page in headless Chromium: it shows the head that our rasteriser draws, follows the sound and asks the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from browser import Browser
from glb_reader import Glb

from ua3dtalk.rendering.uncertainty import FULL_SCALE, heat
from ua3dtalk.splat.rasterise import rasterization
from ua3dtalk.viewer.server import Server
from ua3dtalk.viewer.studio import Studio
from ua3dtalk.viewer.view import ViewOptions, view

SIDE = 64
FRAME = "viewer.frame"
MOST_OFF = 0.5  # of 255, mean over the picture: what 16-bit blending and the order of near Gaussians leave


@pytest.fixture
def opened(browser: Browser, server: Server) -> Browser:
    """The served page with its head."""
    return load(browser, f"http://127.0.0.1:{server.server_address[1]}/")


def load(browser: Browser, address: str | Path, width: int = 1000, scheme: str = "light") -> Browser:
    browser.resize(width, scheme=scheme)
    browser.console()
    browser.open(address)
    browser.wait("viewer && viewer.head && viewer.drawn > 0")
    return browser


def picture(browser: Browser, setting: str = "") -> np.ndarray:
    """What the page draws now, [64, 64, 3], before black."""
    script = f"""
    {setting}
    document.getElementById("backdrop").value = "#000000";
    const canvas = viewer.painter.canvas, side = canvas.width;
    canvas.width = canvas.height = {SIDE};
    viewer.paint();
    const found = viewer.painter.pixels();
    canvas.width = canvas.height = side;
    viewer.paint();
    return found;
    """
    return np.array(browser.run(script), np.uint8).reshape(SIDE, SIDE, 4)[..., :3].astype(float)


def complaints(browser: Browser) -> list[str]:
    """What the page wrote or broke; that tests read pictures back is no fault of its own."""
    return [line for line in browser.console() if "ReadPixels" not in line]


def meant(path: Path, frame: int, doubt: bool = False) -> np.ndarray:
    """The same by our rasteriser: the mouth's layer, and the face's before it."""
    glb = Glb(path)
    splats, camera, first = glb.splats(frame), glb.camera(frame), glb.extras["mouth"]
    values = splats.doubt.exp()[:, None] if doubt and splats.doubt is not None else glb.sh
    behind = torch.full((SIDE, SIDE, 1), 1e-5) if doubt else torch.zeros(SIDE, SIDE, 3)
    for part in (slice(first, None), slice(0, first)):
        colour, alpha, _ = rasterization(
            splats.means[part],
            splats.quats[part],
            splats.scales[part].clamp_min(0),
            glb.opacities[part],
            values[part],
            camera.viewmat[None],
            camera.K[None],
            SIDE,
            SIDE,
            sh_degree=None if doubt else 1,
        )
        behind = colour[0] + (1 - alpha[0]) * behind
    if doubt:
        return heat(behind[..., 0].sqrt().numpy() / FULL_SCALE).astype(float)
    return behind.clamp(0, 1).numpy().astype(float) * 255


def test_it_shows_what_our_rasteriser_draws(opened: Browser, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(server.desk.head)
    frames = [picture(opened, f"viewer.seek({frame});") for frame in (0, 9, 20)]
    for frame, found in zip((0, 9, 20), frames, strict=True):
        assert found.max() > 100
        assert np.abs(found - meant(tmp_path / "a.glb", frame)).mean() < MOST_OFF
    assert np.abs(frames[1] - frames[0]).mean() > 1
    unsure = picture(opened, "document.getElementById('doubt').click();")
    assert np.abs(unsure - meant(tmp_path / "a.glb", 20, doubt=True)).mean() < MOST_OFF
    assert np.abs(unsure - frames[2]).mean() > 5
    assert complaints(opened) == []


def test_it_plays_with_the_sound_and_stops_at_the_end(opened: Browser) -> None:
    opened.run("document.getElementById('play').click()")
    opened.wait(f"{FRAME} > 5")
    frame, seconds = opened.run("return [viewer.frame, viewer.sound.currentTime]")
    assert seconds * 25 - frame >= -1
    opened.wait(f"{FRAME} === 24 && !viewer.playing")
    assert opened.run("return document.getElementById('play').getAttribute('aria-label')") == "Play"
    opened.run("document.getElementById('play').click()")
    opened.wait(f"{FRAME} < 20")
    assert complaints(opened) == []


def test_keys_and_the_scrubber(opened: Browser) -> None:
    opened.run("const t = document.getElementById('time'); t.value = 7; t.dispatchEvent(new Event('input'))")
    opened.wait(f"{FRAME} === 7 && viewer.painter.canvas.dataset.frame === '7'")
    opened.run("document.getElementById('canvas').focus()")
    opened.key("ArrowRight")
    opened.key("ArrowRight")
    opened.key("ArrowLeft")
    assert opened.run(f"return {FRAME}") == 8
    opened.key(" ")
    opened.wait("viewer.playing")
    opened.key(" ")
    opened.wait("!viewer.playing")


def test_the_camera_goes_round_and_back(opened: Browser) -> None:
    usual = picture(opened)
    x, y = opened.run("const b = viewer.painter.canvas.getBoundingClientRect(); return [b.x + b.width / 2, b.y + 100]")
    opened.drag((x, y), (x + 60, y))
    assert opened.run("return viewer.orbit.yaw") == pytest.approx(24)
    aside = picture(opened)
    assert np.abs(aside - usual).mean() > 2
    opened.devtools("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-300)
    opened.wait("viewer.orbit.zoom > 1.2")
    assert picture(opened).astype(bool).mean() > 1.2 * aside.astype(bool).mean()
    opened.run("viewer.painter.canvas.dispatchEvent(new MouseEvent('dblclick'))")
    np.testing.assert_array_equal(picture(opened), usual)


def test_the_camera_of_the_page_is_that_of_the_films(opened: Browser, studio: Studio) -> None:
    """Gone round by 20 degrees, it stands where `--camera 20,-10` puts it."""
    from ua3dtalk.rendering.orbit import Orbit, parse_camera
    from ua3dtalk.rendering.replay import Replay

    angles = parse_camera("20,-10")
    assert angles is not None
    orbit = Orbit.around(studio.subject, Replay(studio.subject, torch.device("cpu")), angles, torch.device("cpu"))
    found = opened.run(
        "viewer.orbit.yaw = 20; viewer.orbit.pitch = -10;"
        "const v = viewer.orbit.around(viewer.head.view(3), viewer.head.centre); return [v.rotation, v.shift]"
    )
    viewmat = orbit(3).camera.viewmat.numpy()
    np.testing.assert_allclose(np.reshape(found[0], (3, 3)), viewmat[:3, :3], atol=1e-5)
    np.testing.assert_allclose(found[1], viewmat[:3, 3], atol=1e-5)


def test_the_head_keeps_still_when_asked(opened: Browser) -> None:
    opened.run("document.getElementById('follow').click()")
    still = [opened.run(f"viewer.seek({k}); viewer.paint(); return viewer.painter.rows[0]") for k in (2, 12)]
    opened.run("document.getElementById('follow').click()")
    moving = [opened.run(f"viewer.seek({k}); viewer.paint(); return viewer.painter.rows[0]") for k in (2, 12)]
    assert abs(moving[1] - moving[0]) > 3 * abs(still[1] - still[0])


def slide(browser: Browser, name: str, value: float) -> None:
    browser.run(
        "const s = document.querySelector(`.slider input[name=${arguments[0]}]`);"
        "s.value = arguments[1]; s.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def test_emotions_that_were_carried_over_need_no_server(opened: Browser) -> None:
    usual, version = picture(opened), opened.run("return server.version")
    slide(opened, "surprised", 1.5)
    assert np.abs(picture(opened) - usual).mean() > 0.3
    assert "carried over" in opened.run("return document.querySelector('[name=surprised]').parentElement.textContent")
    slide(opened, "sad", 1.0)
    strengths = opened.run("return viewer.strengths")
    assert strengths["sad"] == 1 and strengths["surprised"] == pytest.approx(0.5)
    opened.run("document.getElementById('calm').click()")
    np.testing.assert_array_equal(picture(opened), usual)
    assert opened.run("return server.version") == version


def test_the_actor_s_own_emotions_come_from_the_server(opened: Browser) -> None:
    opened.wait("server.version > 0")
    assert "carried" not in opened.run("return document.querySelector('[name=happy]').parentElement.textContent")
    usual, version = picture(opened, "viewer.seek(10);"), opened.run("return server.version")
    slide(opened, "happy", 1.5)
    opened.wait(f"server.version > {version}")
    assert np.abs(picture(opened) - usual).mean() > 0.1
    assert opened.run(f"return {FRAME}") == 10, "it goes on where it was"
    assert opened.run("return document.querySelector('[name=happy]').value") == "1.5"


def test_another_voice_and_one_that_is_none(opened: Browser, tmp_path: Path) -> None:
    opened.wait("server.version > 0")
    soundfile.write(tmp_path / "longer.wav", 0.1 * np.sin(np.arange(16_000 * 3 // 2) / 20), 16_000)
    opened.choose_file("#file", tmp_path / "longer.wav")
    opened.wait("viewer.head.frames === 38")
    opened.wait("document.getElementById('spoken').textContent === 'longer.wav'")
    (tmp_path / "text.wav").write_text("no sound")
    opened.choose_file("#file", tmp_path / "text.wav")
    opened.wait("document.getElementById('message').classList.contains('error')")
    said = opened.run("return document.getElementById('message').textContent")
    assert said.startswith("text.wav is not a video or sound file") and opened.run("return viewer.head.frames") == 38
    opened.run("server.voice({ name: 'huge.wav', size: 1e9 })")
    opened.wait("document.getElementById('message').textContent.startsWith('huge.wav has 1000 MB')")
    assert complaints(opened) == []


def test_one_page_without_a_server(browser: Browser, actor: Path, voice: Path, tmp_path: Path) -> None:
    view(ViewOptions(str(actor), voice, tmp_path / "anna.html", pose="still"))
    load(browser, tmp_path / "anna.html")
    assert picture(browser).max() > 100
    assert browser.run("return [viewer.sound.src.startsWith('blob:'), document.getElementById('voice').hidden]") == [
        True,
        True,
    ]
    assert "Synthetic" in browser.run("return document.querySelector('header').textContent")
    assert "model sha256" in browser.run("return document.querySelector('footer').textContent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(browser: Browser, server: Server, scheme: str) -> None:
    load(browser, f"http://127.0.0.1:{server.server_address[1]}/", 390, scheme)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    paper = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert (paper == "rgb(251, 250, 247)") == (scheme == "light")
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas')].filter((one) =>"
        " !(one.getAttribute('aria-label') || one.closest('label') || one.textContent.trim())).map((one) => one.id)"
    )
    assert nameless == [] and complaints(browser) == []
