"""The one spelling of a metric's value: the same bytes whichever of Comet's answers it came from.

Comet tells the points of one metric as text (``8.63E-4``, as Java writes numbers) and charts of many as JSON numbers;
it keeps doubles either way. Parameters and others are not touched: their text is what was logged.
"""

from __future__ import annotations

import math
from typing import Any

from cometfs.text.numbers import number_of, word_of

_EXACT = 2.0**53
"""Whole doubles below this are written as integers, which they are exactly."""


def spelt(value: Any) -> Any:
    """The text of a metric's value: the shortest that reads as the same double, always with a point or an exponent.

    ``NaN``, ``Infinity`` and ``-Infinity`` as Comet has them; text that is no number and None as they are.
    """
    number = number_of(value)
    if number is None:
        return value
    if not math.isfinite(number):
        return word_of(number)
    return repr(number)


def placed(value: Any) -> Any:
    """The text of a step, an epoch or a time in ms: whole ones without a point, whether Comet sent one or not."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return value
