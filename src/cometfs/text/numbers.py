"""Numbers in text that others wrote: what counts as one, and the three that have no digits.

Comet is written in Java, which reads ``8.6E-4`` and blanks at both ends, but no underscores and no digits beyond ASCII.
Python's `float` and `int` read those too: `1_000` would be a number here and a word there. Words are read as Python
writes them as well, for that is what most programs log. Not here: how a table shows a number (render/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec

_DIGITS = re.compile(r"[0-9]{1,100}")
"""Python refuses to read a text of more than 4300 digits; nothing that is counted here has a hundred."""


_EXACT = 2**53
"""Integers below this are the same as doubles."""

_JSON = msgspec.json.Decoder(list[float])


def number_of(value: Any) -> float | None:
    """The double that a text or a number stands for, NaN and infinities included; None for what is no number."""
    if value is None or isinstance(value, bool) or (isinstance(value, str) and ("_" in value or not value.isascii())):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def numbers_of(values: Sequence[Any]) -> Sequence[float | None]:
    """`number_of` of each; of doubles, integers or texts of numbers, as nearly all are, many times as fast."""
    kinds = set(map(type, values))
    if kinds == {float} or (kinds == {int} and min(values) > -_EXACT and max(values) < _EXACT):
        return values
    found = _read_together(values) if kinds == {str} else []
    return found if len(found) == len(values) else list(map(number_of, values))


def _read_together(texts: Sequence[str]) -> list[float]:
    """A reader of JSON takes a fifth of the time. Empty where one is no number; longer where one is several."""
    try:
        return _JSON.decode(f"[{','.join(texts)}]")
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return []


def word_of(number: float) -> str:
    """How Java writes a number that has no digits: ``NaN``, ``Infinity`` or ``-Infinity``."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def whole_of(text: str) -> int | None:
    """The integer that a text of digits alone stands for: no sign, no blank; None for any other text."""
    return int(text) if _DIGITS.fullmatch(text) else None
