"""Answers to sources: at hand, or asked for once for all readers.

Not here: what is asked ahead of its readers (prefetch.py), and what is shown of answers (files.py, listings.py).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from itertools import islice
from typing import Any, Protocol

import trio

from cometfs.cache.downloads.downloads import Bodies, ByteStream
from cometfs.cache.downloads.fetch import OtherSize
from cometfs.cache.downloads.of_others import BodiesOfOthers
from cometfs.cache.downloads.parted import PartedBodies
from cometfs.cache.downloads.parts import NotInParts
from cometfs.cache.due import due
from cometfs.cache.memory import CacheEntry, Which
from cometfs.cache.store import Store
from cometfs.cache.values import Freshness
from cometfs.caller import CALLER
from cometfs.comet.api import API
from cometfs.errors import NO_ANSWER, CometFSError, NotFound, Stale, Withheld
from cometfs.lease import PARTIAL, SEALED, Lease
from cometfs.telemetry.gauges import Lookups
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.answers.revalidation import RevalidationSet
from cometfs.vfs.answers.validation import Expected, parts_validated, stream_name, validated
from cometfs.vfs.appended import continued
from cometfs.vfs.error_log import ErrorLog
from cometfs.vfs.keys import Key, Place
from cometfs.vfs.nodes import OpenedBody
from cometfs.vfs.schema.declaration import Context, Failed, Resolver, Row, Source, Stream
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.experiment import each_of, tolerate
from cometfs.vfs.sources.parameters import of_project

log = logging.getLogger(__name__)

BIG = 8 << 20
"""Bytes of a body from which on it comes in parts: less arrives as one stream before a second request would begin."""


STUCK = 300.0
"""Seconds without an answer of another machine that lives, after which this one asks, too."""

SOME = 1000
"""Answers that other machines ask for of which it is looked at once whether they have come."""

UNTIL = 50
"""Answers at hand that are taken before others get their turn."""

FIRST_READ = 2
"""Times that a body was opened which was fetched ahead, when it is read for the first time."""


Take = Callable[[Sequence[Context]], Awaitable[None]]
"""Takes what has come about some places."""


async def _no_status() -> Row:
    await trio.lowlevel.checkpoint()
    return {}


async def _no_metrics() -> str:
    await trio.lowlevel.checkpoint()
    return ""


async def _no_listing(_stream: Stream, _at: Context) -> None:
    await trio.lowlevel.checkpoint()


class Ahead(Protocol):
    """What fetches answers before their readers come. A resolver tells it what is read, and works without."""

    @property
    def observations(self) -> Observations: ...

    def record_access(self, source: Source, at: Context, *, waited: bool) -> None:
        """A reader asks `source` at a place; `waited`: its answer was not at hand."""

    async def wait_for_batch(self, source: Source, at: Context) -> None:
        """Returns when no batch is under way that may bring the answer."""

    async def together(self, source: Source, places: Sequence[Context], take: Take | None = None) -> None:
        """Has at hand afterwards what one call answers for many places; `take` is called after each call about some of
        them, while their answers are in memory."""


class _NothingAhead:
    """Where nothing is fetched ahead, each question is asked by itself."""

    def __init__(self) -> None:
        self.observations = Observations()

    def record_access(self, source: Source, at: Context, *, waited: bool) -> None:
        pass

    async def wait_for_batch(self, _source: Source, _at: Context) -> None:
        await trio.lowlevel.checkpoint()

    async def together(self, _source: Source, _places: Sequence[Context], _take: Take | None = None) -> None:
        await trio.lowlevel.checkpoint()


class AnswerResolver:
    """What is known, and what must be asked to know more."""

    def __init__(
        self,
        api: API,
        store: Store,
        bodies: Bodies,
        parted: PartedBodies | None = None,
        status: Callable[[], Awaitable[Row]] = _no_status,
        of_others: BodiesOfOthers | None = None,
    ) -> None:
        """`parted`: big bodies, where there is a disk for their blocks; `status`: what there is to say about the mount
        itself; `of_others`: small bodies that machines share."""
        self.api = api
        self._of_others = of_others
        self.status = status
        self.metrics: Callable[[], Awaitable[str]] = _no_metrics
        """The same for Prometheus."""
        self.lookups = Lookups()
        """Of answers that are kept, as all else is made of them, of files and of bodies."""
        self.error_log = ErrorLog()
        """Of requests to the mount, and what answers lack; that old ones are shown has a line, too."""
        self.store = store
        self.bodies = bodies
        self.parted = parted
        self.relist: Callable[[Stream, Context], Awaitable[None]] = _no_listing
        """Lets the listing be asked for again that has a wrong size of a body."""
        self.doubts = RevalidationSet()
        self._cut: set[tuple[str, Place]] = set()
        self._misjudged: set[Key] = set()
        """Big bodies that do not have the size of their listing, which only their end shows."""
        self.ahead: Ahead = _NothingAhead()
        """A prefetcher is built over a resolver, and then stands here: it calls the resolver, which only tells it."""

    def peek(self, source: Source, at: Context) -> CacheEntry | None:
        """What is in memory; makes no call."""
        return self.store.peek(source.key(at)) or self._within(source, at, self.store.peek)

    def recall(self, source: Source, at: Context) -> CacheEntry | None:
        """What is at hand, in memory or on disk; makes no call."""
        if source.within is None:
            return self.store.recall(source.key(at))
        return self.peek(source, at) or self.store.recall(source.key(at)) or self._within(source, at, self.store.recall)

    def _within(self, source: Source, at: Context, look: Callable[[Key], CacheEntry | None]) -> CacheEntry | None:
        """What another answer tells of it, where `look` finds that; held in memory from now on."""
        found, held = self._told(source, at, look)
        if held is None or found is None:
            return None
        fresh = Freshness(Lease(self.store.remaining(held)), self.store.age(held), held.stale)
        return self.store.keep(source.key(at), found, fresh)

    def _told(
        self, source: Source, at: Context, look: Callable[[Key], CacheEntry | None]
    ) -> tuple[Any, CacheEntry | None]:
        if source.within is None:
            return None, None
        held = look(source.within.source.key(source.within.at(at)))
        if held is None or held.error is not None:
            return None, None
        return source.within.tell(self.asker(), held.value, at), held

    def _for_a_table(self, source: Source, at: Context) -> Any:
        """The answer at hand, None where there is none that is fresh. What another one tells is not held beside that:
        a table wants it once."""
        if self.store.peek(source.key(at)) is None:
            for look in (self.store.peek, self.store.recall) if source.within is not None else ():
                found, held = self._told(source, at, look)
                if held is not None and not held.stale:
                    return found
        held = self.store.recall(source.key(at))
        return held.value if held is not None and held.error is None and not held.stale else None

    async def wanted(self, source: Source, at: Context) -> CacheEntry:
        """The answer, for a reader: what it wants next may be fetched ahead. Raises what Comet's answer raises."""
        held = self.wanted_nowait(source, at)
        if held is not None:
            return held
        here = self.peek(source, at) is not None  # that there is none is remembered, too
        kept = self.recall(source, at) is not None
        if source.kept:  # all else is made of what is
            self.lookups.record("answer", here=here, kept=kept)
        self.ahead.record_access(source, at, waited=not kept)
        return await self.ask(source, at)

    def wanted_nowait(self, source: Source, at: Context) -> CacheEntry | None:
        """The same, where it is in memory and no error."""
        held = self.peek(source, at)
        if held is None or held.error is not None:
            return None
        self.lookups["answer", "memory"] += 1
        # A second read of one answer says nothing new: it was at hand the first time, and what is ahead was fetched.
        if not held.read:
            self.ahead.record_access(source, at, waited=False)
        return held

    async def ask(self, source: Source, at: Context) -> CacheEntry:
        """The answer, at hand or asked for. Raises what Comet's answer raises."""
        key = source.key(at)
        if self.store.peek(key) is None:
            await self.ahead.wait_for_batch(source, at)
        if source.within is not None and (held := self.recall(source, at)) and not held.stale:
            held.unwrap()
            return held
        while True:
            try:
                return await self._ask(key, source, at)
            except Withheld:
                if not CALLER.get().waits:
                    raise
                # The call was put off, being only ahead; now a reader waits, and the next attempt is its own.
            except NO_ANSWER:
                last = self._within(source, at, self.store.stale)
                if last is None:
                    raise
                return last

    async def _ask(self, key: Key, source: Source, at: Context) -> CacheEntry:
        asking = _Question(self, source.lease(at))

        async def load() -> Any:
            with self.doubts.settled(at) if source is experiment.METADATA else nullcontext():
                return self._not_less(source, at, await source.ask(asking, at))

        return await self.store.get(key, load, asking.freshness, lasting=source.kept)

    def _not_less(self, source: Source, at: Context, answer: Any) -> Any:
        """The answer, with what the last one had and it lacks: what is only added to was asked for of a server that is
        behind, or that keeps only the end."""
        before: Any = self.store.last(source.key(at)) if source.grows and not at.version else None
        if type(answer) not in (str, bytes) or type(before) is not type(answer):
            return answer
        known: Any = continued(before, answer, late=True)
        if known is None:
            return answer
        if len(known) > max(len(before), len(answer)):
            self.note_cut(source, at)
        return known

    def note_cut(self, source: Source, at: Context) -> None:
        """Logs once of an answer that it has lost its beginning."""
        place = (source.name, at.key)
        if place not in self._cut:
            self._cut.add(place)
            name = f"{source.name} of experiment {at.key[0]}"
            log.warning("Comet has cut the beginning of %s: what was read stays", name)

    async def together(
        self,
        source: Source,
        places: Sequence[Context],
        failed: Failed | None = None,
        make: Callable[[Any], Any] = lambda answer: answer,
    ) -> dict[Place, Any]:
        """See `Resolver.answers`."""
        found: dict[Place, Any] = {}

        async def take(some: Sequence[Context]) -> None:
            for count, at in enumerate(some, 1):
                answer = self._for_a_table(source, at) if at.key not in found else None
                if answer is not None:
                    found[at.key] = make(answer)
                if count % UNTIL == 0:
                    await trio.lowlevel.checkpoint()

        async def one(at: Context) -> None:
            try:
                found[at.key] = make((await self.ask(source, at)).value)
            except NotFound:
                return  # deleted since the listing
            except CometFSError as error:
                tolerate(failed, at.key, error, len(found))

        # What is at hand takes no task, and is taken before what comes next pushes it out of memory.
        await take(places)
        await self.ahead.together(source, [at for at in places if at.key not in found], take)
        await each_of([at for at in places if at.key not in found], one)
        return found

    def let_go(self, source: Source, places: Sequence[Context]) -> None:
        """Holds what has come about these places no longer in memory, where there is a disk that takes it."""
        kept = source.within.source if source.within else source
        self.store.let_go([kept.key(at) for at in places])

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None, *, expire: bool = False) -> None:
        """Forgets what is kept under those keys, and what was observed of them; see `Store.drop_all`."""
        self.ahead.observations.drop_all(which)
        await self.store.drop_all(which, among, expire=expire)

    def asker(self) -> Resolver:
        """What a source is asked with that no reader waits for."""
        return _Question(self, Lease(math.inf))

    def fill(self, source: Source, at: Context, answer: Any, freshness: Freshness | None = None) -> CacheEntry:
        """Keeps an answer that came with another."""
        whole = self._not_less(source, at, answer)
        return self.store.keep(source.key(at), whole, freshness or source.lease(at), lasting=source.kept, shared=True)

    async def in_turn(
        self,
        source: Source,
        places: Sequence[Context],
        ask: Callable[[Sequence[Context]], Awaitable[object]],
        came: Callable[[Sequence[Context]], object] = lambda _places: None,
    ) -> None:
        """See `Resolver.in_turn`."""
        if not (source.kept and self.store.shares):
            await ask(places)
            return
        left: dict[Hashable, Context] = {source.key(at): at for at in places}
        some = list(left)
        while left:
            mine: list[Hashable] = []
            try:
                mine, others = await self.store.claim(some)
                if mine and len(some) < len(left):  # what another has let go is asked for together
                    rest = list(islice(left, len(some), None))
                    more, away = await self.store.claim(rest)
                    some, mine, others = [*some, *rest], [*mine, *more], [*others, *away]
                asked, waits = set(mine), set(others)
                if there := [left[key] for key in some if key not in asked and key not in waits]:
                    came(there)
                if mine:
                    await ask([left[key] for key in mine])
            finally:
                self.store.release(mine)
            for key in some:
                if key not in waits:
                    del left[key]
            if others:
                with trio.move_on_after(STUCK) as wait:
                    await self.store.settled_by_others(next(iter(left)))
                if wait.cancelled_caught:
                    await ask(list(left.values()))
                    return
            some = list(islice(left, SOME))

    async def body(self, stream: Stream, at: Context, most: int | None = None) -> bytes:
        """A body, or its first `most` bytes; it is kept for its next reader."""
        opened = await self.open_body(stream, at)
        try:
            return bytes(await opened.read(0, opened.size if most is None else min(most, opened.size)))
        finally:
            opened.close()

    def has(self, stream: Stream, at: Context) -> bool:
        """Whether a body is at hand, or on its way."""
        return self.bodies.size(stream.key(at)) is not None

    def is_under_way(self, question: Source | Stream, at: Context) -> bool:
        """Whether an answer is being asked for: the next one that asks waits for that, and costs nothing."""
        key = question.key(at)
        return self.bodies.peek(key) is not None if isinstance(question, Stream) else self.store.is_loading(key)

    async def wanted_body(self, stream: Stream, at: Context) -> OpenedBody:
        """The same as `open_body`, for a reader: what it wants next may be fetched ahead."""
        kept = self.has(stream, at)
        self.lookups.record("body", here=self.bodies.peek(stream.key(at)) is not None, kept=kept)
        self._record_namesake(at, waited=not kept)
        return await self.open_body(stream, at)

    def wanted_body_nowait(self, stream: Stream, at: Context) -> OpenedBody | None:
        """The same, where it is in memory."""
        key = stream.key(at)
        body = self.bodies.open_nowait(key)
        if body is None:
            return None
        self.lookups["body", "memory"] += 1
        # A second read says nothing new, see `wanted_nowait`.
        if body.opens == FIRST_READ:
            self._record_namesake(at, waited=False)
        return OpenedBody(key, body, partial(self.bodies.release, key, body))

    def _record_namesake(self, at: Context, *, waited: bool) -> None:
        if at.experiment is None or not isinstance(at.item, Mapping) or not at.item.get("fileName"):
            return
        place = experiment.at_namesake(at)
        # What came otherwise ahead of its reader, such as with all of an experiment, says nothing of its namesakes.
        if waited or self.peek(experiment.NAMESAKE, place) is not None:
            self.ahead.record_access(experiment.NAMESAKE, place, waited=waited)

    async def open_body(self, stream: Stream, at: Context) -> OpenedBody:
        """A body, open, its size known."""
        if (stream.size(at) or 0) >= BIG and not self.has(stream, at):
            opened = await self._open_parts(stream, at)
            if opened is not None:
                return opened
        return await self._open_whole(stream, at)

    async def _open_parts(self, stream: Stream, at: Context) -> OpenedBody | None:
        """A big body, open; None where it only comes as a whole."""
        version = stream.version_key(at)
        known = self.store.recall(version)
        try:
            return await self._open_version(stream, at, None if known is None else known.value)
        except NO_ANSWER as error:
            last = None if known is not None or isinstance(error, Withheld) else self.store.stale(version)
            if last is None:
                raise
            return await self._open_version(stream, at, last.value)

    async def _open_version(self, stream: Stream, at: Context, etag: str | None) -> OpenedBody | None:
        """The same; `etag`: the version, None where it must be asked for."""
        size, key, version = stream.size(at), stream.key(at), stream.version_key(at)
        if self.parted is None or stream.parts is None or size is None or key in self._misjudged:
            return None
        ask = parts_validated(stream.parts(self.api, at), Expected.of(stream, at))
        body = self.parted.open(key, size, etag, partial(stream.block_key, at), ask)
        body.superseded = partial(self._superseded, key, version)
        opened = OpenedBody(key, body, partial(self.parted.release, key, body))
        try:
            await body.check()
        except (NotInParts, OtherSize):
            opened.close()
            return None
        except BaseException:
            opened.close()
            raise
        if body.etag != etag:
            self.store.keep(version, body.etag, SEALED, lasting=True)
        return opened

    def _superseded(self, key: Key, version: Key, error: Stale) -> None:
        self.store.drop(version)
        if isinstance(error, OtherSize):
            self._misjudged.add(key)

    async def _open_whole(self, stream: Stream, at: Context) -> OpenedBody:
        """A body that comes as one stream."""
        key, expected = stream.key(at), Expected.of(stream, at)

        def begin() -> AbstractAsyncContextManager[ByteStream]:
            return validated(stream.begin(self.api, at), expected, lambda size: self._differs(stream, at, size))

        if self._of_others is not None:
            begin = self._of_others.sharing(stream.shared_key(at), expected.size, begin)
        while True:
            try:
                with due():
                    body = await self.bodies.open(key, begin)
                return OpenedBody(key, body, partial(self.bodies.release, key, body))
            except Withheld:
                if not CALLER.get().waits:
                    raise
                # The call was put off, being only ahead; now a reader waits, and the next attempt is its own.

    async def _differs(self, stream: Stream, at: Context, size: int) -> None:
        """A body that is whole has another size than its listing says: that is logged once, and the listing asked
        again."""
        key = Key.size_differs(stream.size(at), at.key)
        held = self.store.peek(key)
        if held is not None and held.value == size:
            return
        self.store.keep(key, size, SEALED)
        listed = f"its listing says {stream.size(at):,}"
        log.warning("%s has %s bytes, %s: it is shown as it came", stream_name(stream, at), f"{size:,}", listed)
        await self.relist(stream, at)


class _Question:
    """What one question is asked with: an answer that is made of others holds no longer than any of them."""

    def __init__(self, answers: AnswerResolver, lease: Lease) -> None:
        self._answers = answers
        self._lease = lease
        """Seconds for which the answer holds, as far as is known."""
        self._age = 0.0
        self._stale = False

    def freshness(self) -> Freshness:
        """That of the answer, as far as is known."""
        return Freshness(self._lease, self._age, self._stale)

    @property
    def api(self) -> API:
        return self._answers.api

    async def answer(self, source: Source, at: Context) -> Any:
        return self._made_of(await self._answers.ask(source, at))

    async def answers(
        self,
        source: Source,
        places: Sequence[Context],
        failed: Failed | None = None,
        make: Callable[[Any], Any] = lambda answer: answer,
    ) -> dict[Place, Any]:
        found = await self._answers.together(source, places, failed, make)
        self.lacks(list((failed or {}).values()))
        return found

    async def in_turn(
        self,
        source: Source,
        places: Sequence[Context],
        ask: Callable[[Sequence[Context]], Awaitable[object]],
        came: Callable[[Sequence[Context]], object],
    ) -> None:
        await self._answers.in_turn(source, places, ask, came)

    def lacks(self, errors: Sequence[CometFSError]) -> None:
        if errors:
            self._lease = Lease(min(self._lease, PARTIAL))

    async def status(self) -> Row:
        return await self._answers.status()

    async def metrics(self) -> str:
        return await self._answers.metrics()

    def failures(self) -> list[str]:
        return self._answers.error_log.lines()

    def answer_nowait(self, source: Source, at: Context) -> Any:
        held = self._answers.recall(source, at)
        return None if held is None else held.value

    def fill(self, source: Source, at: Context, answer: Any) -> None:
        # What is made of another answer holds no longer than that.
        fresh = self.freshness()
        self._answers.fill(source, at, answer, fresh._replace(lease=Lease(min(source.lease(at), fresh.lease))))

    def recall(self, source: Source, at: Context) -> Any:
        held = self._answers.recall(source, at)
        return None if held is None or held.error is not None else self._made_of(held)

    def keep(self, source: Source, at: Context, answer: Any) -> None:
        self._made_of(self._answers.fill(source, at, answer))

    def _made_of(self, held: CacheEntry) -> Any:
        store = self._answers.store
        self._lease = Lease(min(self._lease, store.remaining(held)))
        self._age = max(self._age, store.age(held))
        self._stale = self._stale or held.stale
        return held.value

    def wants_all(self, source: Source, at: Context) -> bool:
        at_hand = self.answer_nowait(source, at) is not None
        return self._answers.ahead.observations.wants_all(source, at, of_project(at), at_hand=at_hand)

    def agreement(self, subject: str, project: Context) -> bool | None:
        return self._answers.ahead.observations.agreement(subject, project)

    def record_agreement(self, subject: str, project: Context, *, agrees: bool, lease: Lease = SEALED) -> None:
        self._answers.ahead.observations.record_agreement(subject, project, agrees=agrees, lease=lease)

    def count(self, subject: str, at: Context) -> int:
        return self._answers.ahead.observations.count(subject, at)

    def record_count(self, subject: str, at: Context, count: int, lease: Lease = SEALED) -> None:
        self._answers.ahead.observations.record_count(subject, at, count, lease)

    def doubts(self, at: Context) -> bool:
        return at in self._answers.doubts

    def has(self, stream: Stream, at: Context) -> bool:
        return self._answers.has(stream, at)

    async def body(self, stream: Stream, at: Context, most: int | None = None) -> bytes:
        return await self._answers.body(stream, at, most)
