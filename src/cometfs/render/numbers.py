"""The one spelling of a metric's value: the same bytes whichever of Comet's answers it came from.

Comet tells the points of one metric as text (``8.63E-4``, as Java writes numbers) and charts of many as JSON numbers;
it keeps doubles either way. Parameters and others are not touched: their text is what somebody logged.
"""

from __future__ import annotations

import math
from typing import Any

_EXACT = 2.0**53
"""Whole doubles below this are written as integers, which they are exactly."""


def spelt(value: Any) -> Any:
    """The text of a metric's value: the shortest that reads as the same double; whole ones without a point.

    ``NaN``, ``Infinity`` and ``-Infinity`` as Comet has them; text that is no number and None as they are.
    """
    number = number_of(value)
    if number is None:
        return value
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return str(int(number)) if number.is_integer() and abs(number) < _EXACT else repr(number)


def number_of(value: Any) -> float | None:
    """The double that Comet's text or number stands for; None for what is no number."""
    if isinstance(value, bool) or value is None or (isinstance(value, str) and "_" in value):
        return None  # Python takes "1_000" for a number; nobody else does
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
