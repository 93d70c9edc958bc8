"""Series of many experiments beside each other, a row for each step that any of them has, a few rows at a time.

Not here: what a row looks like in a file (tables.py).
"""

from __future__ import annotations

import heapq
import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from cometfs.render.series import Series

CELLS = 100_000
"""Cells that are in memory at once, as text: some 8 MB."""


def rows(lines: Sequence[Series | None]) -> Iterator[tuple[list[float], list[list[str]]]]:
    """Steps in order, some at a time, and of each line the texts at them. Of several values at one step the last
    stands."""
    axes: dict[tuple[str, bytes], _Axis] = {}
    along = [None if line is None else _axis(axes, line) for line in lines]
    # Most experiments of a project log at the same steps: then there is one axis, and no look for each point.
    merged = (step for step, _ in groupby(heapq.merge(*(axis.steps for axis in axes.values()))))
    while steps := list(islice(merged, max(1, CELLS // max(1, len(lines))))):
        places = {id(axis): axis.take(steps) for axis in axes.values()}
        blank = [""] * len(steps)
        cells = zip(lines, along, strict=True)
        yield steps, [blank if line is None else line.texts(places[id(axis)]) for line, axis in cells]


def _axis(axes: dict[tuple[str, bytes], _Axis], line: Series) -> _Axis:
    key = (line.steps.format, line.steps.tobytes())
    axis = axes.get(key)
    if axis is None:
        axis = axes[key] = _Axis(line.steps)
    return axis


class _Axis:
    """The steps of series that have the same: ascending, each once."""

    def __init__(self, steps: Sequence[float]) -> None:
        self.steps: Iterable[float] = steps
        self._order: Sequence[int] = range(len(steps))
        if not all(map(operator.lt, steps, islice(steps, 1, None))):
            last = {step: index for index, step in enumerate(steps)}
            ordered = sorted(last)
            self.steps = ordered
            self._order = array("q", [last[step] for step in ordered])
        self._left: Iterator[tuple[float, int]] = zip(self.steps, self._order, strict=True)
        self._next: tuple[Any, int] = next(self._left, (None, -1))

    def take(self, wanted: Sequence[float]) -> list[int]:
        """Of each of the next steps the index of its last value, -1 where there is none."""
        found = []
        step, index = self._next
        for one in wanted:
            if one != step:
                found.append(-1)
                continue
            found.append(index)
            step, index = next(self._left, (None, -1))
        self._next = (step, index)
        return found
