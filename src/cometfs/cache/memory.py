"""The cache in memory: a byte budget, a lease on each value, least recently used goes first.

Not here: how values are made, and who waits for them (flight.py, store.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import trio
from cachetools import TLRUCache


@dataclass(frozen=True, slots=True)
class Held:
    """A value as it arrived. Exactly one of `value` and `error` speaks: an error is a remembered "there is none"."""

    value: Any
    expires: float
    """On the clock of the cache, in seconds."""
    weight: int
    """What it costs to keep, in bytes, roughly."""
    error: Exception | None = None
    arrived: float = 0.0
    """When it arrived, on the same clock."""

    def unwrap(self) -> Any:
        """The value; raises the remembered error instead where there is one."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.value


class Memory:
    """At most `budget` bytes of held values. A key is present iff its lease has not ended and it was not pushed out."""

    def __init__(self, budget: int, clock: Callable[[], float] = trio.current_time) -> None:
        self.clock = clock
        self._held: TLRUCache[Hashable, Held] = TLRUCache(
            budget,
            ttu=lambda _key, held, _now: held.expires,
            timer=clock,
            getsizeof=lambda held: held.weight,
        )

    def get(self, key: Hashable) -> Held | None:
        """What is held under `key`, or None."""
        return self._held.get(key)

    def put(self, key: Hashable, held: Held) -> None:
        """Holds it until its lease ends; what is heavier than the whole budget is not held at all."""
        if held.weight > self._held.maxsize:
            self._held.pop(key, None)
        elif held.expires > self.clock():
            self._held[key] = held

    def drop(self, key: Hashable) -> None:
        """Forgets `key`, if it is there."""
        self._held.pop(key, None)
