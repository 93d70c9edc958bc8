"""What was logged as the bytes of files, by own rules (the manual, `tree`) and not by the mount's renderers.

Not here: when they were so (account_history.py).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A point of a metric, as it was logged."""

    step: int | None
    epoch: int | None
    timestamp: int
    value: float


HEAD = b"step,epoch,timestamp_ms,value\n"


def line_of(point: Point) -> bytes:
    """One line of a metric's CSV."""
    places = ["" if place is None else str(place) for place in point[:3]]
    value = "NaN" if math.isnan(point.value) else repr(point.value)
    return (",".join([*places, value]) + "\n").encode()


def place_of(point: Point) -> tuple[float, int]:
    """Where a point stands in its CSV: by step, without one last, then by time."""
    return (math.inf if point.step is None else point.step, point.timestamp)


def sheet_of(points: Iterable[Point]) -> bytes:
    """The whole CSV."""
    return HEAD + b"".join(map(line_of, sorted(points, key=place_of)))


def json_of(values: Mapping[str, Any]) -> bytes:
    """An object as ``params.json`` and ``others.json`` have it: keys sorted, one a line; numbers as numbers."""
    lines = [
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(values[name], ensure_ascii=False)}"
        for name in sorted(values)
    ]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode() if lines else b"{}\n"


def tags_of(tags: Iterable[str]) -> bytes:
    """One tag a line, sorted."""
    return "".join(f"{tag}\n" for tag in sorted(tags)).encode()


def directories_of(names: Mapping[str, str | None]) -> dict[str, str]:
    """Directory -> key, from key -> name: of those who share a name each bears a piece of its key too."""
    counts = Counter(names.values())
    return {
        key if name is None else name if counts[name] == 1 else f"{name}-{key[:8]}": key for key, name in names.items()
    }
