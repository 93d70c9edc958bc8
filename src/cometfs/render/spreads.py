"""The last, least and greatest value of a metric, each with its step: from Comet's summary, and from its points.

A summary goes by the order of logging, which a chart's points do not have. So points show only what the order of
their times and that of their steps agree on; for the rest Comet must be asked. Not here: points (points.py).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cometfs.render.numbers import spelt
from cometfs.render.points import Measured, is_increasing


class Spread(NamedTuple):
    """Values as text, spelt in the one way, and steps."""

    last: str | None
    last_step: Any
    low: str | None
    low_step: Any
    high: str | None
    high_step: Any


class Derived(NamedTuple):
    """A spread computed from points. `tied`: the least or the greatest value is at several places, and the first of
    them was taken, which is a guess at what the server does."""

    spread: Spread
    tied: bool


def of_summary(row: Mapping[str, Any]) -> Spread:
    """The spread in a row of ``metrics/summary``."""
    words = ("Current", "Min", "Max")
    return Spread(*(part for word in words for part in (spelt(row["value" + word]), _whole(row["step" + word]))))


def of_points(found: Measured | None) -> Derived | None:
    """The spread that the summary of these points has; None where they leave it open."""
    if found is None:
        return None
    kinds = set(map(type, found.steps))
    if kinds <= {int, float}:
        in_order = is_increasing(found.steps) and all(map(operator.le, found.timestamps, found.timestamps[1:]))
        return _of_series(found) if in_order else _of_any(found)
    return _of_any(found) if kinds == {type(None)} else None


def _of_series(found: Measured) -> Derived | None:
    """The same, of points of which each has a greater step than the one before, and no earlier time: nearly all are
    such, and need no look at each."""
    steps, timestamps, values, numbers = found
    low, high = _first(min(numbers), found), _first(max(numbers), found)
    if low is None or high is None or timestamps[-1:] == timestamps[-2:-1]:
        return None  # which of two in one millisecond was logged first is unknown
    places = [part for index in (-1, low, high) for part in (values[index], _whole(steps[index]))]
    tied = numbers.count(numbers[low]) > 1 or numbers.count(numbers[high]) > 1
    return Derived(Spread(*places), tied)


def _first(bound: float, found: Measured) -> int | None:
    """Where that number is first; None where it is twice in that millisecond."""
    first = found.numbers.index(bound)
    if found.numbers.count(bound) == 1:
        return first
    second = found.numbers.index(bound, first + 1)
    return None if found.timestamps[first] == found.timestamps[second] else first


def _of_any(found: Measured) -> Derived | None:
    rows = list(zip(*found, strict=True))
    least, most = min(found.numbers), max(found.numbers)
    lowest, highest = [row for row in rows if row[3] == least], [row for row in rows if row[3] == most]
    last, low, high = _end(rows, max), _end(lowest, min), _end(highest, min)
    if last is None or low is None or high is None:
        return None
    tied = any(len({_place(row) for row in equal}) > 1 for equal in (lowest, highest))
    return Derived(Spread(*last, *low, *high), tied)


Point = tuple[Any, float, str, float]
"""Step, time, value and number."""


def _end(rows: Sequence[Point], end: Callable[[Iterable[Any]], Any]) -> tuple[str, Any] | None:
    """The place of the first (`end` is min) or the last (max) of some points, None where times and steps do not agree
    which that is."""
    moment = end(row[1] for row in rows)
    places = {_place(row) for row in rows if row[1] == moment}
    furthest = None if rows[0][0] is None else end(row[0] for row in rows)
    value, step = places.pop()
    return (value, step) if not places and step == furthest else None


def _place(row: Point) -> tuple[str, Any]:
    step, _, value, _ = row
    return value, _whole(step)


def _whole(step: Any) -> Any:
    """A step as an integer where it is one: Comet sends both forms."""
    return int(step) if isinstance(step, float) and step.is_integer() else step
