"""Pictures of metrics: what a reader of one may rely on, whatever was logged and however experiments are called."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cometfs.render import paper, plots
from cometfs.render.curves import HUGE, Line, curves, is_logarithmic, lonely, number, shortened, thinned
from cometfs.render.plots import NAMED, chart_svg

SVG = "{http://www.w3.org/2000/svg}"


def line(label: str, *values: str | float | None) -> Line:
    return label, list(enumerate(values))


def words(svg: bytes) -> list[str]:
    """All texts of a picture; that they can be read proves it XML."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def tips(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def drawn(svg: bytes) -> list[str]:
    """What is drawn of each line: its path."""
    groups = (group for group in ElementTree.fromstring(svg).iter(f"{SVG}g"))
    found = (group.find(f"{SVG}path") for group in groups if group.get("id", "").startswith("cometfs-line-"))
    return [path.get("d", "") for path in found if path is not None]


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_picture_is_there_when_matplotlib_is() -> None:
    """The tree asks before it lists a picture."""
    assert plots.available()


def test_nothing_of_matplotlib_is_loaded_before_the_first_picture() -> None:
    """A mount without pictures starts as fast as one where matplotlib is not installed."""
    program = "import sys, cometfs.render.plots as p; p.available(); sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


SLOWLY = """
import logging, threading

class Late(threading.Timer):
    def start(self):
        self.function()
        print("late")

threading.Timer = Late
logging.basicConfig(level="WARNING")
from cometfs.render.plots import chart_svg
chart_svg("loss", [])
"""
"""A picture on a machine so slow that every timer has run out at once."""


def test_the_first_picture_of_all_is_drawn_in_silence(tmp_path: Path) -> None:
    """However long matplotlib takes to look through the fonts of the machine, of which it warns after five seconds."""
    environ = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SLOWLY], env=environ, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("late\n", "")


def test_equal_points_give_equal_bytes() -> None:
    """Sizes and hashes of a file stay what they were."""
    lines = [line("a", "1", "2", "3"), line("b", "3", "NaN", "1")]
    assert chart_svg("loss", lines) == chart_svg("loss", lines)


@pytest.mark.parametrize(
    "lines",
    [
        [line("", 1, 2, 3)],
        [line("a", 0, 1e-6, 1)],
        [line("few", "NaN", 2, None)],
        [line(str(n), n, -n) for n in range(1, 40)],
        [("far", [(1_000_000 + step, 12_345_678.0 + step / 1_000) for step in range(9)])],
        [],
    ],
    ids=["linear", "logarithmic", "lonely", "many", "offset", "empty"],
)
def test_what_was_drawn_before_does_not_show(lines: list[Line]) -> None:
    """Axes are used again: neither scale, limits nor legend of another picture are left in them."""
    others = [[line("", 1e9, -3)], [line("a", 1e-9, 5), line("b", 7)], [line(str(n), n) for n in range(200)], []]
    paper.forget()
    alone = chart_svg("loss", lines)
    for other in others:
        chart_svg("another", other)
        assert chart_svg("loss", lines) == alone


def test_the_axis_says_what_must_be_added_to_its_numbers() -> None:
    """Big numbers that lie close together, and big steps."""
    said = words(chart_svg("loss", [("a", [(1_000_000 + step, 12_345_678 + step / 1_000) for step in range(9)])]))
    assert {"+1e6", "+1.2345678e7"} <= set(said)


RECORDED = {(2, "3.11.2"): "908edb249a08387a4c2688f00abfbe3cfd8a7599bf47a4b405fa3aa4df72fe12"}
"""The digest of a picture, by `DRAWING` and the version of matplotlib: that of requirements-dev.lock."""


def test_pictures_are_those_of_their_number() -> None:
    """They are kept on disk. Where they are not: raise `DRAWING`, and record the digest here."""
    lines = [line("a", 0, 1e-6, 1, "NaN", 2), line("b", *range(50)), *(line(f"run {n}", n) for n in range(40))]
    drawn_now = (plots.DRAWING, matplotlib.__version__)
    assert plots.DRAWING in {number for number, _ in RECORDED}
    if drawn_now in RECORDED:
        assert hashlib.sha256(chart_svg("loss", lines)).hexdigest() == RECORDED[drawn_now]


@pytest.mark.parametrize("values", [(1e-200, 1e200), (0, 1e-5, 1), (-17, 423), (5, 5)])
def test_ticks_stand_at_the_axes(values: tuple[float, ...]) -> None:
    """The axes end at 63 and 732, at 33 and 303 points; matplotlib looks for ticks beyond them too."""
    root = ElementTree.fromstring(chart_svg("loss", [line("", *values)]))
    places = [(float(tick.get("x", "")), float(tick.get("y", ""))) for tick in root.iter(f"{SVG}use")]
    assert len(places) > 8
    assert all(63 <= x <= 732 and 33 <= y <= 303 for x, y in places)


def test_threads_draw_what_one_draws_and_leave_settings_alone() -> None:
    """Renderers run in threads; settings of matplotlib belong to the process."""
    before = dict(matplotlib.rcParams)
    pages = [[line(f"run {n}", *range(n + 2))] for n in range(6)]
    alone = [chart_svg("loss", page) for page in pages]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda page: chart_svg("loss", page), pages))
    assert together == alone
    assert dict(matplotlib.rcParams) == before


def test_settings_of_the_process_do_not_change_a_picture() -> None:
    """Nor does a matplotlibrc of the user."""
    lines = [line("a", "1", "2", "3")]
    plain = chart_svg("loss", lines)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert chart_svg("loss", lines) == plain


def test_a_picture_is_a_thousand_pixels_wide() -> None:
    """750 points of SVG are 1,000 pixels."""
    assert ElementTree.fromstring(chart_svg("loss", [line("a", 1, 2)])).get("width") == "750pt"


def test_a_picture_names_its_metric_its_lines_and_its_axes() -> None:
    """Title and y axis, legend, x axis."""
    said = words(chart_svg("loss", [line("first", 1, 2), line("second", 2, 1)]))
    assert said.count("loss") == 2
    assert {"first", "second", "step"} <= set(said)


def test_points_without_steps_are_numbered() -> None:
    """And the axis does not call their numbers steps."""
    said = words(chart_svg("loss", [("a", [(None, "1"), (None, "2")])]))
    assert "point" in said
    assert "step" not in said


def test_a_line_without_label_has_no_legend() -> None:
    """The picture of one experiment says all in its title."""
    assert b"cometfs-line-0" in chart_svg("loss", [line("", 1, 2)])
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


@settings(max_examples=40)
@given(
    st.text(),
    st.lists(
        st.tuples(
            st.text(),
            st.lists(
                st.tuples(
                    st.one_of(st.none(), st.floats(), st.integers()),
                    st.one_of(st.none(), st.text(), st.floats(), st.floats().map(str)),
                ),
                max_size=9,
            ),
        ),
        max_size=4,
    ),
)
def test_whatever_was_logged_the_picture_is_xml(title: str, lines: list[Line]) -> None:
    """Control characters, lone surrogates, numbers at the edge of what a float holds, words for numbers."""
    svg = chart_svg(title, lines)
    assert len(drawn(svg)) == len(curves(lines))
    assert b"nan" not in b"".join(path.encode() for path in drawn(svg)).lower()


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
    svg = chart_svg("m", [line("a", "NaN", "2", "Infinity")])
    assert b"<use" in svg[svg.index(b"cometfs-line-0") :]


# -- lines -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "value"),
    [("1.5", 1.5), (2, 2.0), ("8.6E-4", 8.6e-4), ("-0", 0.0), ("1e-310", 0.0)],
)
def test_comets_text_of_a_number_is_read(found: str | float, value: float) -> None:
    """As Python and as Java write numbers."""
    assert number(found) == value


@pytest.mark.parametrize("found", [None, "", "NaN", "Infinity", "-Infinity", "1_000", "high", "1e301", 10**400])
def test_what_cannot_be_drawn_is_a_gap(found: str | float | None) -> None:
    """Null, words, NaN, infinities, and what axes could not hold."""
    assert math.isnan(number(found))


def test_points_are_drawn_in_the_order_of_their_steps() -> None:
    """Of two points of a step, in the order given."""
    (curve,) = curves([("a", [(3, "1"), (1, "2"), (3, "0")])])
    assert (list(curve.x), list(curve.y)) == ([1, 3, 3], [2, 1, 0])


@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-HUGE, HUGE, allow_nan=False)), max_size=300),
    st.integers(5, 60),
)
def test_thinning_keeps_extremes_ends_order_and_gaps(ys: list[float], most: int) -> None:
    """A peak of one point in a million is what people look for."""
    kept = thinned(ys, most)
    numbers, left = ([y for y in some if not math.isnan(y)] for some in (ys, [ys[index] for index in kept]))
    assert len(kept) <= most
    assert list(kept) == sorted(set(kept))
    assert bool(numbers) == bool(left)
    assert (min(numbers, default=0), max(numbers, default=0)) == (min(left, default=0), max(left, default=0))
    assert any(map(math.isnan, ys)) == any(math.isnan(ys[index]) for index in kept)
    assert not ys or (kept[0], kept[-1]) == (0, len(ys) - 1)


def test_long_lines_are_thinned_and_many_lines_more() -> None:
    """2,000 points of one line, 500 of each of 200."""
    points = [(float(step), float(step % 7)) for step in range(5_000)]
    assert 1_000 <= len(curves([("a", points)])[0].x) <= 2_000
    assert 250 <= len(curves([("a", points)] * 200)[0].x) <= 500


def test_lonely_numbers_stand_between_gaps_or_ends() -> None:
    """Both neighbours count."""
    assert lonely([1, math.nan, 2, 3, math.nan, 4]) == [0, 5]


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [([1, 999], False), ([1, 1_000], False), ([1, 1_001], True), ([0, 1e-5, 1], True), ([-1, 1e-5, 1], False),
     ([0, 0], False), ([1e-200, 1e200], True)],
)  # fmt: skip
def test_the_scale_is_logarithmic_beyond_three_decades(values: list[float], logarithmic: bool) -> None:
    """Of all lines together; never where one is negative, which such a scale cannot show."""
    assert is_logarithmic(curves([line(str(value), value) for value in values])) == logarithmic


@given(st.text(), st.integers(3, 80))
def test_a_shortened_label_keeps_its_ends_in_one_line(text: str, cells: int) -> None:
    """Names of runs begin alike and end differently."""
    short = shortened(text, cells)
    assert "\n" not in short
    assert sum(1 for letter in short if letter.isalnum() and letter.isascii()) <= cells


def test_a_long_label_loses_its_middle() -> None:
    """Its head and its tail stay."""
    assert shortened("x" * 200 + "seed-7", 21) == "xxxxxxxxxx…xxxxseed-7"


def test_a_loss_that_diverges_to_the_end_of_numbers_is_drawn() -> None:
    """Nothing overflows, not even as a warning."""
    points = [(float(step), str(10.0**exponent)) for step, exponent in enumerate((-300, -200, 0, 199, 308))]
    assert plots.chart_svg("loss", [("diverges", points)]).startswith(b"<?xml")
