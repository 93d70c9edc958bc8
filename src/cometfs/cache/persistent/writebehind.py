"""Answers that last longer than the process: read at once, written a little later, all that is due in one go.

Not here: the file (index.py), and for how long answers hold (lease.py).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from sqlite3 import Connection
from typing import NamedTuple

import trio

from cometfs.cache.memory import Which
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.rows import Answer, Changes, Kept, key_of, of_name

log = logging.getLogger(__name__)

FLUSH = 0.5
"""Seconds that an answer waits for others to be written with it: a transaction costs more than a row."""

PASSING = 30.0
"""Seconds: an answer that holds for less waits for so long, because another will take its place. It is written at all
for the time when Comet is away."""

QUEUE = 64 << 20
"""Bytes that may wait to be written; what does not fit is not kept. It is only a cache."""

LAST = 5.0
"""Seconds that the last writes may take when the mount ends."""

USED_EVERY = 600.0
"""Seconds between two notes that an answer is still used."""

FEW = 8
"""Words of which the database looks for each in every key; of more, all keys are looked at here."""

DROPS = 50
"""Droppings that may wait for the file to be written: each is held against every key that is looked for, some 1 us. If
it cannot be for longer, all that is in it counts as dropped."""

NOTES = 20_000
"""Answers of which it is remembered when that was noted last."""


Named = Callable[[str], bool]
"""Whether a row is one of those that are meant."""

TakeOut = Callable[[Named, Sequence[str]], bool]


class _Pending(NamedTuple):
    done: bool
    view: Connection | None
    """What the event loop must read by from now on."""


class WriteBehind:
    """The answers of one account on disk, for one mount.

    `_due` is what the file does not have yet; None: to be dropped. `_bytes` is what waits there. `_later` has the names
    of those that need not be written before a moment on trio's clock.
    """

    def __init__(self, index: Index, evictor: Evictor, blobs: BlobStore, wall: Callable[[], float] = time.time) -> None:
        """`evictor` runs after each write; what `blobs` has found out is written along."""
        self._index = index
        self._evictor = evictor
        self._blobs = blobs
        self._wall = wall
        self._due: dict[str, Answer | None] = {}
        self._bytes = 0
        self._later: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._touched: set[str] = set()
        self._wake = trio.Event()
        self._flushing = trio.Lock()
        index.view.changed = blobs.changed = self.wake

    def wake(self) -> None:
        """There is something to write."""
        self._wake.set()

    def recall(self, key: Hashable) -> Kept | None:
        """The answer under `key` that still holds. Some 15 us; never waits."""
        name = key_of(key)
        if name is None:
            return None
        if name in self._due:
            due = self._due[name]
            kept = None if due is None else Kept(*due[1:])
            return kept if kept is not None and kept.holds(self._wall()) else None
        return self._touched_if(name, self._index.view.answer(name))

    def _touched_if(self, name: str, kept: Kept | None) -> Kept | None:
        """An answer, of which it is noted that it is used; what is not used goes first when there is no room."""
        if kept is not None and abs(self._wall() - self._used.get(name, 0.0)) > USED_EVERY:
            self._touch(name)
        return kept

    def _touch(self, name: str) -> None:
        if len(self._used) > NOTES:
            self._used.clear()
        self._used[name] = self._wall()
        self._touched.add(name)
        self.wake()

    def last(self, key: Hashable) -> Kept | None:
        """The answer under `key`, even if it holds no more."""
        name = key_of(key)
        if name is None:
            return None
        if name not in self._due:
            return self._touched_if(name, self._index.view.last(name))
        due = self._due[name]
        return None if due is None else Kept(*due[1:])

    def keep(self, key: Hashable, value: bytes, arrived: float, expires: float) -> None:
        """Takes an answer, to be written soon; times in seconds since 1970."""
        name = key_of(key)
        if name is None:
            return
        answer = Answer(name, value, arrived, expires)
        # Where it does not fit, what the file has goes nevertheless: it is older than what was just answered.
        self._put(name, answer if self._bytes + answer.size <= QUEUE else None)
        if expires - arrived < PASSING:
            self._later.setdefault(name, trio.current_time() + PASSING)
        else:
            self._later.pop(name, None)

    def forget(self, key: Hashable) -> None:
        """Drops an answer."""
        name = key_of(key)
        if name is not None:
            self._put(name, None)

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None, *, expire: bool = False) -> None:
        """Drops answers and bodies. None is found from now on; returns when they are gone from the file, or when that
        takes too long and is left for later. `among`: if given, one of these stands in each of those keys; `expire`:
        answers hold no more, and stay."""
        words = () if among is None or len(among) > FEW else tuple(filter(None, map(key_of, among)))

        def named(name: str) -> bool:
            return which(of_name(name))

        for name, answer in [(name, answer) for name, answer in self._due.items() if named(name)]:
            self._put(name, answer._replace(expires=answer.arrived) if expire and answer else None)
        view = self._index.view
        if expire:
            view.expired = _with(view.expired, named)
        else:
            view.dropped = _with(view.dropped, named)
        with trio.move_on_after(LAST):
            await self._drop(words)
        self.wake()

    async def _drop(self, words: Sequence[str] = ()) -> None:
        """Takes out of the file what was dropped; what cannot be taken out goes on counting as not there."""
        view, index = self._index.view, self._index
        # Those words are of the last; one that was left over may be of any.
        few = words if len(view.dropped) + len(view.expired) == 1 and _every not in view.dropped + view.expired else ()
        gone = await self._taken_out(index.drop_all, view.dropped, few)
        view.dropped = [which for which in view.dropped if which not in gone]
        gone = await self._taken_out(index.expire_all, view.expired, few)
        view.expired = [which for which in view.expired if which not in gone]

    async def _taken_out(self, work: TakeOut, some: Sequence[Named], words: Sequence[str]) -> Sequence[Named]:
        """Those of `some` that are done with."""
        some = list(some)

        def named(name: str) -> bool:
            return any(which(name) for which in some)

        done = bool(some) and await trio.to_thread.run_sync(work, named, words, abandon_on_cancel=True)
        return some if done else []

    def _put(self, name: str, answer: Answer | None) -> None:
        before = self._due.get(name)
        self._due[name] = answer
        self._bytes += (answer.size if answer else 0) - (before.size if before else 0)
        self.wake()

    async def run(self) -> None:
        """Writes what is due until it is cancelled, and then once more."""
        try:
            while True:
                with trio.move_on_at(min(self._later.values(), default=math.inf)):
                    await self._wake.wait()
                self._wake = trio.Event()
                await trio.sleep(FLUSH)
                await self._flush()
        finally:
            # Another process may hold the file for longer than the end of a mount may take.
            with trio.CancelScope(shield=True), trio.move_on_after(LAST):
                self._later.clear()
                await self._flush(abandon=True)

    async def settle(self) -> None:
        """Writes what is due now, without waiting for more: another process is about to look for it. Gives up soon, for
        it is only a cache."""
        if self._due:
            self._later.clear()
            with trio.move_on_after(LAST):
                await self._flush(abandon=True)

    async def room(self) -> None:
        """Writes what is due now where that is half of what may wait: more would not be kept. Gives up soon."""
        if self._bytes > QUEUE // 2:
            with trio.move_on_after(LAST):
                await self._flush(abandon=True)

    async def _flush(self, *, abandon: bool = False) -> None:
        async with self._flushing:
            await self._flush_alone(abandon=abandon)

    async def _flush_alone(self, *, abandon: bool) -> None:
        due: dict[str, Answer | None] = {}
        try:
            await self._drop()
            due = self._ripe()  # as it is now: more may have been dropped while that was
            written = await trio.to_thread.run_sync(self._write, self._changes(due), abandon_on_cancel=abandon)
        except Exception:  # a bug in the cache must not end the mount
            log.exception("the cache could not be written")
            written = _Pending(False, None)
        if written.view is not None:
            self._index.view.take(written.view)
        self._forget_due(due, keep_drops=not written.done)

    def _ripe(self) -> dict[str, Answer | None]:
        """What is due and need not wait any longer."""
        now = trio.current_time()
        self._later = {name: until for name, until in self._later.items() if until > now and self._due.get(name)}
        return {name: answer for name, answer in self._due.items() if name not in self._later}

    def _changes(self, due: dict[str, Answer | None]) -> Changes:
        used, self._touched = list(self._touched), set()
        unsound, self._index.view.unsound = self._index.view.unsound, []
        answers = [answer for answer in due.values() if answer is not None]
        dropped = [name for name, answer in due.items() if answer is None]
        return self._blobs.changes(Changes(answers, dropped, used, unsound))

    def _forget_due(self, due: dict[str, Answer | None], *, keep_drops: bool) -> None:
        # What was kept or dropped again while it was written stays due. So do drops that could not be written: what
        # there is reason to doubt must not come back with the file.
        for name, answer in due.items():
            if self._due[name] is answer and not (keep_drops and answer is None and len(self._due) <= NOTES):
                del self._due[name]
        self._bytes = sum(answer.size for answer in self._due.values() if answer)

    def _write(self, changes: Changes) -> _Pending:
        if not self._evictor.has(sum(answer.size for answer in changes.answers)):
            names = [answer.key for answer in changes.answers]
            changes = changes._replace(answers=[], dropped=[*changes.dropped, *names])
        done = self._index.write(changes, lambda name: self._due.get(name) is not None)
        if done:
            self._evictor.make()
        return _Pending(done, self._index.renewed_view())


def _every(_name: str) -> bool:
    return True


def _with(some: list[Named], named: Named) -> list[Named]:
    return [*some, named] if len(some) < DROPS else [_every]
