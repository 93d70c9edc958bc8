"""What answers weigh that have not come yet: by those of their endpoint that have, or by what they grow with, such as
the points of metrics. How far off that may be is counted along.

Not here: which answers (needs.py), and what has come (`cometfs.telemetry.traffic`).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Hashable

from cometfs.telemetry.traffic import Traffic
from cometfs.vfs.schema.declaration import Weighs

ANSWER = 1000.0
"""Bytes of an answer, where none has come from its endpoint yet."""

UNIT = 40.0
"""Bytes of a point, where no points were weighed yet."""

MEASURED, GUESSED = 0.3, 0.8
"""How far off what is reckoned by points may be, as a part of it: with some weighed, and with none."""


class Scales:
    """What was learned while it was asked: it outlives the single look."""

    def __init__(self) -> None:
        self.amounts: dict[Hashable, float] = {}
        """Of each experiment what its answers grow with."""
        self._weighed: list[tuple[float, float]] = []

    def weighed(self, amount: float, size: float) -> None:
        """An answer that grows with something came: so much of that, and so many bytes."""
        if amount and size:
            self._weighed.append((amount, size))

    @property
    def is_measured(self) -> bool:
        return bool(self._weighed)

    def unit(self) -> tuple[float, float]:
        """Bytes for each of what they grow with, and how far off that may be, as a part of it."""
        if not self._weighed:
            return UNIT, GUESSED
        amount, size = (sum(column) for column in zip(*self._weighed, strict=True))
        return size / amount, MEASURED

    def usual(self) -> tuple[float, float] | None:
        """What an experiment has of which that is not known, and the standard deviation of it."""
        found = list(self.amounts.values())
        return (statistics.mean(found), statistics.stdev(found)) if len(found) > 1 else None


class Weights:
    """Of one look."""

    def __init__(self, traffic: Traffic, scales: Scales) -> None:
        self._traffic = traffic
        self._scales = scales
        self.leaned: defaultdict[str, float] = defaultdict(float)
        """How many answers of an endpoint are reckoned by those that have come."""
        self._by_amount = 0.0
        self._usual = 0.0
        """How many answers are reckoned by what experiments usually have."""
        self._usual_squares = 0.0

    def of(self, weighs: Weighs) -> float:
        """In bytes."""
        unit, _off = self._scales.unit()
        if weighs.amount is not None:
            self._by_amount += weighs.times * weighs.amount
            return weighs.times * weighs.amount * unit
        usual = self._scales.usual() if weighs.grows else None
        if usual is not None:
            self._by_amount += weighs.times * usual[0]
            self._usual += weighs.times
            self._usual_squares += weighs.times**2
            return weighs.times * usual[0] * unit
        self.leaned[weighs.endpoint] += weighs.times
        return weighs.times * self._traffic.weight(weighs.endpoint, ANSWER)[0]

    def off(self) -> float:
        """How many bytes more or less it may be, in all likelihood."""
        return math.hypot(*self._off_by_answers(), *self._off_by_amounts())

    def _off_by_answers(self) -> list[float]:
        found = []
        for endpoint, times in self.leaned.items():
            mean, error = self._traffic.weight(endpoint, ANSWER)
            count = self._traffic.calls[endpoint]
            # The mean may be off, for all of them; and each of them differs from it.
            single = error * math.sqrt(count) if count > 1 else mean
            found.append(sure(count) * math.hypot(times * error, math.sqrt(times) * single))
        return found

    def _off_by_amounts(self) -> list[float]:
        unit, off = self._scales.unit()
        usual = self._scales.usual()
        deviation = usual[1] if usual else 0.0
        mean = deviation / math.sqrt(max(1, len(self._scales.amounts)))
        spread = math.hypot(self._usual * mean, math.sqrt(self._usual_squares) * deviation)
        return [self._by_amount * unit * off, sure(len(self._scales.amounts)) * spread * unit]


def sure(count: int) -> float:
    """Standard errors within which a mean of so many values is in all likelihood: the more, the fewer they are."""
    return 2.0 + 4.0 / max(1, count - 1)
