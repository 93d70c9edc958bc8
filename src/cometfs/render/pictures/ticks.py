"""Where the ticks of an axis stand, and what is written beside them. Pure arithmetic; not here: pixels (`paper`).

Steps are the nice numbers of Paul S. Heckbert, "Nice Numbers for Graph Labels", in: Andrew S. Glassner (ed.), Graphics
Gems, Academic Press 1990, pages 61-63: one, two or five times a power of ten, whichever comes next to an even division.
Unlike there, an axis need not end at a tick: a picture is as wide as its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

_HAIR = 1e-9
"""The part of a step by which rounding may move a tick over the edge of its axis."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN = range(-5, 7)
"""Powers of ten of the greatest number that an axis shows with all its zeros."""


class Tick(NamedTuple):
    """`place`: a number of the axis, of a logarithmic one the logarithm."""

    place: float
    label: str


def nice(width: float) -> tuple[int, int]:
    """The step next to `width`: (1, 2 or 5; a power of ten). Heckbert's `nicenum`, rounding."""
    power = math.floor(math.log10(width))
    part = width / 10.0**power if power > -300 else 1.0
    if part >= 7:
        return 1, power + 1
    return 1 if part < 1.5 else 2 if part < 3 else 5, power


def linear(low: float, high: float, most: int, *, whole: bool = False) -> list[Tick]:
    """About `most` ticks from `low` to `high`, at whole numbers only where they are `whole`."""
    digit, power = nice((high - low) / (most - 1))
    if whole and power < 0:
        digit, power = 1, 0
    counts = _multiples(low, high, float(f"{digit}e{power}"))
    if not counts and power > 0:  # a step wider than the axis may miss it
        digit, power = (digit // 2, power) if digit > 1 else (5, power - 1)
        counts = _multiples(low, high, float(f"{digit}e{power}"))
    numbers = [Decimal(count * digit).scaleb(power) for count in counts]
    return [Tick(float(number), label) for number, label in zip(numbers, _labels(numbers, power), strict=True)]


def powers(low: float, high: float, most: int) -> list[Tick]:
    """About `most` powers of ten between two logarithms."""
    digit, power = nice((high - low) / (most - 1))
    stride = digit * 10**power if power >= 0 else 1
    exponents = [count * stride for count in _multiples(low, high, stride)]
    return [Tick(exponent, "10" + str(exponent).translate(_RAISED)) for exponent in exponents]


def between(low: float, high: float, major: Sequence[Tick]) -> list[float]:
    """The logarithms of 2, 3, ... 9 times each power of ten, where no power is left out."""
    if len(major) > 1 and major[1].place - major[0].place > 1:
        return []
    decades = range(math.floor(low), math.ceil(high))
    places = [decade + math.log10(digit) for decade in decades for digit in range(2, 10)]
    return [place for place in places if low <= place <= high]


def _multiples(low: float, high: float, step: float) -> range:
    return range(math.ceil(low / step - _HAIR), math.floor(high / step + _HAIR) + 1)


def _labels(numbers: Sequence[Decimal], power: int) -> list[str]:
    """All with the same decimals; with a power of ten where that is shorter than very many zeros."""
    plain = [f"{number:,.{max(0, -power)}f}" for number in numbers]
    top = max((number.adjusted() for number in numbers if number), default=0)
    if top in _PLAIN:
        return plain
    decimals = max(0, top - power)
    short = [f"{number.scaleb(-top):.{decimals}f}e{top}" if number else "0" for number in numbers]
    return short if max(map(len, short)) < max(map(len, plain)) else plain
