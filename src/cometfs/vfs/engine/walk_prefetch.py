"""What a program that goes through whole experiments wants next: the other answers of this one, then the next ones with
their small bodies.

What to fetch is decided in answers/ (walks.py; which experiments are next: readahead.py); here it is found in the
declaration, and asked for. What is at hand starts no task. Not here: the tasks (prefetch.py), the small bodies of a
directory, whatever it belongs to (sweeps.py), and sizes alone (size_prefetch.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, cast

import trio

from cometfs.cache.memory import Recent
from cometfs.vfs.answers.abreast import Question
from cometfs.vfs.answers.body_windows import Room
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.readahead import Readahead
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.answers.walks import SEVERAL, Usage, Walks
from cometfs.vfs.engine.listings import Listings
from cometfs.vfs.engine.sweeps import Sweeps
from cometfs.vfs.nodes import Node, OpenedBody
from cometfs.vfs.schema.declaration import SAMPLE, Context, Dir, File, ForEach, Source, Stream, fixed_of, for_eaches_of
from cometfs.vfs.sources.experiment import project_id
from cometfs.vfs.sources.metrics import SHEETS, SPREADS
from cometfs.vfs.sources.parameters import of_project

EXPERIMENTS = 4
"""Experiments that are fetched ahead of one program, at most."""

BODIES, BODY_BYTES = 128, 16 << 20
"""Bodies, and bytes of them, that are fetched ahead of an experiment."""

REMEMBERED = 256
"""Programs and projects that are remembered."""


class Pace(NamedTuple):
    """How experiments that are read whole are asked for, as far as it is known before."""

    alone: int
    """So many first, each by itself ..."""
    together: int
    """... and then so many at once."""


TOGETHER = Pace(SAMPLE, 16)
"""Of `gather`: it knows which ones will be read."""

FOLLOWED = Pace(SAMPLE + 1 + 2 + EXPERIMENTS, EXPERIMENTS)
"""Of a program in a mount: the window ahead of it doubles, and what it reads itself meanwhile comes alone."""

NEIGHBOURS = 2
"""Whole experiments in a row that make a walk."""


class _Errand(NamedTuple):
    """What is fetched of one experiment."""

    at: Context
    entry: Dir
    usage: Usage


class WalkPrefetch:
    """Tells the policies what is listed and read, and does what they say.

    A program's experiments are fetched one after the other: `_errands` has those that it is about to go through, under
    program and project, iff a task is at work on them.
    """

    def __init__(self, answers: AnswerResolver, prefetcher: Prefetcher, listings: Listings) -> None:
        self._answers = answers
        self._prefetcher = prefetcher
        self._walks = Walks()
        self._order = Readahead()
        self._sweeps = Sweeps(answers, prefetcher, listings)
        self._errands: dict[Hashable, deque[_Errand]] = {}
        self._cold: Recent[Hashable, bool] = Recent(REMEMBERED)
        """Programs and projects of which something was not at hand: what is warm is not looked through for bodies."""

    def listed(self, directory: Node, count: int, program: int, number: int) -> None:
        """A program lists a directory, which has `count` entries; `number`: its inode's."""
        at, entry = directory.at, directory.entry
        assert isinstance(entry, Dir)
        if for_eaches_of(entry):
            self._sweeps.listed(directory, program, number)
        if at.experiment is None:
            return
        if not _is_whole(directory):
            self._walks.listed(program, project_id(at), at.key[0], entry, count, trio.current_time())
        elif self._walks.entered(program, project_id(at), at.key[0], trio.current_time()):
            self._follow(at, entry, program)

    def reads(self, node: Node, directory: Node, program: int) -> None:
        """A program is about to read a file of a directory, or has what it wants of it at hand."""
        at, entry = directory.at, node.entry
        is_cold = (program, project_id(at)) in self._cold
        if is_cold and isinstance(entry, File) and isinstance(entry.source, Stream):
            self._sweeps.reads(node, directory, program)
        if at.experiment is None:
            return
        if not _is_whole(directory):
            self._walks.read_in(program, project_id(at), at.key[0], directory.entry, node.at.key, trio.current_time())
        elif self._walks.read(program, project_id(at), at.key[0], entry, trio.current_time()):
            assert isinstance(directory.entry, Dir)
            self._follow(at, directory.entry, program)

    def waited(self, node: Node, directory: Node, opened: OpenedBody, program: int) -> None:
        """A program has opened a body; nothing is to be learned of one that was at hand."""
        if opened.body.is_new:
            self._cold[program, project_id(directory.at)] = True
            self._sweeps.waited(node, directory, program)

    async def gather(self, experiments: Sequence[Node], wanted: Callable[[Node, str], bool], *, bodies: bool) -> None:
        """Returns when all is answered that is wanted of experiments of one project, their small bodies included."""
        errands = [_Errand(node.at, cast(Dir, node.entry), _wanted_of(node, wanted, bodies)) for node in experiments]
        for at in {project_id(one.at): one.at for one in errands}.values():
            self.expect_all(at)
        async with trio.open_nursery() as nursery:
            await self._fetch(errands, nursery)
        for errand in errands[:SEVERAL]:
            for source in set(_questions(errand.entry, errand.usage)):
                self._prefetcher.record_single(source, errand.at)

    def expect_all(self, at: Context) -> None:
        """All metrics of experiments of a project will be read."""
        for source in (SHEETS, SPREADS):
            self._answers.ahead.observations.expect_all(source, of_project(at))

    def _follow(self, at: Context, entry: Dir, program: int) -> None:
        """Asks for what is to come of an experiment, and of the next ones."""
        usage = self._walks.usage(program, project_id(at))
        wanted = usage or _everything(entry)
        self._walks.offered(program, project_id(at), wanted.files | wanted.listed)
        walk, missing = (program, project_id(at)), self._missing(at, entry, wanted)
        if missing:
            self._cold[walk] = True
        ahead = self._next(at, program, waited=bool(missing))
        if SPREADS in _questions(entry, wanted):
            # Several of its metrics will be read, and their names: all of them cost one call.
            self.expect_all(at)
        if usage is None:
            if missing:
                self._prefetcher.warm(missing)
            return
        errands = [_Errand(place, entry, usage) for place in (at, *ahead)]
        errands = [errand for errand in errands if self._lacks(errand, walk)]
        if errands and self._prefetcher.may:
            self._begin(walk, errands)

    def _lacks(self, errand: _Errand, walk: Hashable) -> bool:
        """Whether something of an experiment is not at hand."""
        if self._missing(errand.at, errand.entry, errand.usage):
            self._cold[walk] = True
            return True
        return walk in self._cold and bool(self._bodies(errand))

    def _next(self, at: Context, program: int, *, waited: bool) -> list[Context]:
        """The experiments to fetch ahead after the one at `at`."""
        line = self._prefetcher.siblings_of(at)
        place = None if line is None else line.places.get(at.key[0])
        if line is None or place is None:
            return []
        places = self._order.asked(
            (program, line.project.key),
            place,
            len(line.rows),
            waited=waited,
            most=EXPERIMENTS,
            now=trio.current_time(),
            first=1,
            neighbours=NEIGHBOURS,
        )
        return line.like(at, places)

    def _missing(self, at: Context, entry: Dir, usage: Usage) -> list[Question]:
        """The questions behind what is used of an experiment that are not answered."""
        asked = {source.key(at): (source, at) for source in _questions(entry, usage)}
        return [question for question in asked.values() if self._answers.recall(*question) is None]

    def _bodies(self, errand: _Errand) -> list[Question]:
        """The small bodies and the answers in the directories that are used, as far as the listings at hand tell."""
        room = Room(BODIES, BODY_BYTES)
        found: dict[Hashable, Question] = {}
        for each in (each for one in _read(errand) for each in for_eaches_of(one)):
            held = None if each.source is None else self._answers.recall(each.source, errand.at)
            if held is None or held.error is not None:
                continue
            for source, at in _contents(each, errand.at, held.value):
                if isinstance(source, Source):
                    if self._answers.recall(source, at) is None:
                        found[source.key(at)] = (source, at)
                elif source.key(at) not in found and room.takes(source.size(at)) and not self._answers.has(source, at):
                    found[source.key(at)] = (source, at)
        return list(found.values())

    def _begin(self, walk: Hashable, errands: Sequence[_Errand]) -> None:
        if walk in self._errands:
            self._errands[walk].extend(errands)
            return
        self._errands[walk] = deque(errands)
        self._prefetcher.start(self._run, walk)

    async def _run(self, walk: Hashable) -> None:
        """Fetches what a program is about to go through, in its order."""
        errands = self._errands[walk]
        try:
            async with trio.open_nursery() as nursery:
                while errands:
                    now = list(errands)
                    errands.clear()
                    await self._fetch(now, nursery)
        finally:
            del self._errands[walk]

    async def _fetch(self, errands: Sequence[_Errand], nursery: trio.Nursery) -> None:
        """Returns when the last question is begun: what comes next need not wait for answers."""
        self._ask_together(errands, nursery)
        # What their directories hold must be known in time for their bodies.
        for errand in errands:
            await self._prefetcher.abreast.begin(nursery, self._lists(errand))
        for errand in errands:
            missing = self._missing(errand.at, errand.entry, errand.usage)
            await self._prefetcher.abreast.begin(
                nursery, [one for one in missing if not self._prefetcher.batches.is_under_way(*one)]
            )
            await self._prefetcher.abreast.all(self._lists(errand))
            await self._prefetcher.abreast.begin(nursery, self._bodies(errand))

    def _ask_together(self, errands: Sequence[_Errand], nursery: trio.Nursery) -> None:
        sources = dict.fromkeys(source for one in errands for source in _questions(one.entry, one.usage))
        # What is made of another answer comes with that: names of metrics with their points.
        asked = [source for source in sources if source.batch is not None and not sources.keys() & set(source.of)]
        batched = {source.batch.name: source for source in asked if source.batch is not None}
        for source in batched.values():
            nursery.start_soon(self._prefetcher.batches.ask_verified, source, [errand.at for errand in errands])

    def _lists(self, errand: _Errand) -> list[Question]:
        """What tells what is in the directories whose files are used, as far as it is not at hand."""
        eaches = (each for one in _read(errand) for each in for_eaches_of(one))
        asked = {each.source.key(errand.at): (each.source, errand.at) for each in eaches if each.source is not None}
        missing = [question for question in asked.values() if self._answers.recall(*question) is None]
        return [question for question in missing if not self._prefetcher.batches.is_under_way(*question)]


def _is_whole(directory: Node) -> bool:
    """Whether it is an experiment's own directory, which is named by its row."""
    return not directory.within and not getattr(directory.entry, "name", "")


def _everything(entry: Dir) -> Usage:
    """All that is listed in an experiment, and nothing of the files in its directories."""
    shown = [child for child in fixed_of(entry) if isinstance(child, File | Dir) and child.listed]
    files = frozenset(child for child in shown if isinstance(child, File))
    return Usage(files, frozenset(child for child in shown if isinstance(child, Dir)))


def _wanted_of(node: Node, wanted: Callable[[Node, str], bool], bodies: bool) -> Usage:
    everything = _everything(cast(Dir, node.entry))
    files, listed = (
        frozenset(one for one in some if wanted(node, cast(File | Dir, one).name))
        for some in (everything.files, everything.listed)
    )
    return Usage(files, listed, listed if bodies else frozenset())


def _read(errand: _Errand) -> list[Dir]:
    return [one for one in fixed_of(errand.entry) if isinstance(one, Dir) and one in errand.usage.read]


def _questions(entry: Dir, usage: Usage) -> Iterator[Source]:
    """What must be asked for what is used of an experiment. Never what downloads bodies by the way."""
    for child in fixed_of(entry):
        if isinstance(child, File) and child in usage.files:
            yield from _plain(child.source)
        elif isinstance(child, Dir) and child in usage.listed:
            for each in for_eaches_of(child):
                yield from _plain(each.source)
            for one in fixed_of(child):
                yield from _plain(getattr(one, "source", None))


def _plain(source: Source | Stream | None) -> Iterator[Source]:
    if isinstance(source, Source) and not any(isinstance(one, Stream) for one in source.of):
        yield source


def _contents(each: ForEach, at: Context, answer: object) -> Iterator[Question]:
    """The questions behind the files that stand for the rows of an answer; of those whose answers come together, such
    as all metrics, only the first."""
    for row in each.rows(answer):
        entry = each.child(row)
        source = entry.source if isinstance(entry, File) else None
        if source is not None:
            # What is made of a body costs that body.
            body = (
                next((one for one in source.of if isinstance(one, Stream)), None)
                if isinstance(source, Source)
                else None
            )
            yield body or source, each.bind(at, row)
            if isinstance(source, Source) and source.after is not None:
                return
