"""The space of a search: parameters, the points of their grids, random values, and where values are.

Not here: which point comes next (`algorithms`).
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist
from typing import Any

import msgspec

NUMERIC = ("integer", "float", "double")
LISTED = ("discrete", "categorical")
SCALES = ("linear", "uniform", "normal", "loguniform", "lognormal")

EVEN = ("linear", "uniform")

WIDEST = 3
"""How many sigmas from its middle a bell ends that has no bounds."""

GREATEST = 1e300
"""Numbers beyond it have no distance that a computer holds."""

MOST_PARAMETERS, MOST_VALUES = 1_000, 10_000
"""Of a search, and of all its lists together: no other request is answered while a set is chosen."""

Number = int | float


class InvalidSearch(ValueError):
    """A search that cannot be made; the text says why."""


class Parameter(msgspec.Struct, rename="camel"):
    """One parameter. Numbers have bounds, or a bell's middle and width, and a scale; other types a list of values."""

    type: str
    values: list[Any] | None = None
    min: Number | None = None
    max: Number | None = None
    scaling_type: str = "uniform"
    mu: Number | None = None
    sigma: Number | None = None

    def check(self, name: str) -> None:
        """Raises InvalidSearch."""
        if self.type in LISTED:
            if not self.values:
                raise InvalidSearch(f"parameter {name!r} has no values")
        elif self.type not in NUMERIC:
            raise InvalidSearch(
                f"parameter {name!r}: the type is one of {', '.join(NUMERIC + LISTED)}, not {self.type!r}"
            )
        elif self.scaling_type not in SCALES:
            raise InvalidSearch(f"parameter {name!r}: the scalingType is one of {', '.join(SCALES)}")
        else:
            self.values = None
            self._check_bounds(name)

    def _check_bounds(self, name: str) -> None:
        given = [one for one in (self.min, self.max, self.mu, self.sigma) if one is not None]
        if any(abs(one) > GREATEST for one in given):
            raise InvalidSearch(f"parameter {name!r} has a number beyond {GREATEST}")
        self._check_sigma(name)
        if self.min is None or self.max is None or self.min > self.max:
            raise InvalidSearch(f"parameter {name!r} needs a min and a max that is not below it")
        if self._is_log and self.min <= 0:
            raise InvalidSearch(f"parameter {name!r} is {self.scaling_type}, so its min must be above 0")
        if self.type == "integer" and math.ceil(self.min) > math.floor(self.max):
            raise InvalidSearch(f"parameter {name!r} has no integer between its min and its max")

    def _check_sigma(self, name: str) -> None:
        """A bell without bounds gets them of its sigma."""
        if self.sigma is not None and self.sigma <= 0:
            raise InvalidSearch(f"parameter {name!r} needs a sigma above 0")
        if self._is_normal and self.mu is not None and self.sigma is not None:
            edges = [self.mu + side * WIDEST * self.sigma for side in (-1, 1)]
            low, high = [math.exp(min(edge, 690)) for edge in edges] if self._is_log else edges
            self.min, self.max = low if self.min is None else self.min, high if self.max is None else self.max

    @property
    def _is_log(self) -> bool:
        return self.scaling_type.startswith("log")

    @property
    def _is_normal(self) -> bool:
        return self.scaling_type.endswith("normal")

    def grid(self, bins: int) -> list[Any]:
        """At most `bins` points, evenly spaced on the scale; a list has its own."""
        if self.values is not None:
            return self.values
        if self.type == "integer" and self._top - self._bottom < bins:
            return list(range(math.ceil(self._bottom), math.floor(self._top) + 1))
        steps = [(at + 0.5) / bins if self._is_normal else at / max(1, bins - 1) for at in range(bins)]
        return list(dict.fromkeys(self.at(step) for step in steps))

    def draw(self, chance: random.Random) -> Any:
        """A random value."""
        if self.values is not None:
            return chance.choice(self.values)
        if self.type == "integer" and self.scaling_type in EVEN:
            return chance.randint(math.ceil(self._bottom), math.floor(self._top))
        return self.at(chance.random())

    def at(self, share: float) -> Number:
        """The number at a share, from 0 to 1, of the scale."""
        low, high = self._scaled(self._bottom), self._scaled(self._top)
        if self._is_normal:
            place = min(high, max(low, self._bell.inv_cdf(min(1 - 1e-9, max(1e-9, share)))))
        else:
            place = low + share * (high - low)
        return self._number(place)

    def place(self, value: Any) -> list[float]:
        """Coordinates from 0 to 1; values of a list that has no order are all equally far apart."""
        if self.type == "categorical":
            return [math.sqrt(0.5) * (one == value) for one in self.values or ()]
        if self.values is not None:
            return [self.values.index(value) / max(1, len(self.values) - 1)]
        low, high = self._scaled(self._bottom), self._scaled(self._top)
        return [(self._scaled(value) - low) / (high - low) if high > low else 0.0]

    def near(self, value: Any, chance: random.Random) -> Any:
        """A random value not far from another one."""
        if self.values is not None:
            return value if chance.random() < 0.7 else chance.choice(self.values)
        low, high = self._scaled(self._bottom), self._scaled(self._top)
        place = chance.gauss(self._scaled(value), (high - low) / 10)
        return self._number(place)

    def _number(self, place: float) -> Number:
        """The number at a place of the scale."""
        number = min(self._top, max(self._bottom, math.exp(place) if self._is_log else place))
        return round(number) if self.type == "integer" else float(number)

    @property
    def _bottom(self) -> float:
        assert self.min is not None
        return self.min

    @property
    def _top(self) -> float:
        assert self.max is not None
        return self.max

    @property
    def _bell(self) -> NormalDist:
        """Of the scaled values: its middle and width are `mu` and `sigma`, else those of the bounds."""
        low, high = self._scaled(self._bottom), self._scaled(self._top)
        mu = (low + high) / 2 if self.mu is None else self.mu
        return NormalDist(mu, (high - low) / 4 or 1.0 if self.sigma is None else self.sigma)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._is_log else float(value)


Space = dict[str, Parameter]


def space_of(parameters: dict[str, Any]) -> Space:
    """The space that a client describes. Raises InvalidSearch."""
    if not 1 <= len(parameters) <= MOST_PARAMETERS:
        raise InvalidSearch(f"a search needs at least one parameter, and has at most {MOST_PARAMETERS}")
    try:
        space = msgspec.convert(parameters, Space)
    except msgspec.ValidationError as exc:
        raise InvalidSearch(f"the parameters are not understood: {exc}") from exc
    for name, parameter in space.items():
        parameter.check(name)
    if sum(len(parameter.values or ()) for parameter in space.values()) > MOST_VALUES:
        raise InvalidSearch(f"the lists of a search have at most {MOST_VALUES} values together")
    return space
