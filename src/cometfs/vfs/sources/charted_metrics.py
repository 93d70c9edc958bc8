"""What a chart says of one experiment's metrics, packed, and the forms of single answers that it tells: pure functions.

One value for each experiment, of which a sheet or an extent is made when it is wanted: a project of 25,000 experiments
with 50 metrics each has a million of those. Not here: asking for charts, and how far they are believed (chart_calls.py,
metrics.py).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from cometfs.render import points, spreads
from cometfs.render.points import Charted
from cometfs.render.series import pack

T = TypeVar("T")

HEAVY = 1 << 20
"""Bytes of points of one experiment beyond which it is not asked for together with others: most readers want one
metric of many."""


class Parsed(NamedTuple):
    """What a chart says of one experiment's metrics."""

    names: list[str]
    """Of all, sorted."""
    points: dict[str, msgspec.Raw]
    """Of those of which it has lost nothing, each packed by itself."""
    lengths: dict[str, int]
    """How many points those have."""
    first_counts: bool = False
    """Whether it is known that the first of equal values is the least or the greatest at its server."""

    @classmethod
    def of(cls, chart: Mapping[str, Any]) -> Parsed:
        rows = {metric["metricName"]: points.charted(metric) for metric in chart["metrics"] if metric["values"]}
        certain = {name: found for name, found in rows.items() if found is not None}
        raws = {name: written for name, found in certain.items() if (written := _written(found)) is not None}
        return cls(sorted(rows), raws, {name: len(certain[name].values) for name in raws})

    @classmethod
    def unpacked(cls, packed: bytes) -> Parsed:
        """The inverse of `packed`."""
        return _PARSED.decode(packed)

    def packed(self) -> bytes:
        return msgspec.msgpack.encode(self)

    def up_to(self, longest: int) -> Parsed:
        """The same, but of metrics that have more points no more than the name."""
        names = {name for name, length in self.lengths.items() if length <= longest}
        if len(names) == len(self.lengths):
            return self
        return self._replace(points=_only(names, self.points), lengths=_only(names, self.lengths))

    @property
    def is_light(self) -> bool:
        return bool(self.names) and sum(map(len, self.points.values())) <= HEAVY

    def sheet(self, name: str) -> bytes | None:
        """The points of a metric as CSV."""
        return points.sheet(points.spelled(_CHARTED.decode(self.points[name]))) if name in self.points else None

    def series(self, name: str) -> bytes | None:
        """The points of a metric as `series.pack` packs them, nothing where there is no such metric; None where they
        may not be in the order of logging."""
        if name not in self.points:
            return None if name in self.names else b""
        found = _CHARTED.decode(self.points[name])
        return pack(found._asdict()) if type(found.values[0]) is float else None


class Unpacked(NamedTuple):
    """The same with all points, for what is made of those of all metrics."""

    names: list[str]
    points: dict[str, Charted]
    lengths: dict[str, int]
    first_counts: bool = False

    @classmethod
    def of(cls, packed: bytes) -> Unpacked:
        return _UNPACKED.decode(packed)

    def sheets(self) -> dict[str, bytes]:
        return {name: points.sheet(points.spelled(found)) for name, found in self.points.items()}

    def extents(self) -> dict[str, list[Any]] | None:
        """Of each metric its last, least and greatest value, as text; None unless that is known of all."""
        extents = {name: points.extent_of(found) for name, found in self.points.items()}
        found = {name: list(extent) for name, extent in extents.items() if extent is not None}
        return found if len(found) == len(self.names) else None

    def spreads(self) -> Spreads | None:
        """Those of all metrics; None where they leave one open."""
        if len(self.points) < len(self.names):
            return None
        measured = {name: points.measured(points.spelled(one)) for name, one in self.points.items()}
        found = {name: one for name, of_one in measured.items() if (one := spreads.of_points(of_one)) is not None}
        if len(found) < len(self.names):
            return None
        return Spreads({name: list(one.spread) for name, one in found.items()}, any(one.tied for one in found.values()))


class Spreads(NamedTuple):
    """Metric -> `spreads.Spread`, as a list."""

    by_name: dict[str, list[Any]]
    tied: bool
    """Whether they take the first of equal values for the least or the greatest of a metric."""


_PARSED = msgspec.msgpack.Decoder(Parsed)

_UNPACKED = msgspec.msgpack.Decoder(Unpacked)

_CHARTED = msgspec.msgpack.Decoder(Charted)


def _written(found: Charted) -> msgspec.Raw | None:
    """None for what has no form on disk, such as a step of thirty digits: it is asked for by itself."""
    try:
        return msgspec.Raw(msgspec.msgpack.encode(found))
    except (UnicodeEncodeError, OverflowError):
        return None


def _only(names: Container[str], of_each: Mapping[str, T]) -> dict[str, T]:
    return {name: one for name, one in of_each.items() if name in names}
