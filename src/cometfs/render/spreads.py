"""The last, least and greatest value of a metric, each with its step: from Comet's summary, and from its points.

A summary goes by the order of logging, which a chart's points do not have. So points show only what the order of
their times and that of their steps agree on; for the rest Comet must be asked. Not here: points (points.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cometfs.render.numbers import spelt
from cometfs.render.points import Row, extent


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


def of_points(rows: Sequence[Row]) -> Derived | None:
    """The spread that the summary of these rows has; None where the rows leave it open."""
    kinds = {type(row[0]) for row in rows}
    if extent(rows) is None or not (kinds <= {int, float} or kinds == {type(None)}):
        return None
    numbers = [float(row[3]) for row in rows]
    lowest, highest = (
        [row for row, number in zip(rows, numbers, strict=True) if number == bound]
        for bound in (min(numbers), max(numbers))
    )
    last, low, high = _end(rows, max), _end(lowest, min), _end(highest, min)
    if last is None or low is None or high is None:
        return None
    tied = any(len({_place(row) for row in equal}) > 1 for equal in (lowest, highest))
    return Derived(Spread(*last, *low, *high), tied)


def _end(rows: Sequence[Row], end: Callable[[Iterable[Any]], Any]) -> tuple[str, Any] | None:
    """The place of the first (`end` is min) or the last (max) of some rows, None where times and steps do not agree
    which that is."""
    moment = end(row[2] for row in rows)
    places = {_place(row) for row in rows if row[2] == moment}
    furthest = None if rows[0][0] is None else end(row[0] for row in rows)
    value, step = places.pop()
    return (value, step) if not places and step == furthest else None


def _place(row: Row) -> tuple[str, Any]:
    step, _, _, value = row
    return value, _whole(step)


def _whole(step: Any) -> Any:
    """A step as an integer where it is one: Comet sends both forms."""
    return int(step) if isinstance(step, float) and step.is_integer() else step
