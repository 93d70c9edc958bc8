"""Values as Comet shows them: everything is text, with the step, the time and the context it was logged at.

How a logged value becomes text: a string stays as it is, numbers are written as Python writes them (all digits, so that
reading gives the same number back), true and false in lower case, null is ``null``, lists and objects are JSON text.

Not here: points of a metric, of which there may be many; those stay in the archive (`content`).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from cometfs.server.runs.schema import Number
from cometfs.text.numbers import number_of, word_of


def text_of(value: Any) -> str:
    """A logged value as Comet's text for it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return word_of(value)
    if type(value) in (int, float):
        return repr(value)  # as json writes it, in a fifth of the time
    return json.dumps(value, ensure_ascii=False)


def shown_name(context: str | None, name: str) -> str:
    """The name under which Comet shows what was logged as `name` in a context: ``train_loss``.

    A name that begins with the context has been shown already, to a tool that copies it from one Comet to another.
    """
    return f"{context}_{name}" if context and not name.startswith(f"{context}_") else name


@dataclass(frozen=True, slots=True)
class Logged:
    """One value as it was logged; `timestamp` in epoch milliseconds."""

    text: str
    timestamp: int | None
    step: Number | None
    context: str | None


@dataclass(slots=True)
class Summary:
    """What is kept of all values of one name: the last, and those with the smallest and the greatest number.

    NaN is last like any other value, but smallest or greatest only when there is nothing else; so is text that is no
    number.
    """

    current: Logged
    low: Logged
    high: Logged
    low_number: float = math.nan
    high_number: float = math.nan

    @classmethod
    def of(cls, value: Logged) -> Summary:
        number = number_of(value.text)
        number = math.nan if number is None else number
        return cls(value, value, value, number, number)

    def add(self, value: Logged) -> None:
        self.current = value
        number = number_of(value.text)
        if number is None or math.isnan(number):
            return
        if math.isnan(self.low_number) or number < self.low_number:
            self.low, self.low_number = value, number
        if math.isnan(self.high_number) or number > self.high_number:
            self.high, self.high_number = value, number
