"""Files that several tasks of one program want at the same time, such as all that match a pattern.

What one call answers for many experiments is asked so: the first task asks for its own, and those that come while it
waits are asked for together. A program that reads one file after the other is recognised elsewhere (answers/
prefetch.py). Not here: what a batch is, and when it is trusted (answers/batches.py).
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import trio

from cometfs.cache.memory import Recent
from cometfs.caller import PROGRESS
from cometfs.errors import CometFSError
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.keys import Place
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context, Dir, File, Resolver, Row, Source, for_eaches_of
from cometfs.vfs.sources import experiment, one_metric
from cometfs.vfs.sources.metrics import METRIC
from cometfs.vfs.sources.parameters import of_project

log = logging.getLogger(__name__)

T = TypeVar("T")

PATTERNS = 64
"""Questions about a project of which it is remembered what matched last."""

WINDOW = one_metric.MOST - 1
"""Matching files that are asked for with one that is read."""

ITEMS = 2
"""Items, such as metrics, that are asked for by themselves: for more of them one call brings all of an experiment."""

FEW = 4
"""Places that are asked by themselves: a batch is worth its sample from one more on."""


OF_MANY: Mapping[Source, Callable[[Resolver, Sequence[Context]], Awaitable[object]]] = {METRIC: one_metric.sheets}
"""What has a call of its own where it is wanted of many experiments, and nothing else of them."""


class _Wanted(NamedTuple):
    """A question that is asked for many places in one call."""

    source: Source
    at: Context

    @property
    def family(self) -> tuple[Hashable, ...]:
        return (self.source.name, of_project(self.at).key, *self.at.key[1:])

    def brought_with(self, several: Container[Hashable]) -> _Wanted | None:
        """What brings it with others like it, where several of them are wanted of the same experiments."""
        if self.source.brought_by is None or (self.source.name, of_project(self.at).key) not in several:
            return None
        return _Wanted(self.source.brought_by, experiment.of_experiment(self.at))


def _several(wanted: Iterable[_Wanted]) -> frozenset[Hashable]:
    """The questions and projects of which more than `ITEMS` items are wanted, such as metrics."""
    items = Counter(family[:2] for family in {one.family for one in wanted})
    return frozenset(one for one, count in items.items() if count > ITEMS)


@dataclass
class _Queue:
    """Tasks that want the same of experiments of one project. A place is in `places` iff a task waits for it that no
    call was made for."""

    turn: trio.Lock = field(default_factory=trio.Lock)
    places: dict[Place, Context] = field(default_factory=dict)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What prolongs the deadline of each that waits."""


class _Matches:
    """What matched the last patterns and is not asked for yet, by family, in its order."""

    def __init__(self) -> None:
        self._places: Recent[Hashable, dict[Place, Context]] = Recent(PATTERNS)
        self._begun: Recent[Hashable, bool] = Recent(PATTERNS)
        """Families of which one was read."""

    def take(self, matching: Iterable[_Wanted]) -> None:
        families: dict[Hashable, dict[Place, Context]] = {}
        for wanted in matching:
            families.setdefault(wanted.family, {})[wanted.at.key] = wanted.at
        for family, places in families.items():
            self._places[family] = places
            self._begun.pop(family, None)

    def next(self, wanted: _Wanted) -> dict[Place, Context]:
        """What a program that reads one of them will read next. Nothing for the first: it may be the only one."""
        places = self._places.get(wanted.family, {})
        if places.pop(wanted.at.key, None) is None or self._begun.get(wanted.family) is None:
            self._begun[wanted.family] = True
            return {}
        return {key: places.pop(key) for key in list(itertools.islice(places, WINDOW))}


class ConcurrentReads:
    """A queue is in `_queues` iff a task is in it."""

    def __init__(self, answers: AnswerResolver) -> None:
        self._answers = answers
        self._queues: dict[Hashable, _Queue] = {}
        self._matches = _Matches()

    async def read(self, node: Node, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` returns, which needs the answer behind a file. Raises what that raises."""
        wanted = self._wanted(node)
        if wanted is None:
            return await read()
        with self._queued(wanted) as queue:
            async with queue.turn:
                if wanted.at.key in queue.places:
                    places = queue.places | self._matches.next(wanted)
                    if len(places) <= FEW:
                        del queue.places[wanted.at.key]
                        return await read()
                    queue.places.clear()
                    await self._together(wanted.source, list(places.values()))
        return await read()

    async def list(self, directories: Sequence[Node]) -> None:
        """Has at hand afterwards what one call tells of what is in many directories."""
        eaches = [
            (each.source, node.at)
            for node in directories
            if isinstance(node.entry, Dir) and node.at.experiment is not None
            for each in for_eaches_of(node.entry)
        ]
        await self._all(_Wanted(source, at) for source, at in eaches if source is not None and source.batch is not None)

    async def logged_by(self, project: Node, metric: str) -> Sequence[Row]:
        """The experiments of a project that have logged a metric."""
        return await one_metric.logged_by(self._answers.asker(), of_project(project.at), metric)

    async def metric(self, project: Node, rows: Sequence[Row], metric: str) -> dict[str, bytes]:
        """The points of a metric as its files show them, by experiment, of those rows of a project."""
        places = [experiment.at_metric(experiment.at_experiment(of_project(project.at), row), metric) for row in rows]
        return await one_metric.sheets(self._answers.asker(), places)

    def match(self, files: Sequence[Node]) -> None:
        """These match a pattern that a program asks for: it may read them one after the other."""
        wanted = list(filter(None, map(self._wanted, files)))
        several = _several(wanted)
        self._matches.take(one for one in wanted if not one.brought_with(several))

    async def gather(self, files: Sequence[Node]) -> None:
        """Has at hand afterwards what one call answers for many of those files."""
        await self._all(filter(None, map(self._wanted, files)))

    async def _all(self, wanted: Iterable[_Wanted]) -> None:
        asked = list(wanted)
        several = _several(asked)
        families: dict[Hashable, list[_Wanted]] = {}
        for one in (one.brought_with(several) or one for one in asked):
            families.setdefault(one.family, []).append(one)
        for family in families.values():
            await self._together(family[0].source, list({one.at.key: one.at for one in family}.values()))

    def _wanted(self, node: Node) -> _Wanted | None:
        """What a call for many may bring, of a file that is not at hand."""
        source = node.entry.source if isinstance(node.entry, File) else None
        if not isinstance(source, Source) or node.at.experiment is None:
            return None
        asked_together = source.batch is not None or source in OF_MANY
        if not asked_together or self._answers.recall(source, node.at) is not None:
            return None
        return _Wanted(source, node.at)

    @contextmanager
    def _queued(self, wanted: _Wanted) -> Iterator[_Queue]:
        queue = self._queues.setdefault(wanted.family, _Queue())
        queue.places[wanted.at.key] = wanted.at
        queue.waiting.append(prolong := PROGRESS.get())
        try:
            yield queue
        finally:
            queue.waiting.remove(prolong)
            queue.places.pop(wanted.at.key, None)
            if not queue.waiting:
                self._queues.pop(wanted.family, None)

    async def _together(self, source: Source, places: Sequence[Context]) -> None:
        queue = self._queues.get(_Wanted(source, places[0]).family)
        waiting = [PROGRESS.get()] if queue is None else queue.waiting

        def progress() -> None:
            for prolong in waiting:
                prolong()

        before = PROGRESS.set(progress)
        try:
            if source in OF_MANY:
                await OF_MANY[source](self._answers.asker(), places)
            else:
                await self._answers.ahead.together(source, places)
        except CometFSError as error:
            log.debug("not asked together: %s", error)  # each asks by itself then, and says what is wrong
        finally:
            PROGRESS.reset(before)
