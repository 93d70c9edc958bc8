"""Points that become lines that can be drawn: numbers, gaps, thinning, the choice of a scale, labels that fit.

Pure arithmetic on values. Not here: colours, axes, SVG (`plots`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cometfs.numbers import number_of

Line = tuple[str, Sequence[tuple[float | None, str | float | None]]]
"""A label, and points: a step (None: the index is taken) and a value as Comet has it, text or number."""

MOST_OF_LINE = 2_000
"""Points of one line: two for each pixel of a picture."""

MOST_OF_ALL = 100_000
"""Points of a picture, about 2 MB of SVG: many lines are thinned more than one."""

FEWEST_OF_LINE = 100
HUGE, TINY = 1e200, 1e-200
"""Beyond these, margins and ticks of axes overflow: what is greater is a gap, what is smaller is a zero."""

DECADES = 3
_GAP = math.nan
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_BROAD = frozenset("mwMWOQGDHNUCRABKXVY@%&—")


@dataclass(frozen=True)
class DrawnCurve:
    """A line that can be drawn: `y` is a number or NaN, a gap. `lonely`: indices of points without a neighbour."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    lonely: Sequence[int]
    stepped: bool


def curves(lines: Sequence[Line]) -> list[DrawnCurve]:
    """The lines that have a number at all, in their order, sorted by x and thinned to what a picture can show."""
    most = max(FEWEST_OF_LINE, min(MOST_OF_LINE, MOST_OF_ALL // max(1, len(lines))))
    found = (_curve(label, points, most) for label, points in lines)
    return [curve for curve in found if any(math.isfinite(y) for y in curve.y)]


def _curve(label: str, points: Iterable[tuple[float | None, str | float | None]], most: int) -> DrawnCurve:
    placed = []
    stepped = False
    for index, (step, value) in enumerate(points):
        x = number(step)
        stepped = stepped or not math.isnan(x)
        placed.append((index if math.isnan(x) else x, number(value)))
    placed.sort(key=lambda point: point[0])
    kept = thinned([y for _, y in placed], most)
    ys = [placed[index][1] for index in kept]
    return DrawnCurve(label, [placed[index][0] for index in kept], ys, lonely(ys), stepped)


def number(found: str | float | None) -> float:
    """What Comet has as a float that can be drawn; NaN for all that is no finite number."""
    value = number_of(found)
    if value is None or not abs(value) <= HUGE:
        return _GAP
    return value if abs(value) >= TINY else 0.0


def thinned(ys: Sequence[float], most: int) -> Sequence[int]:
    """Indices of at most `most` points, ascending. Of each stretch: its ends, its extremes, and its first gap."""
    if len(ys) <= most:
        return range(len(ys))
    stretches = max(1, most // 5)
    kept: set[int] = set()
    for stretch in range(stretches):
        indices = range(stretch * len(ys) // stretches, (stretch + 1) * len(ys) // stretches)
        numbers = [index for index in indices if not math.isnan(ys[index])]
        kept.update((indices[0], indices[-1]))
        if numbers:
            kept.update((min(numbers, key=ys.__getitem__), max(numbers, key=ys.__getitem__)))
        if len(numbers) < len(indices):
            kept.add(next(index for index in indices if math.isnan(ys[index])))
    return sorted(kept)


def lonely(ys: Sequence[float]) -> list[int]:
    """Indices of numbers between gaps: a line does not show them, a dot does."""
    fenced = [_GAP, *ys, _GAP]
    return [
        index
        for index, (before, y, after) in enumerate(zip(fenced, ys, fenced[2:], strict=False))
        if not math.isnan(y) and math.isnan(before) and math.isnan(after)
    ]


def is_logarithmic(drawn: Iterable[DrawnCurve]) -> bool:
    """Whether the positive values span more than three decades, and none is negative."""
    least, most = math.inf, 0.0
    for curve in drawn:
        for y in curve.y:
            if y < 0:
                return False
            if y > 0:
                least, most = min(least, y), max(most, y)
    return most > 0 and math.log10(most) - math.log10(least) > DECADES


def printable(text: str) -> str:
    """`text` in one line, with nothing that XML may not hold."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"[\t\r\n]+", " ", text))


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
