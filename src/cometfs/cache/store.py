"""Answers under keys: from memory while their lease holds, else from disk, else loaded once for all callers.

An answer whose lease has ended stays until another takes its place. Where none comes, because Comet is away, fails or
cannot be understood, the last one is shown, marked as stale. A refusal is an answer, and so is that there is no such
thing.

Not here: what the keys mean and how an answer is asked for (vfs/), and how the disk keeps them (writebehind.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import trio

from cometfs.cache.due import due, left_for_caller
from cometfs.cache.memory import CacheEntry, Memory, Which
from cometfs.cache.sharing import SharedAnswer, SharedStore
from cometfs.cache.singleflight import Flights
from cometfs.cache.values import Freshness, Load, decoded, encoded, weigh, with_items_of, with_shared_texts
from cometfs.connectivity import SILENCE, Connectivity
from cometfs.errors import NO_ANSWER, NotFound, Withheld
from cometfs.lease import MISSING, Lease

log = logging.getLogger(__name__)

STALE = Lease(5.0)
"""How long an answer is shown that may not hold any more, before it is asked for again."""

HURRY = 4.0
"""Seconds that a caller must have left: with less it gets nothing but an answer."""


class PersistedAnswer(Protocol):
    """An answer on disk; times in seconds since 1970."""

    @property
    def value(self) -> bytes: ...
    @property
    def arrived(self) -> float: ...
    @property
    def expires(self) -> float: ...
    @property
    def refreshed(self) -> bool: ...


class PersistentStore(Protocol):
    """Where answers last longer than the process."""

    def recall(self, key: Hashable) -> PersistedAnswer | None:
        """What is kept under `key` and holds, found in microseconds."""

    def keep(self, key: Hashable, value: bytes, arrived: float, expires: float) -> None:
        """Takes it, to be written soon."""

    def last(self, key: Hashable) -> PersistedAnswer | None:
        """The same, even where it holds no more."""

    def forget(self, key: Hashable) -> None:
        """Drops it."""

    async def settle(self) -> None:
        """Returns when what it took is where other processes find it, if the disk allows."""

    async def room(self) -> None:
        """Returns when it can take more."""

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None, *, expire: bool = False) -> None:
        """Drops those: none is recalled from now on, and none is left when this returns, if the disk allows. `among`:
        one of these stands in each of those keys; `expire`: answers stay the last ones, which hold no more."""


class Store:
    """The one place where answers are kept. A load that raises NotFound is kept too, for a short while."""

    def __init__(
        self,
        memory: Memory,
        flights: Flights,
        persistent: PersistentStore | None = None,
        wall: Callable[[], float] = time.time,
        connectivity: Connectivity | None = None,
        shared: SharedStore | None = None,
    ) -> None:
        """`persistent`: None keeps nothing longer than the process; `wall`: seconds since 1970; `shared`: None shares
        nothing with other machines."""
        self._shared = shared
        self.connectivity = connectivity or Connectivity()
        self._memory = memory
        self._flights = flights
        self._persistent = persistent
        self._wall = wall

    def peek(self, key: Hashable) -> CacheEntry | None:
        """What is held in memory under `key` now."""
        return self._memory.get(key)

    def recall(self, key: Hashable) -> CacheEntry | None:
        """What is held under `key`, in memory or on disk, without a load; while Comet is away, whatever its lease."""
        held = self._fresh(key)
        return self.stale(key) if held is None and self.connectivity.away else held

    def _fresh(self, key: Hashable) -> CacheEntry | None:
        held = self._memory.get(key)
        if held is not None or self._persistent is None:
            return held
        kept = self._persistent.recall(key)
        if kept is None:
            return None
        # A clock that was set back must not make an answer hold longer than it was meant to.
        return self._taken(key, kept, min(kept.expires - self._wall(), kept.expires - kept.arrived))

    def stale(self, key: Hashable, lease: Lease = STALE) -> CacheEntry | None:
        """The last answer under `key`, even if it holds no more: shown for want of another, and marked as that."""
        held = self._memory.get(key) or self._last(key, lease)
        if held is not None and held.stale:
            self.connectivity.shows(self.age(held))
        return held

    def _last(self, key: Hashable, lease: Lease) -> CacheEntry | None:
        last = self._memory.last(key)
        if last is not None and last.error is None:
            return self._hold(key, last.value, Freshness(lease, self.age(last), stale=True), last.weight)
        kept = None if self._persistent is None else self._persistent.last(key)
        return None if kept is None else self._taken(key, kept, lease, stale=True)

    def _taken(self, key: Hashable, kept: PersistedAnswer, left: float, *, stale: bool = False) -> CacheEntry:
        """An answer from disk, which holds for so many seconds."""
        value = with_shared_texts(decoded(kept.value))
        freshness = Freshness(Lease(left), max(0.0, self._wall() - kept.arrived), stale)
        return self._hold(key, value, freshness, weigh(value, kept.value))

    def keep(
        self,
        key: Hashable,
        value: Any,
        lease: Lease | Freshness,
        weight: int | None = None,
        *,
        lasting: bool = False,
        shared: bool = False,
    ) -> CacheEntry:
        """Holds a value that was made from others at hand; `weight` in bytes where the caller knows it; `shared`:
        whether other machines may have it, too, if it lasts."""
        before = self._memory.last(key)
        if before is not None:
            value = with_items_of(before.value, value)
        value = with_shared_texts(value)
        freshness = self._in_time(key, lease if isinstance(lease, Freshness) else Freshness(lease))
        written = encoded(value) if lasting or weight is None else None
        if lasting:
            self._write(key, written, freshness, shared=shared)
        return self._hold(key, value, freshness, weigh(value, written) if weight is None else weight)

    def _write(self, key: Hashable, written: bytes | None, freshness: Freshness, *, shared: bool) -> None:
        """Has it written to disk, where what is there may be newer than what is stale."""
        if written is None or freshness.stale or not freshness.lease:
            return
        if shared and self._shared is not None:
            self._shared.keep(key, written, freshness.lease, freshness.age)
        if self._persistent is None:
            return
        now = self._wall()
        self._persistent.keep(key, written, now - freshness.age, now + freshness.lease)

    def doubt(self, key: Hashable, before: float) -> None:
        """Forgets what is held under `key`, or another machine has, if it arrived before that, on trio's clock."""
        held = self.recall(key)
        if held is not None and held.arrived >= before:
            return
        if held is not None:
            self.drop(key)
        elif self._shared is not None:
            self._shared.forget(key, before)

    def drop(self, key: Hashable) -> None:
        """Forgets what is held under `key`: there is reason to doubt it."""
        self._memory.drop(key)
        if self._persistent is not None:
            self._persistent.forget(key)
        if self._shared is not None:
            self._shared.forget(key)

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None, *, expire: bool = False) -> None:
        """Forgets what is held under those keys. Loads that are under way for them still answer their callers, but are
        not kept, and not joined any more. `among`: where it is known that one of these stands in each of
        those keys, they are found faster; `expire`: until others take their places they are shown where none can be
        had."""
        (self._memory.expire_all if expire else self._memory.drop_all)(which, among)
        self._flights.drop_all(which)
        if self._shared is not None:
            self._shared.drop_all(which)
        if self._persistent is not None:
            await self._persistent.drop_all(which, among, expire=expire)

    async def settle(self) -> None:
        """Returns when other processes find on disk what is kept there."""
        if self._persistent is not None:
            await self._persistent.settle()

    async def room(self) -> None:
        """Returns when what comes next finds room on its way to disk, too."""
        if self._persistent is not None:
            await self._persistent.room()

    def let_go(self, keys: Collection[Hashable]) -> None:
        """Holds these no longer in memory, where there is a disk that takes them."""
        for key in keys if self._persistent is not None else ():
            self._memory.drop(key)

    def last(self, key: Hashable) -> Any:
        """The last value under `key`, even if it holds no more; None where a refresh wants another."""
        held = self._memory.last(key)
        if held is not None or self._persistent is None:
            return None if held is None or held.refreshed else held.value
        kept = self._persistent.last(key)
        return None if kept is None or kept.refreshed else decoded(kept.value)

    def all_keys(self) -> list[Hashable]:
        """Those under which something is in memory."""
        return self._memory.all_keys()

    def is_loading(self, key: Hashable) -> bool:
        """Whether a load of that key is under way, which the next one that asks joins."""
        return self._flights.has(key)

    def loading(self) -> AbstractContextManager[None]:
        """For a load of many keys that no one of them stands for: what is dropped while the block runs, nothing that
        is kept in it brings back."""
        return self._flights.loading()

    def _in_time(self, key: Hashable, freshness: Freshness) -> Freshness:
        """For how long what was loaded may be held: not at all if the key was dropped meanwhile."""
        return freshness._replace(lease=Lease(0.0)) if self._flights.is_late(key) else freshness

    @property
    def shares(self) -> bool:
        """Whether other machines may have answers."""
        return self._shared is not None

    async def claim(self, keys: Sequence[Hashable]) -> tuple[list[Hashable], list[Hashable]]:
        """Of answers that are asked for together, those that it is this one's turn to ask for, and those that another
        machine asks for; what others have is held. What is claimed must be released."""
        if self._shared is None:
            return list(keys), []
        found = await self._shared.claim(keys)
        for key, one in found.items():
            if not isinstance(one, bool):
                self._of_others(key, one)
        return [key for key in keys if found[key] is True], [key for key in keys if found[key] is False]

    async def settled_by_others(self, key: Hashable) -> None:
        """Returns when what another machine asks for has come, or does not come any more."""
        if self._shared is not None:
            await self._shared.changed(key)

    def release(self, keys: Collection[Hashable]) -> None:
        """What of these was claimed and not kept does not come: other machines may ask."""
        if self._shared is not None:
            self._shared.settle(keys)

    def _of_others(self, key: Hashable, found: SharedAnswer) -> CacheEntry:
        """An answer that another machine has, held and written to disk here as well."""
        if found.missing:
            return self._miss(key, NotFound(found.value.decode()), self._in_time(key, Freshness(Lease(found.left))))
        value, before = with_shared_texts(decoded(found.value)), self._memory.last(key)
        if before is not None:
            value = with_items_of(before.value, value)
        freshness = self._in_time(key, Freshness(Lease(found.left), found.age))
        self._write(key, found.value, freshness, shared=False)
        return self._hold(key, value, freshness, weigh(value, found.value))

    async def once(self, key: Hashable, load: Callable[[], Awaitable[Any]]) -> Any:
        """What `load` returns, for all callers that ask while it runs; it keeps what is worth keeping itself."""
        with due():
            return await self._flights.join(key, load)

    async def get(
        self,
        key: Hashable,
        load: Callable[[], Awaitable[Any]],
        lease: Lease | Callable[[], Freshness],
        *,
        lasting: bool = False,
    ) -> CacheEntry:
        """What is held under `key`, else what `load` answers, held for `lease`, else the last answer. Raises what
        `load` raises."""
        held = self._fresh(key)
        if self.connectivity.away and (held is None or held.stale):
            await self.connectivity.look()
            held = self.recall(key) if self.connectivity.away else None
        if held is None:
            held = await self._loaded_or_last(key, Load(load, lease, lasting))
        held.unwrap()
        return held

    async def _loaded_or_last(self, key: Hashable, how: Load) -> CacheEntry:
        try:
            return await self._unless_silent(key, lambda: self._flights.join(key, lambda: self._load(key, how)))
        except NO_ANSWER as error:
            # What is followed is asked for again as soon as usual.
            last = None if isinstance(error, Withheld) else self.stale(key, Lease(min(STALE, how.freshness().lease)))
            if last is None:
                raise
            log.info("the last answer is shown: %s", error)
            return last

    async def _unless_silent(self, key: Hashable, join: Callable[[], Awaitable[CacheEntry]]) -> CacheEntry:
        """What is loaded, however long that takes while Comet answers anything; else the last answer, if there is one.
        The load goes on then."""
        waited = False
        while (left := left_for_caller()) > HURRY:
            began = trio.current_time()
            waited, patience = True, min(SILENCE, left / 2)
            with trio.move_on_after(patience), due():
                return await join()
            if self.connectivity.is_silent(began, patience):
                break
        # A caller that has waited gets the last answer before its time is over, and so does one that may not wait.
        last = self.stale(key) if waited or left <= 0 else None
        return last or await join()

    async def renew(
        self, key: Hashable, load: Callable[[], Awaitable[Any]], lease: Lease, *, lasting: bool = False
    ) -> None:
        """Asks again for what is held under `key`, which goes on being held meanwhile. Raises what `load` raises."""

        async def renewed() -> CacheEntry:
            before = self.peek(key)
            if before is not None and lasting and self._shared is not None:
                found = await self._shared.renewal(key, self.remaining(before))
                if not isinstance(found, bool):
                    return self._of_others(key, found)
                if not found:
                    return before  # another machine renews it, and has it soon
            value, before = await load(), self.peek(key)
            freshness = self._in_time(key, Freshness(lease))
            # The same answer stays the same object: what was made of it need not be made again.
            same = before is not None and before.value == value
            if before is None or not same or not freshness.lease:
                return self.keep(key, value, lease, lasting=lasting, shared=True)
            if lasting:
                self._write(key, encoded(value), freshness, shared=True)
            return self._hold(key, before.value, freshness, before.weight)

        await self._flights.join(key, renewed, renewal=True)

    async def _load(self, key: Hashable, how: Load) -> CacheEntry:
        if self._shared is None or not how.lasting:
            return await self._loaded(key, how)
        async with self._shared.turn(key, left_for_caller() / 2) as found:
            return await self._loaded(key, how) if found is None else self._of_others(key, found)

    async def _loaded(self, key: Hashable, how: Load) -> CacheEntry:
        try:
            value = await how.load()
            return self.keep(key, value, how.freshness(), lasting=how.lasting, shared=True)
        except NotFound as error:
            # Of what is running it may be there in a moment.
            freshness = self._in_time(key, Freshness(Lease(min(MISSING, how.freshness().lease))))
            if how.lasting and self._shared is not None:
                self._shared.keep(key, str(error).encode(), freshness.lease, missing=True)
            return self._miss(key, error, freshness)

    def _miss(self, key: Hashable, error: NotFound, freshness: Freshness) -> CacheEntry:
        """There is no such thing, for so long."""
        missing = CacheEntry(None, self._memory.clock() + freshness.lease, 64, error)
        self._memory.put(key, missing)
        if self._persistent is not None:
            self._persistent.forget(key)  # what was there before is not the last answer any more
        return missing

    def _hold(self, key: Hashable, value: Any, freshness: Freshness, weight: int) -> CacheEntry:
        now = self._memory.clock()
        held = CacheEntry(value, now + freshness.lease, weight, arrived=now - freshness.age, stale=freshness.stale)
        self._memory.put(key, held)
        return held

    def age(self, held: CacheEntry) -> float:
        """Seconds since `held` arrived."""
        return self._memory.clock() - held.arrived

    def remaining(self, held: CacheEntry) -> float:
        """Seconds for which `held` still holds, never negative."""
        return max(0.0, held.expires - self._memory.clock())
