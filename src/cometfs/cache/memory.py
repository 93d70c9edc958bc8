"""The cache in memory: a byte budget, a lease on each value, least recently used goes first.

Not here: how values are made, and waiting for them (singleflight.py, store.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import trio
from cachetools import Cache, LRUCache

SWEEP = 60.0
"""Seconds between two looks for what has ended, and for which it is kept nevertheless: what comes next may be equal."""


FEW = 8
"""Keys of one owner that are searched one by one."""

Which = Callable[[Hashable], bool]
"""Whether a key is one of those that are meant."""

Owner = Callable[[Hashable], Hashable]
"""The owner of a key; None for one without."""


Recent = LRUCache
"""A mapping of so many entries at most, or of so much weight: the least recently used go. For what is remembered beside
the answers, outside their budget."""


@dataclass(slots=True)
class CacheEntry:
    """A value as it arrived. Exactly one of `value` and `error` counts: an error is a remembered "there is none".

    Never changed but for `read`, `expires` when dropped, and `refreshed`. Not frozen: it would be three times as slow
    to make.
    """

    value: Any
    expires: float
    """On the clock of the cache, in seconds."""
    weight: int
    """What it costs to keep, in bytes, roughly."""
    error: Exception | None = None
    arrived: float = 0.0
    """When it arrived, on the same clock."""
    read: bool = False
    """Whether a reader has had it: what there is to learn from that is known."""
    stale: bool = False
    """Whether it is shown, for want of an answer, although its lease had ended."""
    refreshed: bool = False
    """Whether another was asked for by a refresh: it is shown for want of that, and nothing is made of it."""

    def unwrap(self) -> Any:
        """The value; raises the remembered error instead where there is one."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.value


class _Owned(LRUCache[Hashable, CacheEntry]):
    """One with an index of keys by owner: those of a few owners are found without going through all."""

    def __init__(self, budget: int, owner: Owner) -> None:
        super().__init__(budget, attrgetter("weight"))
        self._owner = owner
        self._of: dict[Hashable, tuple[Hashable, ...] | dict[Hashable, None]] = {}
        """Keys by owner: most have few, and a dictionary for each would take more memory than all of theirs."""

    def __setitem__(self, key: Hashable, held: CacheEntry) -> None:
        is_new = key not in self
        super().__setitem__(key, held)
        if is_new and (owner := self._owner(key)) is not None:
            keys = self._of.get(owner, ())
            if isinstance(keys, dict):
                keys[key] = None
            else:
                self._of[owner] = (*keys, key) if len(keys) < FEW else dict.fromkeys((*keys, key))

    def __delitem__(self, key: Hashable) -> None:  # what is pushed out comes through here, too
        super().__delitem__(key)
        if (owner := self._owner(key)) is not None:
            keys = self._of.pop(owner)
            if isinstance(keys, dict):
                del keys[key]
            else:
                keys = tuple(one for one in keys if one != key)
            if keys:
                self._of[owner] = keys

    def of(self, owners: Collection[Hashable]) -> list[Hashable]:
        return [key for owner in owners for key in self._of.get(owner, ())]


class Memory:
    """At most `budget` bytes of held values. A value is given iff its lease has not ended and it was not pushed out.

    What has ended is dropped by a sweep: cachetools' own cache with leases takes several times as long for a look, and
    more memory for a value.
    """

    def __init__(self, budget: int, clock: Callable[[], float] = trio.current_time, owner: Owner | None = None) -> None:
        """`owner`: the word by which keys are dropped together, of a key; None: keys have no owners."""
        self.clock = clock
        self._known = owner is not None
        self._held = _Owned(budget, owner or (lambda _key: None))
        self._swept = -SWEEP

    def get(self, key: Hashable) -> CacheEntry | None:
        """What is held under `key`, or None."""
        held = self.last(key)
        return held if held is not None and held.expires > self.clock() else None

    def last(self, key: Hashable) -> CacheEntry | None:
        """The same, even where its lease has just ended."""
        return self._held.get(key)

    def put(self, key: Hashable, held: CacheEntry) -> None:
        """Holds it until its lease ends; what is heavier than the whole budget is not held at all. What has ended
        already, which came too late, leaves what is held as it is."""
        now = self.clock()
        if now - self._swept >= SWEEP:
            self._sweep(now)
        if held.expires <= now:
            return
        if held.weight > self._held.maxsize:
            self._held.pop(key, None)
        else:
            self._held[key] = held

    def _sweep(self, now: float) -> None:
        self._swept = now
        ended = now - SWEEP
        # Not through the cache's own `[]`, by which each would be used.
        for key in [key for key in self._held if Cache.__getitem__(self._held, key).expires <= ended]:
            del self._held[key]

    def drop(self, key: Hashable) -> None:
        """Forgets `key`, if it is there."""
        self._held.pop(key, None)

    def drop_all(self, which: Which, among: Collection[Hashable] | None = None) -> None:
        """Forgets those keys. A caller that has a value of theirs in hand sees its lease end: what is made of it holds
        no longer either. `among`: if given, the owner of each of those keys is one of these."""
        now = self.clock()
        for key in self._meant(which, among):
            # Not through the cache's own `[]`, as in a sweep.
            Cache.__getitem__(self._held, key).expires = now
            del self._held[key]

    def expire_all(self, which: Which, among: Collection[Hashable] | None = None) -> None:
        """The same, but values stay the last ones until others take their places."""
        now = self.clock()
        for key in self._meant(which, among):
            held = Cache.__getitem__(self._held, key)
            held.expires, held.refreshed = min(now, held.expires), True
            if held.error is not None:
                del self._held[key]

    def _meant(self, which: Which, among: Collection[Hashable] | None) -> list[Hashable]:
        keys = list(self._held) if among is None or not self._known else self._held.of(among)
        return list(filter(which, keys))

    def all_keys(self) -> list[Hashable]:
        """All that are held, used or not."""
        return list(self._held)
