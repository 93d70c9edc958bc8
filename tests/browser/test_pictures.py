"""Pictures of metrics in a real Chromium: seen, read, pointed at; on light pages and on dark ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from selenium.webdriver.chrome.webdriver import WebDriver

from cometfs.render.pictures.curves import Line
from cometfs.render.pictures.paper import COLOURS
from cometfs.render.pictures.plots import chart_svg
from tests.browser.test_overview_page import NASTY, logged, requested

DARK = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
LINES = [
    Line(NASTY, range(0, 1_000, 10), [step * 1e-3 for step in range(100)]),
    Line("gaps", range(100), ["NaN" if step % 7 == 3 else str(1 - step / 100) for step in range(100)]),
    Line("dot", [500], [0.8]),
]


@pytest.fixture
def picture(chromium: WebDriver, directory: Path) -> Iterator[Path]:
    """One on disk. After the test: no message in the console, and no request to anything but files."""
    place = directory / "loss.svg"
    place.write_bytes(chart_svg(NASTY, LINES))
    logged(chromium, "browser"), logged(chromium, "performance")
    yield place
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert logged(chromium, "browser") == []
    assert {urlsplit(url).scheme for url in requested(chromium)} <= {"file", "data"}


def run(chromium: WebDriver, script: str) -> Any:
    return chromium.execute_script(script)


def boxes(chromium: WebDriver, selector: str) -> list[dict[str, float]]:
    """Where the elements are, in pixels."""
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().toJSON())"
    found: list[dict[str, float]] = chromium.execute_script(script, selector)
    return found


def test_a_picture_is_read_whole_and_says_its_names_as_text(chromium: WebDriver, picture: Path) -> None:
    """Names of any letters: no element comes of them, nothing runs, each line tells its name when pointed at."""
    chromium.get(picture.as_uri())
    kinds = run(chromium, "return [...new Set([...document.querySelectorAll('*')].map(e => e.tagName))].sort()")
    assert kinds == ["g", "path", "rect", "style", "svg", "text", "title"]
    tips = run(chromium, "return [...document.querySelectorAll('g > title')].map(e => e.textContent)")
    assert sorted(tips) == sorted(line.label for line in LINES)
    assert run(chromium, "return document.title") == NASTY


def test_only_lines_become_broader_when_pointed_at(chromium: WebDriver, picture: Path) -> None:
    """Neither the grid nor the frame, a dot, or the legend."""
    chromium.get(picture.as_uri())
    rule = run(
        chromium, "return [...document.styleSheets[0].cssRules].find(r => /hover/.test(r.selectorText)).selectorText"
    )
    assert len(boxes(chromium, rule.replace(":hover", ""))) == 2
    assert len(boxes(chromium, "g path")) == 3


def test_lines_and_words_are_inside_of_the_picture(chromium: WebDriver, picture: Path) -> None:
    """And labels of one axis do not touch each other."""
    chromium.get(picture.as_uri())
    (page,) = boxes(chromium, "svg")
    assert page["width"] == 1000
    for box in boxes(chromium, "text, path"):
        assert page["left"] <= box["left"]
        assert box["right"] <= page["right"]
        assert page["top"] <= box["top"]
        assert box["bottom"] <= page["bottom"]
    across = boxes(chromium, "text[y='423'][text-anchor=middle]")
    assert len(across) > 4
    assert all(one["right"] < other["left"] for one, other in pairwise(across))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_image_has_the_colours_that_its_reader_prefers(chromium: WebDriver, picture: Path, *, dark: bool) -> None:
    """As pixels: of an `<img>`, which is how a page shows it."""
    page = picture.with_suffix(".html")
    page.write_text('<body style="margin:0"><img src="loss.svg">')
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK if dark else {"features": []})
    chromium.get(page.as_uri())
    shot = Image.open(io.BytesIO(chromium.get_screenshot_as_png())).convert("RGB").crop((0, 0, 1000, 460))
    data = shot.tobytes()
    colours = {tuple(data[place : place + 3]) for place in range(0, len(data), 3)}
    drawn = [_rgb(pair[dark]) for pair in COLOURS[: len(LINES)]]
    assert (sum(data[:3]) < 100) == dark
    assert set(drawn) <= colours
    lightness = [sum(colour) for colour in colours]
    assert max(lightness) - min(lightness) > 500  # words can be read


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
