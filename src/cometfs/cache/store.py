"""Answers under keys: from memory while their lease holds, else loaded once for all who ask.

Not here: what the keys mean and how an answer is asked for (tree/).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import msgspec

from cometfs.cache.flight import Flights
from cometfs.cache.memory import Held, Memory
from cometfs.errors import NotFound
from cometfs.lease import MISSING, Lease

# A decoded answer takes about this many times the bytes of its JSON (measured with sys.getsizeof over listings of
# experiments and metric points: 4 to 7).
_DECODED = 6


def weigh(value: Any) -> int:
    """The bytes that keeping `value` costs, roughly; exact for bytes and texts."""
    if isinstance(value, bytes | str):
        return len(value) + 64
    try:
        return len(msgspec.json.encode(value)) * _DECODED + 64
    except (UnicodeEncodeError, TypeError):
        return len(repr(value)) * _DECODED + 64  # a lone surrogate, which no JSON can hold


class Store:
    """The one place where answers are kept. A load that says NotFound is kept too, as a short-lived "there is none"."""

    def __init__(self, memory: Memory, flights: Flights) -> None:
        self._memory = memory
        self._flights = flights

    def peek(self, key: Hashable) -> Held | None:
        """What is held under `key` now, without asking anybody."""
        return self._memory.get(key)

    def keep(self, key: Hashable, value: Any, lease: Lease, weight: int | None = None) -> Held:
        """Holds a value that was made from others at hand; `weight` in bytes where the caller knows it."""
        now = self._memory.clock()
        held = Held(value, now + lease, weigh(value) if weight is None else weight, arrived=now)
        self._memory.put(key, held)
        return held

    def drop(self, key: Hashable) -> None:
        """Forgets what is held under `key`: there is reason to doubt it."""
        self._memory.drop(key)

    async def once(self, key: Hashable, load: Callable[[], Awaitable[Any]]) -> Any:
        """What `load` returns, for all who ask while it runs; it keeps what is worth keeping itself."""
        return await self._flights.join(key, load)

    async def get(self, key: Hashable, load: Callable[[], Awaitable[Any]], lease: Lease | Callable[[], Lease]) -> Held:
        """What is held under `key`, else what `load` answers, held for `lease`. Raises what `load` raises.

        A `lease` that is a function is asked when the load has ended: what it was made of may hold for less.
        """
        held = self._memory.get(key)
        if held is None:
            held = await self._flights.join(key, lambda: self._load(key, load, lease))
        held.unwrap()
        return held

    async def _load(
        self, key: Hashable, load: Callable[[], Awaitable[Any]], lease: Lease | Callable[[], Lease]
    ) -> Held:
        try:
            value = await load()
            return self.keep(key, value, lease() if callable(lease) else lease)
        except NotFound as error:
            missing = Held(None, self._memory.clock() + MISSING, 64, error)
            self._memory.put(key, missing)
            return missing

    def age(self, held: Held) -> float:
        """Seconds since `held` arrived."""
        return self._memory.clock() - held.arrived

    def remaining(self, held: Held) -> float:
        """Seconds for which `held` still holds, never negative."""
        return max(0.0, held.expires - self._memory.clock())
