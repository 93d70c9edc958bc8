"""Pictures of metrics: what a reader of one may rely on, whatever was logged and however experiments are called."""

from __future__ import annotations

import hashlib
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cometfs.render.pictures.curves import Line, curves
from cometfs.render.pictures.paper import COLOURS
from cometfs.render.pictures.plots import DRAWN_BY, NAMED, chart_svg

SVG = "{http://www.w3.org/2000/svg}"


def line(label: str, *values: str | float | None) -> Line:
    return Line(label, range(len(values)), values)


def words(svg: bytes) -> list[str]:
    """All texts of a picture; that they can be read proves it XML."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def groups(svg: bytes) -> list[ElementTree.Element]:
    """Those of the lines, the last one on top."""
    return [group for group in ElementTree.fromstring(svg).iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]


def tips(svg: bytes) -> list[str]:
    return [group.findtext(f"{SVG}title") or "" for group in groups(svg)]


def drawn(svg: bytes) -> list[str]:
    """What is drawn of each line: its paths."""
    return ["".join(path.get("d", "") for path in group.iter(f"{SVG}path")) for group in groups(svg)]


def places(path: str) -> list[tuple[int, int]]:
    """The coordinates of a path, in tenths of a pixel."""
    found = [int(number) for number in re.findall(r"-?[0-9]+", path.replace("h0", ""))]
    return list(zip(found[::2], found[1::2], strict=True))


def test_equal_points_give_equal_bytes() -> None:
    """Sizes and hashes of a file stay what they were."""
    lines = [line("a", "1", "2", "3"), line("b", "3", "NaN", "1")]
    assert chart_svg("loss", lines) == chart_svg("loss", lines)


RECORDED = {"drawing 3": "44473b6192a3fd84afa8113b3f202f46dae1a859a2246160f38f9cc716a1d25f"}
"""The digest of a picture, by `DRAWN_BY`."""


def test_pictures_are_those_of_their_number() -> None:
    """Their sizes are kept on disk. Where they are not: raise `DRAWN_BY`, and record the digest here."""
    lines = [line("a", 0, 1e-6, 1, "NaN", 2), line("b", *range(50)), *(line(f"run {n}", n) for n in range(40))]
    assert hashlib.sha256(chart_svg("loss", lines)).hexdigest() == RECORDED[DRAWN_BY]


def test_a_picture_needs_nothing_but_itself() -> None:
    """No script, no address but the name of SVG itself, no document type, no style from elsewhere."""
    svg = chart_svg("https://example.org", [line("<script src='//example.org'/>", 1, "NaN", 2)])
    root = ElementTree.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "style", "rect", "path", "text", "g"
    }  # fmt: skip
    assert b"<!" not in svg
    assert {name for element in root.iter() for name in element.attrib} <= ATTRIBUTES
    style = "".join(element.text or "" for element in root.iter(f"{SVG}style"))
    assert not re.search(r"url|import|expression|//", style)


ATTRIBUTES = {"width", "height", "viewBox", "class", "fill", "d", "x", "y", "transform"} | {
    *("stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray"),
    *("font-family", "font-size", "font-weight", "text-anchor"),
}
"""None of them leads anywhere or does anything."""


def test_a_picture_is_a_thousand_pixels_wide() -> None:
    """As wide as a page's text, higher with a legend."""
    alone, named = (ElementTree.fromstring(chart_svg("loss", [line(label, 1, 2)])) for label in ("", "a"))
    assert (alone.get("width"), alone.get("height")) == ("1000", "460")
    assert (named.get("width"), named.get("height")) == ("1000", "490")


def test_a_picture_names_its_metric_its_lines_and_its_axes() -> None:
    """Title and y axis, legend, x axis."""
    said = words(chart_svg("loss", [line("first", 1, 2), line("second", 2, 1)]))
    assert said.count("loss") == 2
    assert {"first", "second", "step"} <= set(said)


def test_points_without_steps_are_numbered() -> None:
    """And the axis does not call their numbers steps."""
    said = words(chart_svg("loss", [Line("a", [None, None], ["1", "2"])]))
    assert "point" in said
    assert "step" not in said


def test_a_line_without_label_has_no_legend() -> None:
    """The picture of one experiment says all in its title."""
    assert drawn(chart_svg("loss", [line("", 1, 2)]))
    assert "" not in words(chart_svg("loss", [line("", 1, 2)]))


def test_of_many_lines_thirty_are_named_all_are_drawn_and_the_rest_is_counted() -> None:
    """200 experiments make a picture that can still be read."""
    svg = chart_svg("loss", [line(f"run-{n}", n, n + 1) for n in range(200)])
    said = words(svg)
    assert [word for word in said if word.startswith("run-")] == [f"run-{n}" for n in range(NAMED)]
    assert "and 170 more" in said
    assert len(drawn(svg)) == 200


def test_every_line_tells_its_whole_label_when_pointed_at() -> None:
    """The legend shortens, the tip does not."""
    labels = ["long " * 40 + str(n) for n in range(40)]
    svg = chart_svg("loss", [line(label, 1, 2) for label in labels])
    assert sorted(tips(svg)) == sorted(labels)
    assert max(map(len, words(svg))) <= 100


@pytest.mark.parametrize(
    "label", ["$x_1$", "$\\frac{", "<script>alert(1)</script>", "a & b", "_hidden", "Ünï 日本 🚀", "@cometfs-0@", "]]>"]
)
def test_a_label_is_shown_as_it_is(label: str) -> None:
    """No mathematics, no markup, no placeholder, no warning of letters that a font lacks."""
    assert label in words(chart_svg(label, [line(label, 1, 2)]))
    assert label in tips(chart_svg(label, [line(label, 1, 2)]))


STEPS = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=3))
VALUES = st.one_of(st.none(), st.text(max_size=3), st.floats(), st.integers(), st.floats().map(str))
POINTS = st.lists(st.tuples(STEPS, VALUES), max_size=9)


@settings(max_examples=300)
@given(st.text(), st.lists(st.tuples(st.text(), POINTS), max_size=4))
def test_whatever_was_logged_the_picture_is_xml_and_in_its_frame(title: str, found: list[tuple[str, Any]]) -> None:
    """Control characters, lone surrogates, numbers at the edge of what a float holds, words for numbers."""
    lines = [Line(label, [step for step, _ in points], [value for _, value in points]) for label, points in found]
    svg = chart_svg(title, lines)
    paths = drawn(svg)
    assert len(paths) == len(curves(lines))
    for path in paths:
        assert re.fullmatch(r"(M[0-9]+ [0-9]+(( [0-9]+ [0-9]+)+|h0))+", path)
        assert all(840 <= x <= 9760 and 440 <= y <= 4040 for x, y in places(path))
    for element in ElementTree.fromstring(svg).iter():
        assert not re.search("nan|inf", " ".join(element.get(name, "") for name in ("x", "y", "d", "width", "height")))


@settings(max_examples=20)
@given(st.lists(st.one_of(st.just(math.nan), st.floats()), min_size=1, max_size=40))
def test_a_long_line_is_in_its_frame_too(values: list[float]) -> None:
    """Thinned ones go another way."""
    for path in drawn(chart_svg("m", [line("a", *values * 2_001)])):
        assert all(840 <= x <= 9760 and 440 <= y <= 4040 for x, y in places(path))


def test_colours_differ_on_dark_pages() -> None:
    """By the reader's own preference, which the page around a picture does not know."""
    style = chart_svg("m", [line("a", 1, 2)]).decode().partition("<style>")[2].partition("</style>")[0]
    assert "prefers-color-scheme:dark" in style
    for light, dark in COLOURS:
        assert light != dark
        assert dark in style


def test_nothing_to_draw_is_said() -> None:
    """A metric that logged words, or nothing."""
    assert "no numbers" in words(chart_svg("loss", [line("a", "NaN", "high", None)]))
    assert "no numbers" in words(chart_svg("loss", []))


def test_what_is_no_number_breaks_the_line() -> None:
    """A gap, not a bridge: the line begins anew behind it."""
    whole, broken = (drawn(chart_svg("m", [line("a", 1, 2, value, 4, 5)])) for value in ("3", "NaN"))
    assert whole[0].count("M") == 1
    assert broken[0].count("M") == 2


def test_a_number_between_gaps_is_a_dot() -> None:
    """A line has no length there, and would show nothing."""
    assert [path[-2:] for path in drawn(chart_svg("m", [line("a", "NaN", "2", "Infinity")]))] == ["h0"]


def test_each_line_has_its_own_steps() -> None:
    """Places on the x axis are written once for neighbours that have the same."""
    lines = [
        Line("a", [0, 10], [1, 2]),
        Line("b", [0, 10], [2, 1]),
        Line("c", [5, 6], [1, 2]),
        Line("d", [0, 5], [1, 1]),
    ]
    svg = chart_svg("m", lines)
    x = {tip: [place[0] for place in places(path)] for tip, path in zip(tips(svg), drawn(svg), strict=True)}
    assert x["a"] == x["b"]
    assert x["c"][0] == x["d"][1] == pytest.approx(sum(x["a"]) / 2, abs=1)


def test_a_zero_is_on_the_lower_edge_of_a_logarithmic_axis() -> None:
    """Which has no zero."""
    svg = chart_svg("m", [line("a", 0, 1e-5, 1)])
    assert places(drawn(svg)[0])[0][1] == 4040
    assert {"10⁻⁵", "10⁰"} <= set(words(svg))


def test_long_labels_move_the_axis() -> None:
    """The numbers of the y axis are whole, and in the picture."""
    said = words(chart_svg("loss", [Line("a", range(9), [12_345_678 + step / 1_000 for step in range(9)])]))
    assert "12,345,678.004" in said
