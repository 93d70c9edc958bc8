"""What reading parts of the tree whole would cost now: calls and bytes, from the declaration and what is at hand.

Listings that are not at hand are asked for, which reading would do as well: of as many directories as the bound on
calls lets. Those that are left are reckoned as the others of their kind. What an answer weighs is known of assets; of
metrics it follows from their steps; of all else it is what such answers have weighed so far. Not here: what one
question needs (needs.py), what its answer weighs (weights.py), and how long it takes (duration.py).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from cometfs.errors import CometFSError
from cometfs.vfs.answers.abreast import ABREAST
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.cost.duration import Duration, duration
from cometfs.vfs.engine.cost.needs import Reckoning, Sum
from cometfs.vfs.engine.cost.weights import Scales, sure
from cometfs.vfs.engine.walk_prefetch import Pace
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Link, Source, fixed_of, for_eaches_of
from cometfs.vfs.sources.experiment import EVERY_POINT

ENOUGH = 3
"""Answers of a kind that are weighed, where there are more."""

FOR_WEIGHING = 12
"""Of the calls, so many are left for that."""

PATIENCE = 10.0
"""Seconds after which no more calls are begun: a third of a program's deadline."""


@dataclass(frozen=True)
class Cost:
    """What it would cost."""

    calls: int
    calls_range: tuple[int, int]
    """Between which the calls are in all likelihood ..."""
    bytes: int
    bytes_range: tuple[int, int]
    """... and the bytes."""
    files: int
    at_hand: int
    """Files that cost nothing."""
    spent: int
    """Calls that were made to find out. What they brought is at hand now."""
    looked_into: dict[str, tuple[int, int]]
    """Of each kind of directory of which not all are known: how many are, and of how many."""
    unknown: tuple[str, ...] = ()
    """Kinds of directories of which none is known: what is in them is not counted."""
    by_endpoint: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Calls and bytes of those that are not reckoned by other directories."""
    seconds: float = 0.0
    """For calls and bytes ..."""
    paused: float = 0.0
    """... of which so many until the budget of calls has enough again."""
    rate: float | None = None
    """Bytes a second, as measured; None where nothing big has come yet: then `seconds` are those of the calls."""


Question = tuple[Source, Context]


class Estimate:
    """One look, with a bound on its calls."""

    def __init__(self, answers: AnswerResolver, calls: int, pace: Pace) -> None:
        """`calls`: the bound; `pace`: of what will read it."""
        self._answers = answers
        self._pace = pace
        self._left = calls
        self._scales = Scales()
        self._means: dict[ForEach, Sum] = {}
        self._failed: set[Hashable] = set()
        """What was asked in vain: its reader gets the error."""

    async def of(self, nodes: Sequence[Node]) -> Cost:
        """Looks, asks for what would tell most, and looks again."""
        made = self._answers.api.traffic.calls.total
        spent, until = made(), trio.current_time() + PATIENCE
        for wanted in (_Look.listings, _Look.weighing):
            while self._left > 0 and trio.current_time() < until:
                look = await self._look(nodes)
                if not await self._asked(list(wanted(look, self._left))):
                    break
        for _ in range(LEVELS):
            look = await self._look(nodes)
            # What a directory holds that is only reckoned counts for those above it the next time.
            self._means = look.means()
        look = await self._look(nodes)
        budget = (await self._answers.status()).get("calls")
        took = duration(look.total.calls, look.total.bytes, self._answers.api.traffic, budget)
        return self._cost(look, made() - spent, took)

    async def _look(self, nodes: Sequence[Node]) -> _Look:
        look = _Look(Reckoning(self._answers, self._pace, self._scales), self._means)
        for node in nodes:
            await look.add(node)
        return look

    async def _asked(self, wanted: Sequence[Question]) -> bool:
        """Asks, so many at once; whether there was something to ask."""
        wanted = [one for one in wanted if one[0].key(one[1]) not in self._failed][: self._left]
        self._left -= len(wanted)
        limit = trio.CapacityLimiter(ABREAST)
        async with trio.open_nursery() as nursery:
            for source, at in wanted:
                nursery.start_soon(self._ask, source, at, limit)
        return bool(wanted)

    async def _ask(self, source: Source, at: Context, limit: trio.CapacityLimiter) -> None:
        traffic, endpoint = self._answers.api.traffic, source.called
        async with limit:
            calls, size = traffic.calls[endpoint], traffic.bytes_by_endpoint[endpoint]
            try:
                await self._answers.ask(source, at)
            except CometFSError:
                self._failed.add(source.key(at))
        if endpoint == EVERY_POINT and traffic.calls[endpoint] == calls + 1:
            amount = self._scales.amounts.get(at.key[0], 0.0)
            self._scales.weighed(amount, traffic.bytes_by_endpoint[endpoint] - size)

    def _cost(self, look: _Look, spent: int, took: Duration) -> Cost:
        total = look.total
        calls_off, bytes_off = look.off()
        return Cost(
            math.ceil(total.calls),
            _around(total.calls, calls_off),
            math.ceil(total.bytes),
            _around(total.bytes, bytes_off),
            round(total.files),
            round(total.at_hand),
            spent,
            look.looked_into(),
            tuple(sorted({each.label for each in look.unknown if not look.known[each]})),
            look.by_endpoint(),
            took.seconds,
            took.paused,
            took.rate,
        )


LEVELS = 3
"""Kinds of directories in each other: projects, experiments, what is in them."""


class _Look:
    """One way through all that is at hand. `known`, by kind, what each directory holds; `unknown`: how many there are
    of which nothing is at hand."""

    def __init__(self, reckoning: Reckoning, means: dict[ForEach, Sum]) -> None:
        self._reckoning = reckoning
        self._means = means
        self.known: dict[ForEach, list[Sum]] = defaultdict(list)
        self.unknown: Counter[ForEach] = Counter()
        self._asks: dict[Source, dict[Hashable, Context]] = defaultdict(dict)

    @property
    def total(self) -> Sum:
        return self._reckoning.total

    async def add(self, node: Node) -> None:
        """Reckons a file, a link, or a directory with all in it."""
        entry, at = node.entry, node.at
        if isinstance(entry, Dir):
            await self._add_dir(entry, at)
        else:
            self._add_leaf(entry, at)

    async def _add_dir(self, entry: Dir, at: Context) -> None:
        await trio.lowlevel.checkpoint()
        for each in for_eaches_of(entry):
            self._reckoning.go_into(each, at)
        for child in fixed_of(entry):
            if isinstance(child, Dir) and child.listed:
                await self._add_dir(child, at)
            elif not isinstance(child, Dir):
                self._add_leaf(child, at)
        for each in for_eaches_of(entry):
            await self._add_each(each, at)

    def _add_leaf(self, entry: File | Link, at: Context) -> None:
        if isinstance(entry, Link):
            if entry.source is not None:
                self._reckoning.ask(entry.source, at)
        elif entry.listed:
            self._reckoning.read(entry.source, at)

    async def _add_each(self, each: ForEach, at: Context) -> None:
        answer: Any = at
        if each.source is not None:
            answer = self._reckoning.known(each.source, at)
            self._reckoning.ask(each.source, at)
        if answer is None:
            self._is_unknown(each, at)
            return
        before = self.total
        for row in each.rows(answer):
            child, place = each.child(row), each.bind(at, row)
            if isinstance(child, Dir):
                await self._add_dir(child, place)
            else:
                self._add_leaf(child, place)
        self.known[each].append(self.total - before)

    def _is_unknown(self, each: ForEach, at: Context) -> None:
        if all(isinstance(one, Link) and one.source is None for one in each.shown):
            return  # to read it costs nothing
        self.unknown[each] += 1
        if each.source is not None:
            asked = each.source.told_by[0] if each.source.told_by else each.source
            self._asks[asked][asked.key(at)] = at
        mean = self._means.get(each, Sum())
        for source in (one.source for one in each.shown if isinstance(one, File)):
            if isinstance(source, Source) and source.after is not None:
                # All of them come together, however many there are.
                self._reckoning.ask_all(source, at)
                mean = mean._replace(calls=0, bytes=0)
        self._reckoning.total = self.total + mean

    def listings(self, most: int) -> Iterator[Question]:
        """The listings that are not at hand. Where they are more than `most`: half as many, the same number of each
        kind, spread over all there are; the other half is for what is found then."""
        room = most - FOR_WEIGHING if most > FOR_WEIGHING else most
        total = sum(map(len, self._asks.values()))
        left, kinds = (room if total <= room else math.ceil(room / 2)), len(self._asks)
        for source, asks in sorted(self._asks.items(), key=lambda one: len(one[1])):
            share = min(len(asks), math.ceil(left / kinds))
            left, kinds = left - share, kinds - 1
            yield from ((source, at) for at in spread(list(asks.values()), share))

    def weighing(self, _most: int) -> Iterator[Question]:
        """The next answer to be weighed."""
        for enough in range(1, ENOUGH + 1):
            for question in self._reckoning.worth_weighing(enough):
                yield question
                return

    def looked_into(self) -> dict[str, tuple[int, int]]:
        """See `Cost`."""
        found = {each: (len(known), len(known) + self.unknown[each]) for each, known in self.known.items()}
        return {each.label: numbers for each, numbers in found.items() if self.unknown[each]}

    def means(self) -> dict[ForEach, Sum]:
        """What a directory of each kind holds."""
        return {each: sum(known, Sum()) / len(known) for each, known in self.known.items() if known}

    def by_endpoint(self) -> dict[str, tuple[float, float]]:
        """See `Cost`."""
        found = sorted(self._reckoning.by_endpoint.items(), key=lambda one: -one[1].calls)
        return {name: (round(of.calls, 1), round(of.bytes)) for name, of in found if of.calls}

    def off(self) -> tuple[float, float]:
        """How many calls and bytes more or less it may be, in all likelihood."""
        calls = self._off_by_others(lambda one: one.calls)
        bytes_ = self._off_by_others(lambda one: one.bytes)
        perhaps, perhaps_bytes = self.total.perhaps / 2, self.total.perhaps_bytes / 2
        return SLACK * self.total.calls + calls + perhaps, perhaps_bytes + math.hypot(
            SLACK * self.total.bytes, bytes_, self._reckoning.weights.off()
        )

    def _off_by_others(self, of: Callable[[Sum], float]) -> float:
        """The same of what is in directories that are reckoned as others of their kind."""
        return math.hypot(*map(partial(self._off_by, of), self.known))

    def _off_by(self, of: Callable[[Sum], float], each: ForEach) -> float:
        known, unknown = self.known[each], self.unknown[each]
        if not unknown:
            return 0.0
        deviation = statistics.stdev(map(of, known)) if len(known) > 1 else of(known[0])
        return sure(len(known)) * deviation * math.hypot(unknown / math.sqrt(len(known)), math.sqrt(unknown))


SLACK = 0.02
"""A part that is never sure: an answer that runs out meanwhile, a question that is verified by another one."""


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """So many of them, from the first to the last."""
    if count >= len(items):
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _around(value: float, off: float) -> tuple[int, int]:
    return max(0, math.floor(value - off)), math.ceil(value + off)
