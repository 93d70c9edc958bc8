"""One spelling of values and one form of points, whichever of Comet's answers they came from."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.answers import models
from cometfs.render import points, spreads
from cometfs.render.numbers import placed, spelt
from cometfs.text.numbers import number_of

NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**70), 2**70).map(float)


def told_by_get_metric(rows: list[tuple[Any, ...]], java: bool) -> bytes:
    """An answer of get-metric: values as text, as Python or as Java writes them; in no order."""
    found = [
        {"metricName": "m", "metricValue": text_of(value, java), "step": step, "epoch": epoch, "timestamp": when}
        | {"offset": offset}
        for offset, (step, epoch, when, value) in enumerate(rows)
    ]
    return points.sheet(points.of_points([models.POINT.normal(row) for row in reversed(found)]))


def text_of(value: float, java: bool) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.17E}".replace("E+", "E") if java else repr(value)


def told_by_chart(rows: list[tuple[Any, ...]]) -> bytes | None:
    """The same points as a chart's metric."""
    steps, epochs, timestamps, values = (list(column) for column in zip(*rows, strict=True))
    metric = {"metricName": "m", "values": values, "steps": steps, "epochs": epochs, "timestamps": timestamps}
    found = points.of_chart(models.CHART_METRIC.normal(metric))
    return None if found is None else points.sheet(found)


ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 20) | st.floats(0, 9),
        st.none() | st.integers(0, 3),
        st.integers(0, 50),
        NUMBERS,
    ),
    min_size=1,
    max_size=30,
)


@given(ROWS, st.booleans())
def test_a_metric_has_the_same_bytes_whichever_answer_told_it(rows: list[tuple[Any, ...]], java: bool) -> None:
    """Unless the chart cannot tell the order of two points: then it says that it does not know."""
    chart = told_by_chart(rows)
    if chart is None:
        places = [(row[0], row[2]) for row in rows]
        assert len(set(places)) < len(places)
    else:
        assert chart == told_by_get_metric(rows, java)


@given(NUMBERS)
def test_a_spelling_reads_as_the_same_double(value: float) -> None:
    """And is the same for a number, for Python's text of it and for Java's."""
    assert number_of(spelt(value)) == value
    assert spelt(value) == spelt(text_of(value, False)) == spelt(text_of(value, True))
    assert spelt(spelt(value)) == spelt(value)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("8.63E-4", "0.000863"),
        (1.0, "1.0"),
        ("1", "1.0"),
        (-0.0, "-0.0"),
        ("NaN", "NaN"),
        (-math.inf, "-Infinity"),
        ("1_000", "1_000"),
        ("warm", "warm"),
        (None, None),
    ],
)
def test_what_a_value_looks_like(told: Any, shown: Any) -> None:
    """What is no number as it is."""
    assert spelt(told) == shown


def chart(values: list[Any], **more: Any) -> dict[str, Any]:
    count = len(values)
    told = {"values": values, "steps": list(range(count)), "epochs": [None] * count, "timestamps": list(range(count))}
    return told | more


@pytest.mark.parametrize(
    "metric",
    [
        chart([1.0] * points.CHART_LIMIT),
        chart([1.0, None]),
        chart([1.0, 2.0], timestamps=[5, None]),
        chart([1.0, 2.0], steps=[3, 3], timestamps=[5, 5]),
        chart([1.0, 2.0], steps=[3]),
    ],
)
def test_a_chart_that_may_have_lost_something_is_not_believed(metric: dict[str, Any]) -> None:
    """As many points as a chart can have, words, no time, two points at one place, lists that do not fit."""
    assert points.of_chart(metric) is None


def test_the_extent_of_points_is_what_a_summary_says() -> None:
    """Last by time, of the same millisecond by step; none where NaN or words are among them."""
    rows = points.of_chart(chart([3.0, 1.0, 2.0, 9.0], timestamps=[0, 7, 7, 5]))
    assert rows is not None
    assert points.extent(points.measured(rows)) == ("2.0", "1.0", "9.0")
    assert points.extent(points.measured(points.of_rows([]))) is None
    assert points.extent(points.measured(points.of_rows([(0, None, 0, "NaN")]))) is None
    assert points.extent(points.measured(points.of_rows([(0, None, 0, "word")]))) is None
    summary = {
        "valueCurrent": "2.0",
        "valueMin": "1E0",
        "valueMax": "9",
        "stepCurrent": 2,
        "stepMin": 1.0,
        "stepMax": 3,
    }
    assert spreads.of_summary(summary) == ("2.0", 2, "1.0", 1, "9.0", 3)


CELLS = st.none() | st.integers() | st.floats()


@given(
    st.lists(st.tuples(st.integers(), st.none(), st.integers(), st.floats().map(spelt)), min_size=1)
    | st.lists(st.tuples(CELLS, CELLS, CELLS, st.none() | st.text('1.-e,"\n\r x')))
)
def test_a_sheet_is_what_a_writer_of_csv_writes(rows: list[Any]) -> None:
    """Numbers go another way, to the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(points.HEAD)
    writer.writerows((*map(placed, row[:3]), row[3]) for row in rows)
    assert points.sheet(points.of_rows(rows)) == out.getvalue().encode()


@pytest.mark.parametrize("value", ["a, b", 'a "quoted" word', "two\nlines", "NaN", "", "3.5"])
def test_a_sheet_can_be_read_again(value: str) -> None:
    """Steps and values, words with commas too."""
    steps, values = points.columns(points.sheet(points.of_rows([(1, None, 5, value), (None, None, 6, "2")])))
    assert (list(steps), list(values)) == (["1", ""], [value, "2"])


def test_an_empty_sheet_has_no_points() -> None:
    """Only its head."""
    assert [list(column) for column in points.columns(points.sheet(points.of_rows([])))] == [[], []]
