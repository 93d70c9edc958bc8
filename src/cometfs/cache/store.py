"""Answers under keys: from memory while their lease holds, else from disk, else loaded once for all callers.

Not here: what the keys mean and how an answer is asked for (vfs/), and how the disk keeps them (writebehind.py).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import msgspec

from cometfs.cache.memory import CacheEntry, Memory, Which
from cometfs.cache.singleflight import Flights
from cometfs.errors import NotFound
from cometfs.lease import MISSING, RUNNING, Lease

# A decoded answer takes about this many times the bytes that it is encoded in (measured with sys.getsizeof over
# listings of experiments and metric points: 4 to 7).
_DECODED = 6


def encoded(value: Any) -> bytes | None:
    """The value as bytes that `decoded` reads; None for what cannot be written so (a lone surrogate, a class)."""
    try:
        return msgspec.msgpack.encode(value)
    except (UnicodeEncodeError, TypeError, OverflowError):
        return None


def decoded(written: bytes) -> Any:
    """The inverse of `encoded`; tuples come back as lists."""
    return msgspec.msgpack.decode(written)


def weigh(value: Any, written: bytes | None = None) -> int:
    """The bytes that keeping `value` costs, roughly; exact for bytes and texts. `written`: its encoding, if made."""
    if isinstance(value, bytes | str):
        return len(value) + 64
    written = encoded(value) if written is None else written
    return (len(repr(value)) if written is None else len(written)) * _DECODED + 64


def with_items_of(before: Any, after: Any) -> Any:
    """A list, with the very items of the one before wherever they are equal, from both ends on; else `after` itself.

    Of a project that is listed once a minute most rows stay as they are: a caller that holds one holds no second copy
    in memory."""
    if not isinstance(before, list) or not isinstance(after, list):
        return after
    head = _equal(before, after)
    left = min(len(before), len(after)) - head
    tail = _equal(reversed(before[len(before) - left :]), reversed(after[len(after) - left :]))
    return before[:head] + after[head : len(after) - tail] + before[len(before) - tail :]


def _equal(some: Iterable[Any], others: Iterable[Any]) -> int:
    """How many items at the beginning are equal."""
    count = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        count += 1
    return count


class PersistedAnswer(Protocol):
    """An answer on disk; times in seconds since 1970."""

    @property
    def value(self) -> bytes: ...
    @property
    def arrived(self) -> float: ...
    @property
    def expires(self) -> float: ...


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

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None) -> None:
        """Drops those: none is recalled from now on, and none is left when this returns, if the disk allows. `among`:
        one of these stands in each of those keys."""


class Load(NamedTuple):
    """How an answer is had that is not at hand."""

    load: Callable[[], Awaitable[Any]]
    lease: Lease | Callable[[], Lease]
    """A function is asked when the load has ended: what it was made of may hold for less."""
    lasting: bool = False
    """Whether the answer goes to disk."""

    def holds(self) -> Lease:
        return self.lease() if callable(self.lease) else self.lease


class Store:
    """The one place where answers are kept. A load that raises NotFound is kept too, for a short while."""

    def __init__(
        self,
        memory: Memory,
        flights: Flights,
        persistent: PersistentStore | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`persistent`: None keeps nothing longer than the process; `wall`: seconds since 1970."""
        self._memory = memory
        self._flights = flights
        self._persistent = persistent
        self._wall = wall

    def peek(self, key: Hashable) -> CacheEntry | None:
        """What is held in memory under `key` now."""
        return self._memory.get(key)

    def recall(self, key: Hashable) -> CacheEntry | None:
        """What is held under `key`, in memory or on disk, without a load."""
        held = self._memory.get(key)
        if held is not None or self._persistent is None:
            return held
        kept = self._persistent.recall(key)
        if kept is None:
            return None
        # A clock that was set back must not make an answer hold longer than it was meant to.
        now, left = self._wall(), min(kept.expires - self._wall(), kept.expires - kept.arrived)
        value = decoded(kept.value)
        return self._hold(key, value, left, max(0.0, now - kept.arrived), weigh(value, kept.value))

    def keep(
        self, key: Hashable, value: Any, lease: Lease, weight: int | None = None, *, lasting: bool = False
    ) -> CacheEntry:
        """Holds a value that was made from others at hand; `weight` in bytes where the caller knows it."""
        before = self._memory.last(key)
        if before is not None:
            value = with_items_of(before.value, value)
        lease = self._in_time(key, lease)
        written = encoded(value) if lasting or weight is None else None
        if lasting and written is not None and self._persistent is not None and lease > RUNNING:
            self._persistent.keep(key, written, self._wall(), self._wall() + lease)
        return self._hold(key, value, lease, 0.0, weigh(value, written) if weight is None else weight)

    def drop(self, key: Hashable) -> None:
        """Forgets what is held under `key`: there is reason to doubt it."""
        self._memory.drop(key)
        if self._persistent is not None:
            self._persistent.forget(key)

    async def drop_all(self, which: Which, among: Collection[Hashable] | None = None) -> None:
        """Forgets what is held under those keys. Loads that are under way for them still answer their callers, but are
        not kept, and not joined any more. `among`: where it is known that one of these stands in each of
        those keys, they are found faster."""
        self._memory.drop_all(which, among)
        self._flights.drop_all(which)
        if self._persistent is not None:
            await self._persistent.drop_all(which, among)

    def last(self, key: Hashable) -> Any:
        """The last value under `key`, even if it holds no more; None where there is none."""
        held = self._memory.last(key)
        if held is not None or self._persistent is None:
            return None if held is None else held.value
        kept = self._persistent.last(key)
        return None if kept is None else decoded(kept.value)

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

    def _in_time(self, key: Hashable, lease: Lease) -> Lease:
        """For how long what was loaded may be held: not at all if the key was dropped meanwhile."""
        return Lease(0.0) if self._flights.is_late(key) else lease

    async def once(self, key: Hashable, load: Callable[[], Awaitable[Any]]) -> Any:
        """What `load` returns, for all callers that ask while it runs; it keeps what is worth keeping itself."""
        return await self._flights.join(key, load)

    async def get(
        self,
        key: Hashable,
        load: Callable[[], Awaitable[Any]],
        lease: Lease | Callable[[], Lease],
        *,
        lasting: bool = False,
    ) -> CacheEntry:
        """What is held under `key`, else what `load` answers, held for `lease`. Raises what `load` raises."""
        held = self.recall(key)
        if held is None:
            held = await self._flights.join(key, lambda: self._load(key, Load(load, lease, lasting)))
        held.unwrap()
        return held

    async def renew(
        self, key: Hashable, load: Callable[[], Awaitable[Any]], lease: Lease, *, lasting: bool = False
    ) -> None:
        """Asks again for what is held under `key`, which goes on being held meanwhile. Raises what `load` raises."""

        async def renewed() -> CacheEntry:
            value, before = await load(), self.peek(key)
            holds = self._in_time(key, lease)
            # The same answer stays the same object: what was made of it need not be made again.
            same = before is not None and before.value == value
            if before is None or not same or not holds:
                return self.keep(key, value, lease, lasting=lasting)
            if lasting and self._persistent is not None and (written := encoded(value)) is not None:
                self._persistent.keep(key, written, self._wall(), self._wall() + lease)
            return self._hold(key, before.value, lease, 0.0, before.weight)

        await self._flights.join(key, renewed, renewal=True)

    async def _load(self, key: Hashable, how: Load) -> CacheEntry:
        try:
            value = await how.load()
            return self.keep(key, value, how.holds(), lasting=how.lasting)
        except NotFound as error:
            # Of what is running it may be there in a moment.
            holds = self._in_time(key, Lease(min(MISSING, how.holds())))
            missing = CacheEntry(None, self._memory.clock() + holds, 64, error)
            self._memory.put(key, missing)
            return missing

    def _hold(self, key: Hashable, value: Any, lease: float, age: float, weight: int) -> CacheEntry:
        now = self._memory.clock()
        held = CacheEntry(value, now + lease, weight, arrived=now - age)
        self._memory.put(key, held)
        return held

    def age(self, held: CacheEntry) -> float:
        """Seconds since `held` arrived."""
        return self._memory.clock() - held.arrived

    def remaining(self, held: CacheEntry) -> float:
        """Seconds for which `held` still holds, never negative."""
        return max(0.0, held.expires - self._memory.clock())
