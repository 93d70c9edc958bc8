"""What a chart says of one experiment's metrics, in the forms of single answers: pure functions.

Not here: asking for charts, and how far they are believed (chart_calls.py, metrics.py).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple, TypeVar

from cometfs.render import points, spreads

T = TypeVar("T")

HEAVY = 1 << 20
"""Bytes of points of one experiment beyond which it is not asked for together with others: most readers want one
metric of many."""


class Parsed(NamedTuple):
    """What a batch says of one experiment's metrics."""

    sheets: dict[str, bytes]
    extents: dict[str, list[Any]]
    spreads: dict[str, list[Any]]
    tied: bool
    """Whether `spreads` takes the first of equal values for the least or the greatest of a metric."""
    names: list[str]
    lengths: dict[str, int]
    """The points of each sheet."""

    def up_to(self, longest: int) -> Parsed:
        """The same, but of metrics that have more points no more than the name."""
        names = {name for name, length in self.lengths.items() if length <= longest}
        if len(names) == len(self.lengths):
            return self
        return self._replace(
            sheets=_only(names, self.sheets),
            extents=_only(names, self.extents),
            spreads=_only(names, self.spreads),
            lengths=_only(names, self.lengths),
        )


def _only(names: Container[str], of_each: Mapping[str, T]) -> dict[str, T]:
    return {name: one for name, one in of_each.items() if name in names}


def parsed_of(chart: Mapping[str, Any]) -> Parsed:
    rows = {metric["metricName"]: points.of_chart(metric) for metric in chart["metrics"] if metric["values"]}
    certain = {name: found for name, found in rows.items() if found is not None}
    sheets = {name: points.sheet(found) for name, found in certain.items()}
    measured = {name: points.measured(found) for name, found in certain.items()}
    extents = {name: list(extent) for name, found in measured.items() if (extent := points.extent(found)) is not None}
    derived = {name: one for name, found in measured.items() if (one := spreads.of_points(found)) is not None}
    tied = any(one.tied for one in derived.values())
    found_spreads = {name: list(one.spread) for name, one in derived.items()}
    lengths = {name: len(found.values) for name, found in certain.items()}
    return Parsed(sheets, extents, found_spreads, tied, sorted(rows), lengths)


def is_light(parsed: Parsed) -> bool:
    return bool(parsed.names) and sum(map(len, parsed.sheets.values())) <= HEAVY
