"""The points of metrics as series: sorted, and as the pairs that the SDK returns. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from cometfs.comet.answers.models import POINT, Point
from cometfs.comet.answers.shapes import as_text, raw_rows, readable

Interval = Literal["step", "epoch", "timestamp"]

Pair = tuple[Any, str | None]
"""A point as the SDK shows it: where it is, and its value as text."""


class LoggedPoint(NamedTuple):
    """A `Point` without its metric's name, in a sixth of the memory; the fields that are shown of it."""

    step: float | None
    epoch: float | None
    timestamp: float | None
    value: str | None
    offset: float | None


class _Row(msgspec.Struct, gc=False):
    metricName: str
    metricValue: Any = None
    timestamp: int | float | None = None
    step: int | float | None = None
    epoch: int | float | None = None
    offset: int | float | None = None


_ROW = msgspec.json.Decoder(_Row)


def logged(body: bytes) -> dict[str, list[LoggedPoint]]:
    """The points of an answer by the name of their metric."""
    found: dict[str, list[LoggedPoint]] = {}
    rows = raw_rows(body, "metrics")
    first = rows[0] if rows else None
    for name, point in readable(_taken(rows), _named):
        found.setdefault(name, []).append(point)
    if first is not None and not found:
        _named(first)  # raises: no row can be read
    return found


def _taken(rows: list[msgspec.Raw]) -> Iterator[msgspec.Raw]:
    """Each of them, which goes as soon as it is read."""
    rows.reverse()
    while rows:
        yield rows.pop()


def _named(raw: msgspec.Raw) -> tuple[str, LoggedPoint]:
    try:
        row = _ROW.decode(raw)
    except msgspec.ValidationError:  # a field of a wrong type
        row = msgspec.convert(POINT.normal(msgspec.json.decode(raw)), _Row)
    return row.metricName, LoggedPoint(row.step, row.epoch, row.timestamp, as_text(row.metricValue), row.offset)


def ordered(points: Iterable[Point]) -> list[Point]:
    """By step, those without one first; then by time, then in the order of logging. Comet sends them in none."""
    return sorted(points, key=lambda point: tuple(map(_rank, (point["step"], point["timestamp"], point["offset"]))))


def _rank(number: float | None) -> tuple[bool, float]:
    return (number is not None, number or 0)


def pairs(points: Iterable[Point], interval: Interval) -> list[Pair]:
    """``(interval, value)`` of every point, ordered."""
    return [(point[interval], point["metricValue"]) for point in ordered(points)]


def by_name(points: Iterable[Point], names: Sequence[str], interval: Interval) -> dict[str, list[Pair]]:
    """The pairs of every metric that is named; none for one that has no points."""
    found: dict[str, list[Point]] = {name: [] for name in names}
    for point in points:
        if point["metricName"] in found:
            found[point["metricName"]].append(point)
    return {name: pairs(rows, interval) for name, rows in found.items()}
