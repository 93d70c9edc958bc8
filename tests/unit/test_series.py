"""Points of charts in compact form: the table is the one that plain lists and dictionaries make."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.errors import TooBig
from cometfs.render import aligned, tables
from cometfs.render.numbers import placed, spelt
from cometfs.render.series import Series, pack

PLACES = st.one_of(
    st.none(), st.integers(-3, 12), st.integers(2**31 - 2, 2**31 + 2), st.sampled_from([0.5, 2.0, 1e18, 2**40])
)
VALUES = st.one_of(st.none(), st.integers(-5, 5), st.floats(), st.sampled_from([1e16, -0.0, 2**53]))
POINTS = st.lists(st.tuples(PLACES, PLACES, VALUES), max_size=8)


@st.composite
def metrics(draw: st.DrawFn) -> dict[str, Any]:
    """A chart's metric, in the normal form of answers; half of them with steps in order, as nearly all are."""
    points = draw(POINTS)
    steps = list(range(len(points))) if draw(st.booleans()) else [step for step, _, _ in points]
    return {"steps": steps, "epochs": [epoch for _, epoch, _ in points], "values": [value for _, _, value in points]}


def places(metric: Mapping[str, Any]) -> list[tuple[float, Any]]:
    for field in ("steps", "epochs"):
        if any(step is not None for step in metric[field]):
            return [
                (step, value) for step, value in zip(metric[field], metric["values"], strict=True) if step is not None
            ]
    return list(enumerate(metric["values"]))


def plainly(lines: list[tuple[str, dict[str, Any]]]) -> bytes:
    columns = [dict(places(metric)) for _, metric in lines]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("step", *(name for name, _ in lines)))
    for step in sorted({step for column in columns for step in column}):
        writer.writerow((placed(step), *(spelt(column.get(step)) for column in columns)))
    return out.getvalue().encode()


@given(st.lists(metrics(), max_size=5))
def test_the_table_is_that_of_plain_lists(found: list[dict[str, Any]]) -> None:
    """Also where a line has steps that no other has, one step twice, no steps, fractions, nulls, NaN."""
    lines = [(f'"{index}", ü', metric) for index, metric in enumerate(found)]
    assert tables.chart([(name, Series.of(metric)) for name, metric in lines]) == plainly(lines)


@given(metrics())
def test_points_come_back_as_they_were(metric: dict[str, Any]) -> None:
    """As doubles, which is what Comet keeps; nulls as None."""
    found = list(Series.of(metric) or ())
    wanted = [(step, None if value is None else float(value)) for step, value in places(metric)]
    assert repr(found) == repr([(type(step)(step), value) for (step, _), (_, value) in zip(found, wanted, strict=True)])
    assert [step for step, _ in found] == [step for step, _ in wanted]


def test_a_span_has_no_null_and_no_infinity() -> None:
    """And there is none of such alone."""
    metric = {"steps": [1, 2, 3, 4], "epochs": [None] * 4, "values": [None, math.inf, 2.0, math.nan]}
    series = Series.of(metric)
    assert series is not None
    assert series.span() == (2.0, 2.0)
    only = Series.of({**metric, "values": [None, math.inf, math.nan, -math.inf]})
    assert only is not None
    assert only.span() is None


def test_points_take_twelve_bytes() -> None:
    """Steps of four, values of eight; sixteen where steps are great."""
    values = [0.5] * 100
    assert len(pack({"steps": list(range(100)), "values": values})) == 1 + 12 * 100
    assert len(pack({"steps": [2**40 + step for step in range(100)], "values": values})) == 1 + 16 * 100


def test_rows_come_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are the same as all at once."""
    lines = [(name, Series.of({"steps": steps, "values": [0.5] * len(steps)})) for name, steps in SHIFTED.items()]
    whole = tables.chart(lines)
    monkeypatch.setattr(aligned, "CELLS", 7)
    assert max(len(steps) for steps, _ in aligned.rows([line for _, line in lines])) == 3
    assert tables.chart(lines) == whole


SHIFTED = {"a": list(range(50)), "b": list(range(20, 90, 3))}


def test_a_table_that_is_too_long_is_refused_before_it_is_made() -> None:
    """Lines that share no step make a row for each of their points, and a cell in it for each of them."""
    apart = [Series.of({"steps": list(range(at, 10_000, 10)), "values": [0.5] * 1000}) for at in range(10)]
    with pytest.raises(TooBig, match="10 experiments"):
        tables.chart([(str(index), line) for index, line in enumerate(apart)], most=50_000)


@pytest.mark.parametrize("steps", [[1, 10**400, 3], [1.5, -(10**400), 3]])
def test_a_step_that_no_double_holds_is_nowhere(steps: list[float]) -> None:
    found = Series.of({"steps": steps, "epochs": [], "values": [1.0, 2.0, 3.0]})
    assert found is not None
    assert list(found) == [(steps[0], 1.0), (steps[2], 3.0)]
