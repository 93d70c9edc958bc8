"""One load for all who want the same: the first to ask starts it, the others wait for the same landing.

Loads run in a nursery of their own, so a caller that is cancelled leaves the load to the others. Not here: keeping what
was loaded (store.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import trio

from cometfs.errors import Unreachable


class _Flight:
    __slots__ = ("error", "landed", "value")

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.value: Any = None
        # What waiters get when the load is cancelled, which happens only when its nursery ends: the mount goes down.
        self.error: Exception | None = Unreachable("cometfs is shutting down")


class Flights:
    """Loads under way. A key is in `_under_way` iff its load was started and has not ended."""

    def __init__(self, loads: trio.Nursery) -> None:
        """`loads`: where loads live and with what they die."""
        self._loads = loads
        self._under_way: dict[Hashable, _Flight] = {}

    async def join(self, key: Hashable, load: Callable[[], Awaitable[Any]]) -> Any:
        """What `load` returns, or raises what it raises, for all who join before it ends; one at a time per key."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = _Flight()
            self._loads.start_soon(self._fly, key, flight, load)
        await flight.landed.wait()
        if flight.error is not None:
            raise flight.error.with_traceback(None)
        return flight.value

    async def _fly(self, key: Hashable, flight: _Flight, load: Callable[[], Awaitable[Any]]) -> None:
        try:
            flight.value = await load()
            flight.error = None
        except Exception as error:  # anything: a bug belongs to those who asked, not to the nursery of all loads
            flight.error = error
        finally:
            del self._under_way[key]
            flight.landed.set()
