"""Which set of parameters comes next, by algorithm: grid, random, bayes.

Every choice follows from the seed and the number of the set, so that a server that goes on chooses the same.

`bayes` is no Gaussian process. Its first sets are random. Then it draws sets, some at random and some near the best,
and takes the one whose expected result is best: the mean of all results, each weighted by its nearness, less a bonus
for the distance from the nearest one.

Not here: spaces (`space`), what was assigned (`sweep`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

import msgspec

from cometfs.server.optimizer.space import InvalidSearch, Space

Values = dict[str, Any]

Result = tuple[Values, float]
"""A set that was tried and its score, of which less is better."""

FIRST = 5
"""Random sets at the beginning of `bayes`, and two more for each parameter."""

NEARNESS = 0.15
"""The distance at which a result counts e^-1 as much as at the place itself."""

CURIOSITY = 0.5
"""What the distance from all results is worth, against the span of the results."""


MOST_DRAWN = 300
"""Sets that are drawn, and results that are considered, for one: no other request is answered meanwhile."""

MOST_BINS = 10_000
"""Points of the ranges in a grid, those of all of them together."""

MOST_COORDINATES = 3_000
"""The same for the coordinates of all drawn sets: of sets with hundreds fewer are drawn."""


class Spec(msgspec.Struct, rename="camel"):
    """How to search. 0 for `max_combo` is the whole grid, and elsewhere ten sets for each parameter."""

    metric: str = "loss"
    objective: str = "minimize"
    max_combo: int = 0
    grid_size: int = 10
    min_sample_size: int = 100
    retry_limit: int = 20
    retry_assign_limit: int = 0
    randomize: bool = False
    seed: int | None = None

    def check(self) -> None:
        """Raises InvalidSearch."""
        if self.objective not in ("minimize", "maximize"):
            raise InvalidSearch(f"the objective is {self.objective!r}, neither 'minimize' nor 'maximize'")
        if not 1 <= self.grid_size <= MOST_BINS:
            raise InvalidSearch(f"the gridSize must be from 1 to {MOST_BINS}")


def check_grid(space: Space, spec: Spec) -> None:
    """Raises InvalidSearch for one whose points would take long to list."""
    ranges = sum(one.values is None for one in space.values())
    if ranges * spec.grid_size > MOST_BINS:
        raise InvalidSearch(f"{ranges} ranges with a gridSize of {spec.grid_size} are more than {MOST_BINS} points")


def grid_size(space: Space, spec: Spec) -> int:
    """The number of points of the grid."""
    return math.prod(len(one.grid(spec.grid_size)) for one in space.values())


def most_sets(algorithm: str, space: Space, spec: Spec) -> int:
    """How many sets a search has at most."""
    if algorithm == "grid":
        whole = grid_size(space, spec)
        return min(whole, spec.max_combo) if spec.max_combo > 0 else whole
    return spec.max_combo if spec.max_combo > 0 else 10 * len(space)


def next_set(
    algorithm: str, space: Space, spec: Spec, sets: Sequence[Values], results: Sequence[Result]
) -> Values | None:
    """The set after `sets`; None where the search has no other. `results` are of those of them that have ended."""
    if len(sets) >= most_sets(algorithm, space, spec):
        return None
    if algorithm == "grid":
        return _point(space, spec, len(sets))
    chance = random.Random(f"{spec.seed}/{len(sets)}")
    is_guided = algorithm == "bayes" and len(sets) >= FIRST + 2 * len(space) and bool(results)
    propose = (lambda: _promising(space, spec, sets, results, chance)) if is_guided else (lambda: _drawn(space, chance))
    return _new(propose, sets, spec.retry_limit)


def _new(propose: Callable[[], Values | None], sets: Sequence[Values], retries: int) -> Values | None:
    for _ in range(min(MOST_DRAWN, max(1, retries))):
        found = propose()
        if found is not None and found not in sets:
            return found
    return None


def _drawn(space: Space, chance: random.Random) -> Values:
    return {name: one.draw(chance) for name, one in space.items()}


def _point(space: Space, spec: Spec, number: int) -> Values:
    """The first parameter changes slowest. In a random order, every point comes once, too."""
    if spec.randomize:
        total, chance = grid_size(space, spec), random.Random(spec.seed)
        start, stride = chance.randrange(total), chance.randrange(1, total + 1)
        while math.gcd(stride, total) != 1:
            stride += 1
        number = (start + number * stride) % total
    values = {}
    for name, one in reversed(space.items()):
        points = one.grid(spec.grid_size)
        number, at = divmod(number, len(points))
        values[name] = points[at]
    return {name: values[name] for name in space}


def _promising(
    space: Space, spec: Spec, sets: Sequence[Values], results: Sequence[Result], chance: random.Random
) -> Values | None:
    """The best of those drawn that are new; None where none is."""
    most = max(10, min(MOST_DRAWN, MOST_COORDINATES // len(_place(space, results[0][0]))))
    results = sorted(results, key=lambda result: result[1])[:most]
    (best, lowest), (_, highest) = results[0], results[-1]
    span = highest - lowest or 1.0
    count = min(most, max(10, spec.min_sample_size))
    drawn = [_drawn(space, chance) for _ in range(count)]
    drawn += [{name: one.near(best[name], chance) for name, one in space.items()} for _ in range(count // 2)]
    drawn = [one for one in drawn if one not in sets]
    if not drawn:
        return None

    places, scores = [_place(space, values) for values, _ in results], [score for _, score in results]
    furthest = math.sqrt(len(space))

    def expected(values: Values) -> float:
        here = _place(space, values)
        distances = [math.dist(here, other) / furthest for other in places]
        weights = [math.exp(-distance / NEARNESS) for distance in distances]
        mean = math.fsum(map(mul, weights, scores)) / (math.fsum(weights) or 1.0)
        return (mean - lowest) / span - CURIOSITY * min(distances)

    return min(drawn, key=expected)


def _place(space: Space, values: Values) -> list[float]:
    return [one for name, parameter in space.items() for one in parameter.place(values[name])]


ALGORITHMS = ("bayes", "grid", "random")


def spec_of(algorithm: str, spec: dict[str, Any]) -> Spec:
    """The specification that a client gives, its own additions ignored. Raises InvalidSearch."""
    if algorithm not in ALGORITHMS:
        raise InvalidSearch(f"there is no algorithm {algorithm[:60]!r}: this server has {', '.join(ALGORITHMS)}")
    try:
        made = msgspec.convert({name: value for name, value in spec.items() if value is not None}, Spec, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidSearch(f"the spec is not understood: {exc}") from exc
    made.check()
    return made
