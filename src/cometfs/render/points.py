"""The points of a metric in one normal form, whichever of Comet's answers they came from, and their sheet (CSV).

Three answers have points: ``get-metric`` and ``get-all`` as rows, ``multi-metric-chart`` as parallel lists of numbers.
A chart has no order of logging, no values that are no numbers, and no more than 15,000 points of a metric;
where that could make a difference `of_chart` returns None, and the metric is asked for by itself.
"""

from __future__ import annotations

import csv
import io
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple

from cometfs.render.numbers import placed, spelt
from cometfs.render.text import text
from cometfs.text.numbers import numbers_of

CHART_LIMIT = 15_000
"""Points of a metric in a chart at most (Comet's documentation); a metric that has as many may have more."""

HEAD = ("step", "epoch", "timestamp_ms", "value")

Row = tuple[Any, Any, Any, Any]
"""The columns of HEAD: numbers or None, and the value as text."""


class Columns(NamedTuple):
    """The points of one metric, in their order, in parallel: the columns of HEAD."""

    steps: Sequence[Any] = ()
    epochs: Sequence[Any] = ()
    timestamps: Sequence[Any] = ()
    values: Sequence[Any] = ()
    numbers: Sequence[float] | None = None
    """The values, where it is known that all are finite numbers."""


def of_rows(rows: Iterable[Row]) -> Columns:
    """Rows as columns."""
    return Columns(*zip(*rows, strict=True))


def of_points(points: Iterable[Mapping[str, Any]]) -> Columns:
    """The points of one metric from those of an answer; see `of_logged`."""
    return of_logged(tuple(point[field] for field in _FIELDS) for point in points)


_FIELDS = ("step", "epoch", "timestamp", "metricValue", "offset")


def of_logged(points: Iterable[tuple[Any, ...]]) -> Columns:
    """The points of one metric, sorted by step (without one: last), then time, then order of logging.

    A point is (step, epoch, timestamp, value, offset).
    """
    found = sorted(points, key=lambda point: _rank(point[0], point[2], point[4]))
    return of_rows((step, epoch, when, spelt(value)) for step, epoch, when, value, _ in found)


class Charted(NamedTuple):
    """The points of a chart's metric, in the order of a sheet, in parallel: in a form that is made in a microsecond."""

    steps: list[Any]
    epochs: list[Any]
    timestamps: list[Any]
    values: list[Any]
    """All finite numbers, or all texts."""


def charted(metric: Mapping[str, Any]) -> Charted | None:
    """The points of a chart's metric; None where the chart may have lost something of them."""
    columns = Charted(metric["steps"], metric["epochs"], metric["timestamps"], metric["values"])
    if len(set(map(len, columns))) != 1 or len(columns.values) >= CHART_LIMIT:
        return None
    if None in columns.values or None in columns.timestamps:
        return None
    if None not in columns.steps and is_increasing(columns.steps):
        if set(map(type, columns.values)) == {float} and all(map(math.isfinite, columns.values)):
            return columns
        return columns._replace(values=list(map(spelt, columns.values)))
    found = sorted(zip(*columns, strict=True), key=lambda row: _rank(row[0], row[2]))
    for one, other in pairwise(found):
        if one[0] == other[0] and one[2] == other[2] and one != other:
            return None  # which of the two was logged first is unknown
    steps, epochs, timestamps, values = map(list, zip(*found, strict=True))
    return Charted(steps, epochs, timestamps, list(map(spelt, values)))


def spelled(found: Charted) -> Columns:
    """The same with its values as text."""
    if found.values and type(found.values[0]) is float:
        return Columns(*found[:3], list(map(repr, found.values)), found.values)
    return Columns(*found)


def of_chart(metric: Mapping[str, Any]) -> Columns | None:
    """The points of a metric from a chart's; None where the chart may have lost something of them."""
    found = charted(metric)
    return None if found is None else spelled(found)


def is_increasing(steps: Sequence[Any]) -> bool:
    """Whether each is greater than the one before."""
    return all(map(operator.lt, steps, steps[1:]))


def _rank(*numbers: float | None) -> tuple[tuple[bool, float], ...]:
    return tuple((number is None, 0 if number is None else number) for number in numbers)


def sheet(found: Columns) -> bytes:
    """The points as CSV with a head; a null is an empty cell."""
    plain = _plain(found) if found.values else None
    if plain is not None:
        return text("\n".join((",".join(HEAD), *plain, "")))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    places = (map(placed, column) for column in found[:3])
    writer.writerows(zip(*places, found.values, strict=True))
    return text(out.getvalue())


_BARE = re.compile(r"[0-9A-Za-z.+-]*")
"""What every writer of CSV leaves without quotes."""


def _plain(found: Columns) -> Iterable[str] | None:
    """The lines of rows of numbers, several times as fast as by csv.writer; None where there is something else."""
    if found.numbers is None and not _are_bare(found.values):
        return None
    steps, epochs, timestamps = map(_cells, found[:3])
    if steps is None or epochs is None or timestamps is None:
        return None
    return map(",".join, zip(steps, epochs, timestamps, found.values, strict=False))


def _are_bare(values: Sequence[Any]) -> bool:
    return set(map(type, values)) == {str} and _BARE.fullmatch("".join(values)) is not None


def _cells(column: Sequence[Any]) -> Iterable[str] | None:
    """A column of whole numbers, or of nulls, as text."""
    kinds = set(map(type, column))
    if kinds == {int}:
        return map(str, column)
    return repeat("") if kinds == {type(None)} else None


def columns(written: bytes) -> tuple[Sequence[str], Sequence[str]]:
    """The steps and the values of a sheet."""
    rows = written.decode("utf-8", "surrogateescape")
    if '"' not in rows:
        cells = rows.replace("\n", ",").split(",")
        return cells[4:-1:4], cells[7:-1:4]
    found = list(csv.reader(io.StringIO(rows, newline="")))[1:]
    return [row[0] for row in found], [row[3] for row in found]


class Measured(NamedTuple):
    """Points whose values are all numbers, in parallel; none of them is NaN, and each has its time."""

    steps: Sequence[Any]
    timestamps: Sequence[float]
    values: Sequence[str]
    numbers: Sequence[float]


def measured(found: Columns) -> Measured | None:
    """The points where they are that, and there are some: of NaN it is unknown whether it counts in a summary."""
    if not found.values or None in found.timestamps:
        return None
    if found.numbers:
        return Measured(found.steps, found.timestamps, found.values, found.numbers)
    numbers = [number for number in numbers_of(found.values) if number is not None]
    if len(numbers) < len(found.values) or any(map(math.isnan, numbers)):
        return None
    return Measured(found.steps, found.timestamps, found.values, numbers)


class Extent(NamedTuple):
    """The last, the least and the greatest value of a metric, as text."""

    last: str | None
    low: str | None
    high: str | None


def extent(found: Measured | None) -> Extent | None:
    """The values that a summary has of these points; None where they do not show them.

    The last is the latest; of several within one millisecond that of the greatest step.
    """
    if found is None:
        return None
    _, timestamps, values, numbers = found
    last = len(timestamps) - 1 - timestamps[::-1].index(max(timestamps))
    return Extent(values[last], spelt(min(numbers)), spelt(max(numbers)))


def extent_of(found: Charted) -> Extent | None:
    """The same of a chart's points, without the text of each."""
    if not found.values or type(found.values[0]) is not float:
        return extent(measured(spelled(found)))
    values, timestamps, latest = found.values, found.timestamps, max(found.timestamps)
    last = -1 if timestamps[-1] == latest else len(timestamps) - 1 - timestamps[::-1].index(latest)
    return Extent(repr(values[last]), repr(min(values)), repr(max(values)))
