"""Points that become lines: numbers and gaps, order, thinning, the scale, labels that fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.render.pictures.curves import HUGE, Line, curves, is_logarithmic, numbers, shortened, thinned
from cometfs.render.pictures.plots import chart_svg


def line(*values: str | float | None) -> Line:
    return Line("", range(len(values)), values)


@pytest.mark.parametrize(
    ("found", "value"),
    [("1.5", 1.5), (2, 2.0), ("8.6E-4", 8.6e-4), ("-0", 0.0), ("1e-310", 1e-310)],
)
def test_comets_text_of_a_number_is_read(found: str | float, value: float) -> None:
    """As Python and as Java write numbers."""
    assert list(numbers([found])) == [value]


@pytest.mark.parametrize("found", [None, "", "NaN", "Infinity", "-Infinity", "1_000", "high", "1e301", 10**400])
def test_what_cannot_be_drawn_is_a_gap(found: str | float | None) -> None:
    """Null, words, NaN, infinities, and what axes could not hold."""
    assert math.isnan(numbers([found])[0])
    assert list(numbers([1.5, found, 2]))[::2] == [1.5, 2]


def test_points_are_drawn_in_the_order_of_their_steps() -> None:
    """Of two points of a step, in the order given."""
    (curve,) = curves([Line("a", [3, 1, 3], ["1", "2", "0"])])
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
    """2,000 points of one line, 400 of each of 200."""
    points = line(*(float(step % 7) for step in range(5_000)))
    assert 1_000 <= len(curves([points])[0].x) <= 2_000
    assert 200 <= len(curves([points] * 200)[0].x) <= 400


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [([1, 999], False), ([1, 1_000], False), ([1, 1_001], True), ([0, 1e-5, 1], True), ([-1, 1e-5, 1], False),
     ([0, 0], False), ([1e-200, 1e200], True)],
)  # fmt: skip
def test_the_scale_is_logarithmic_beyond_three_decades(values: list[float], logarithmic: bool) -> None:
    """Of all lines together; never where one is negative, which such a scale cannot show."""
    assert is_logarithmic(curves([line(value) for value in values])) == logarithmic


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
    values = [str(10.0**exponent) for exponent in (-300, -200, 0, 199, 308)]
    assert b"10\xe2\x81\xbb\xc2\xb2" in chart_svg("loss", [line(*values)])  # 10⁻²...
