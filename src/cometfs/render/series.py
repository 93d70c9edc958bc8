"""The points of one metric of one experiment in a chart, in 12 or 16 bytes each: a project may have millions of them.

Not here: several of them beside each other (aligned.py), and points as single calls tell them (points.py).
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, SupportsIndex, overload

from cometfs.render.numbers import spelt
from cometfs.text.numbers import number_of

Point = tuple[float, float | None]

_FURTHEST = sys.float_info.max

_NULL = struct.pack("=Q", 0x7FF8_0000_0000_6E75)
"""How a value that Comet has as null is packed: a NaN that no computation yields."""

_NONE = struct.unpack("=d", _NULL)[0]


class Series(Sequence[Point]):
    """(step, value) of every point, in the order of logging; a value is None where Comet has no number."""

    __slots__ = ("steps", "values")

    def __init__(self, packed: bytes) -> None:
        """`packed` as `pack` returns it, and not empty."""
        view, code = memoryview(packed), chr(packed[0])
        middle = 1 + (len(packed) - 1) // (_size(code) + 8) * _size(code)
        self.steps: memoryview[Any] = view[1:middle].cast(code)  # type: ignore[call-overload]
        self.values: memoryview[float] = view[middle:].cast("d")

    @staticmethod
    def of(metric: Mapping[str, Any]) -> Series | None:
        """Of a chart's metric; None where it has no points."""
        packed = pack(metric)
        return Series(packed) if packed else None

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Point | Sequence[Point]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        value = self.values[index]
        return self.steps[index], None if _is_null(value) else value

    def __iter__(self) -> Iterator[Point]:
        return ((step, None if _is_null(value) else value) for step, value in zip(self.steps, self.values, strict=True))

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The values of those points as a table has them; nothing for an index of -1."""
        values = self.values
        found = [_NONE if index < 0 else values[index] for index in indices]
        if all(map(math.isfinite, found)):
            return list(map(repr, found))
        return ["" if _is_null(value) else spelt(value) for value in found]

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite value; None where there is none."""
        finite = list(filter(math.isfinite, self.values))
        return (min(finite), max(finite)) if finite else None


def pack(metric: Mapping[str, Any]) -> bytes:
    """The points of a chart's metric: one letter, steps, values; nothing where it has none.

    Where an experiment logged no steps its epochs stand for them, else the order of logging.
    """
    steps, values = _placed(metric)
    if not values:
        return b""
    where = _numbers(steps)
    if set(map(type, values)) != {float}:
        values = [_NONE if (found := number_of(value)) is None else found for value in values]
    return b"".join((where.typecode.encode(), where.tobytes(), array("d", values).tobytes()))


def pack_points(points: Iterable[Mapping[str, Any]]) -> bytes:
    """The same of the points that a single call answers, in the order of a chart."""
    found = sorted(points, key=lambda point: tuple(map(_rank, (point[field] for field in _ORDER))))
    columns = {"steps": "step", "epochs": "epoch", "values": "metricValue"}
    return pack({name: [point[field] for point in found] for name, field in columns.items()})


_ORDER = ("step", "timestamp", "offset")


def _rank(number: float | None) -> tuple[bool, float]:
    return (number is not None, number or 0)


def _placed(metric: Mapping[str, Any]) -> tuple[Sequence[float], list[Any]]:
    values = metric["values"]
    for field in ("steps", "epochs"):
        where = metric.get(field) or []
        if any(step is not None for step in where):
            pairs = [(step, value) for step, value in zip(where, values, strict=False) if _is_place(step)]
            return [step for step, _ in pairs], [value for _, value in pairs]
    return range(len(values)), values


def _is_place(step: Any) -> bool:
    # NaN is nowhere, and neither is what no double holds.
    return isinstance(step, int | float) and -_FURTHEST <= step <= _FURTHEST


def _numbers(steps: Sequence[float]) -> array[Any]:
    for code in ("i", "q"):
        try:
            return array(code, steps)
        except (TypeError, OverflowError):
            pass  # fractions, or too great
    return array("d", steps)


def _is_null(value: float) -> bool:
    return value != value and struct.pack("=d", value) == _NULL


def _size(code: str) -> int:
    return struct.calcsize(code)
