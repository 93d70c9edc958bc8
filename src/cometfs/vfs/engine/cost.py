"""What reading a part of the tree whole would cost now: calls and bytes, from the declaration and what is at hand.

Directories whose listing is not at hand are reckoned as those of their kind that are; a few of them are asked for, if
none is. What an answer weighs is known of assets; of all else it is what such answers have weighed so far. Not here:
what one question needs (needs.py), and how long it takes (the face knows how many calls are left).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import trio

from cometfs.errors import CometFSError
from cometfs.vfs.answers.abreast import ABREAST
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.needs import Reckoning, Sum
from cometfs.vfs.engine.walk_prefetch import Pace
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Link, Source, Stream, fixed_of, for_eaches_of

ENOUGH = 3
"""Directories of a kind that are looked into, where there are more: what the others hold is reckoned from those."""

SECONDS = 0.1
"""That a call takes, where none was made yet."""


@dataclass(frozen=True)
class Cost:
    """What it would cost."""

    calls: int
    bytes: int
    files: int
    at_hand: int
    """Files that cost nothing."""
    seconds: float
    """For the calls, so many abreast as a walk makes."""
    spent: int
    """Calls that were made to find out. What they brought is at hand now."""
    looked_into: dict[str, tuple[int, int]]
    """Of each kind of directory of which not all are known: how many are, and of how many."""
    unknown: tuple[str, ...] = ()
    """Kinds of directories of which none is known: what is in them is not counted."""
    spread: float = 0.0
    """How far off the bytes may be (two standard errors), as a part of them."""


class Estimate:
    """One look, with a bound on its calls."""

    def __init__(self, answers: AnswerResolver, calls: int, pace: Pace) -> None:
        """`calls`: the bound; `pace`: of what will read it."""
        self._answers = answers
        self._pace = pace
        self._left = calls
        self._means: dict[ForEach, Sum] = {}

    async def of(self, nodes: Sequence[Node]) -> Cost:
        """Looks, asks for what would tell most, and looks again."""
        spent = sum(self._answers.api.traffic.calls.values())
        while True:
            look = await self._look(nodes)
            wanted = look.wanted()
            if self._left <= 0 or not await self._asked(wanted):
                break
        for _ in range(LEVELS):
            # What a directory holds that is only reckoned counts for those above it the next time.
            self._means = look.means()
            look = await self._look(nodes)
        return self._cost(look, sum(self._answers.api.traffic.calls.values()) - spent)

    async def _look(self, nodes: Sequence[Node]) -> _Look:
        look = _Look(Reckoning(self._answers, self._pace), self._means)
        for node in nodes:
            await look.add(node)
        return look

    async def _asked(self, wanted: Iterator[tuple[Source | Stream, Context]]) -> bool:
        """Asks for the first of those that may be asked for; whether there was one."""
        for source, at in wanted:
            self._left -= 1
            try:
                if isinstance(source, Source):
                    await self._answers.ask(source, at)
                    return True
            except CometFSError:
                continue  # its reader gets the error; it costs what it costs
        return False

    def _cost(self, look: _Look, spent: int) -> Cost:
        traffic = self._answers.api.traffic
        one = traffic.seconds / traffic.requests if traffic.requests else SECONDS
        total = look.total
        return Cost(
            math.ceil(total.calls),
            math.ceil(total.bytes),
            round(total.files),
            round(total.at_hand),
            total.calls * one / ABREAST,
            spent,
            look.looked_into(),
            tuple(sorted({each.label for each in look.unknown if not look.known[each]})),
            look.spread(),
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
        self._asks: dict[ForEach, list[tuple[Source, Context]]] = defaultdict(list)

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
        rows = each.rows(answer)
        for row in rows:
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
            self._asks[each].append((each.source, at))
        mean = self._means.get(each, Sum())
        for source in (one.source for one in each.shown if isinstance(one, File)):
            if isinstance(source, Source) and source.after is not None:
                # All of them come together, however many there are.
                self._reckoning.ask_all(source, at)
                mean = mean._replace(calls=0, bytes=0)
        self._reckoning.total = self.total + mean

    def wanted(self) -> Iterator[tuple[Source, Context]]:
        """The listings that would tell most, the next one of each kind; of directories spread over all there are."""
        for enough in range(1, ENOUGH + 1):
            for each, asks in self._asks.items():
                known = len(self.known[each])
                if known < enough:
                    yield asks[(0, len(asks) - 1, len(asks) // 2)[known]]
            yield from self._reckoning.worth_weighing(enough)

    def looked_into(self) -> dict[str, tuple[int, int]]:
        """See `Cost`."""
        found = {each: (len(known), len(known) + self.unknown[each]) for each, known in self.known.items()}
        return {each.label: numbers for each, numbers in found.items() if self.unknown[each]}

    def means(self) -> dict[ForEach, Sum]:
        """What a directory of each kind holds."""
        return {each: sum(known, Sum()) / len(known) for each, known in self.known.items() if known}

    def spread(self) -> float:
        """Two standard errors of the bytes that are reckoned, as a part of all."""
        errors = (
            self.unknown[each] * statistics.stdev([one.bytes for one in known]) / math.sqrt(len(known))
            for each, known in self.known.items()
            if self.unknown[each] and len(known) > 1
        )
        return 2 * math.hypot(self._reckoning.error(), *errors) / max(self.total.bytes, 1.0)
