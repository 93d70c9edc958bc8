"""Points that become lines that can be drawn: numbers, gaps, thinning, the choice of a scale, labels that fit.

Pure arithmetic on values. Not here: colours, axes, SVG (`plots`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from cometfs.text.numbers import numbers_of


class Line(NamedTuple):
    """A label, and points: steps (one that is no number: the index is taken) and values as Comet has them."""

    label: str
    steps: Sequence[Any]
    values: Sequence[Any]


MOST_OF_LINE = 2_000
"""Points of one line: two for each pixel of a picture."""

MOST_OF_ALL = 80_000
"""Points of a picture, about 800 kB of SVG: many lines are thinned more than one."""

FEWEST_OF_LINE = 100
HUGE = 1e200
"""Beyond this, margins and ticks of axes overflow: what is greater is a gap."""

DECADES = 3
_GAP = math.nan
_BREAKS = re.compile(r"[\t\r\n]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_BROAD = frozenset("mwMWOQGDHNUCRABKXVY@%&—")


@dataclass(frozen=True)
class DrawnCurve:
    """A line that can be drawn: `y` is a number or NaN, a gap. `stepped`: whether `x` are steps, and no indices."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    stepped: bool
    low: float
    high: float
    """The least and the greatest number of `y`."""


def curves(lines: Sequence[Line]) -> list[DrawnCurve]:
    """The lines that have a number at all, in their order, sorted by x and thinned to what a picture can show."""
    most = max(FEWEST_OF_LINE, min(MOST_OF_LINE, MOST_OF_ALL // max(1, len(lines))))
    found = []
    last, places = None, _Places((), stepped=False)
    for line in lines:
        steps = line.steps.tobytes() if isinstance(line.steps, memoryview) else line.steps
        if last is None or steps != last:  # those of one project often have the same steps
            last, places = steps, _places(line.steps)
        found.append(_curve(line.label, places, numbers(line.values), most))
    return [curve for curve in found if curve]


class _Places(NamedTuple):
    """The x of points, ascending; in which order the points must be taken for that, where it is not theirs."""

    x: Sequence[float]
    stepped: bool
    order: Sequence[int] | None = None


def _places(steps: Sequence[Any]) -> _Places:
    x = numbers(steps)
    stepped = not all(map(math.isnan, x))
    if has_gap(x):
        x = [index if math.isnan(step) else step for index, step in enumerate(x)]
    ascending = sorted(x)
    if ascending == list(x):
        return _Places(ascending, stepped)
    return _Places(ascending, stepped, sorted(range(len(x)), key=x.__getitem__))


def _curve(label: str, places: _Places, y: Sequence[float], most: int) -> DrawnCurve | None:
    x, stepped, order = places
    if order:
        y = itemgetter(*order)(y)
    if len(y) > most:
        kept = thinned(y, most)
        # What is left lies side by side in memory then; the numbers of an answer are megabytes apart.
        x, y = array("d", itemgetter(*kept)(x)), array("d", itemgetter(*kept)(y))
    found = [value for value in y if not math.isnan(value)] if has_gap(y) else y
    return DrawnCurve(label, x, y, stepped, min(found), max(found)) if found else None


def numbers(found: Sequence[Any]) -> Sequence[float]:
    """What Comet has as floats that can be drawn; NaN for all that is no finite number."""
    if isinstance(found, memoryview):
        found = found.tolist()  # of one line at a time: all of them would take three times the room
    if _drawable(found):
        return found
    known = numbers_of(found)
    if _drawable(known):
        return known  # type: ignore[return-value]  # there is no None in it
    return [_GAP if value is None or not abs(value) <= HUGE else value for value in known]


def _drawable(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers: their length as a vector is at least as great as each, and NaN if one is. Nothing
    tells faster."""
    try:
        return math.hypot(*values) <= HUGE
    except (TypeError, OverflowError):
        return False  # words, None, or an integer greater than any float


def has_gap(values: Sequence[float]) -> bool:
    """Whether one is NaN: their sum tells, without a step of Python's for each."""
    return math.isnan(sum(values))


def thinned(ys: Sequence[float], most: int) -> Sequence[int]:
    """Indices of at most `most` points, ascending. Of each stretch: its ends, its extremes, and its first gap."""
    if len(ys) <= most:
        return range(len(ys))
    size = -(-len(ys) // max(1, most // 5))
    gaps = has_gap(ys)
    kept: list[int] = []
    for begin in range(0, len(ys), size):
        stretch = ys[begin : begin + size]
        end = begin + len(stretch) - 1
        if gaps and has_gap(stretch):
            kept += (begin, end, *(begin + place for place in _telling(stretch)))
        else:
            kept += (begin, end, begin + stretch.index(min(stretch)), begin + stretch.index(max(stretch)))
    return sorted(set(kept))


def _telling(ys: Sequence[float]) -> Iterator[int]:
    """The first gap, and the extremes beside it."""
    places = [place for place, y in enumerate(ys) if not math.isnan(y)]
    yield next(place for place, y in enumerate(ys) if math.isnan(y))
    if places:
        yield min(places, key=ys.__getitem__)
        yield max(places, key=ys.__getitem__)


def is_logarithmic(drawn: Iterable[DrawnCurve]) -> bool:
    """Whether the positive values span more than three decades, and none is negative."""
    extent = positive(drawn)
    return extent is not None and math.log10(extent[1]) - math.log10(extent[0]) > DECADES


def positive(drawn: Iterable[DrawnCurve]) -> tuple[float, float] | None:
    """The least and the greatest value that is greater than zero; None where one is negative, or none is greater."""
    least, most = math.inf, 0.0
    for curve in drawn:
        if curve.low < 0:
            return None
        least = min(least, curve.low or min((y for y in curve.y if y > 0), default=math.inf))
        most = max(most, curve.high)
    return (least, most) if most > 0 else None


def printable(text: str) -> str:
    """`text` in one line, with nothing that XML may not hold."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text))


def shortened(text: str, cells: float) -> str:
    """`text` in one line of about `cells` letters of average width; what is cut out of its middle is "…".

    The middle, because the names of one project's experiments begin alike and end differently.
    """
    line = printable(text)
    if sum(map(_width, line)) <= cells:
        return line
    head = _fitting(line, (cells - 1) / 2)
    tail = _fitting(line[::-1], (cells - 1) / 2)[::-1]
    return f"{head}…{tail}"


def _fitting(text: str, cells: float) -> str:
    left = cells
    for index, letter in enumerate(text):
        left -= _width(letter)
        if left < 0:
            return text[:index]
    return text


def _width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.8
    return 1.35 if letter in _BROAD else 1
