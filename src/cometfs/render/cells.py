"""Names, values and times for a table that people read: own metrics before comet_ml's, four digits of 17.

Not here: markup (pages/).
"""

from __future__ import annotations

import math
import re

from cometfs.text.numbers import number_of
from cometfs.text.times import in_utc

DIGITS = 4
"""Significant digits of a number that are shown; a whole number is shown whole."""

_EVERYBODYS = re.compile(
    r"sys\..*|process duration|((train|validate|test)_)?((curr_|global_)?(epoch|step)|epoch_duration)", re.DOTALL
)
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NO_DIGIT_OF_ITS_OWN = re.compile(r"[eE].*|[^0-9]")


def is_everybodys(name: str) -> bool:
    """Whether comet_ml logs a metric or parameter of that name by itself, in every experiment."""
    return _EVERYBODYS.fullmatch(name) is not None


def is_number(value: str) -> bool:
    """Whether it is one, NaN and infinities included."""
    return number_of(value) is not None


def brief(value: str) -> str:
    """A number to four significant digits, and to no less than its whole part; any other text as it is."""
    number = number_of(value)
    if number is None or not math.isfinite(number) or _WHOLE.fullmatch(value):
        return value
    if len(_NO_DIGIT_OF_ITS_OWN.sub("", value).lstrip("0")) <= DIGITS:
        return value
    short = f"{number:.0f}" if 10**DIGITS <= abs(number) < 1e15 else f"{number:.{DIGITS}g}"
    return min(short, value, key=len)


def spoken(seconds: float) -> str:
    """Seconds as people write them: two units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    return f"{whole // 60} min {whole % 60} s"


def moment(milliseconds: float | None) -> str:
    """UTC; nothing for a time that no calendar has."""
    return (in_utc(milliseconds, "seconds") or "") if milliseconds else ""


def sized(count: float) -> str:
    """Bytes as people write them: three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
