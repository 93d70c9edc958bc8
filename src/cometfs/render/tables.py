"""Answers that become CSV (RFC 4180 with "\\n" line ends): what DuckDB, pandas and awk read without options."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from cometfs.render.text import text

Point = Mapping[str, Any]


def metric_points(points: Iterable[Point] | None) -> bytes:
    """Every point of a metric: step, epoch, timestamp_ms, value; sorted by step, then time, then offset.

    A null is an empty cell; points without a step come last. The value is Comet's own text of it.
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(("step", "epoch", "timestamp_ms", "value"))
    for point in sorted(points or (), key=_order):
        writer.writerow((point["step"], point["epoch"], point["timestamp"], point["metricValue"]))
    return text(sheet.getvalue())


def _order(point: Point) -> tuple[tuple[bool, float], ...]:
    return tuple(_nulls_last(point[field]) for field in ("step", "timestamp", "offset"))


def _nulls_last(value: float | None) -> tuple[bool, float]:
    return (value is None, 0 if value is None else value)
