"""Single-flight: one load for all callers that want the same key. The first starts it, the others wait for its end.

Loads run in a nursery of their own, so a caller that is cancelled leaves the load to the others. When keys are dropped,
a load under way for one of them is not joined any more, and what it brings is not kept. Not here: keeping what
was loaded (store.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import trio

from cometfs.cache.memory import Which
from cometfs.errors import CometFSError, Unreachable

_LOADING: ContextVar[list[Which] | None] = ContextVar("LOADING", default=None)
"""What was dropped since the load began that this task is part of; its own tasks inherit it."""


class _Flight:
    __slots__ = ("ended", "error", "value")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.value: Any = None
        # What waiters get when the load is cancelled, which happens only when its nursery ends: the mount goes down.
        self.error: Exception | None = Unreachable("cometfs is shutting down")


class Flights:
    """Loads under way. A key is in `_under_way` iff its load was started and has not ended, and the key was not dropped
    since. What such a load has missed is in `_loading` until it ends."""

    def __init__(self, loads: trio.Nursery) -> None:
        """`loads`: the nursery that loads run in and end with."""
        self._loads = loads
        self._under_way: dict[tuple[Hashable, bool], _Flight] = {}
        self._loading: list[list[Which]] = []

    async def join(self, key: Hashable, load: Callable[[], Awaitable[Any]], *, renewal: bool = False) -> Any:
        """What `load` returns, or raises what it raises, for all callers that join before it ends; one at a time per
        key.

        `renewal`: a value is held meanwhile. A reader that finds none any more does not join it, but loads: calls that
        no reader waits for are put off when few are left.
        """
        place = (key, renewal)
        flight = self._under_way.get(place)
        if flight is None:
            flight = self._under_way[place] = _Flight()
            self._loads.start_soon(self._fly, place, flight, load)
        await flight.ended.wait()
        if flight.error is not None:
            raise flight.error.with_traceback(None)
        return flight.value

    def count(self) -> int:
        """How many loads, and parts of loads, have not ended."""
        return len(self._loading)

    def has(self, key: Hashable) -> bool:
        """Whether a load that `join` would join is under way."""
        return (key, False) in self._under_way

    @contextmanager
    def loading(self) -> Iterator[None]:
        """The body is a load, or a part of one: what is dropped while it runs, it must not bring back."""
        dropped: list[Which] = []
        self._loading.append(dropped)
        before = _LOADING.set(dropped)
        try:
            yield
        finally:
            _LOADING.reset(before)
            self._loading = [other for other in self._loading if other is not dropped]

    def drop_all(self, which: Which) -> None:
        """Those keys were dropped: a caller that wants one from now on begins anew."""
        for dropped in self._loading:
            dropped.append(which)
        for place in [place for place in self._under_way if which(place[0])]:
            del self._under_way[place]

    def is_late(self, key: Hashable) -> bool:
        """Whether this task is part of a load that began before `key` was dropped."""
        return any(which(key) for which in _LOADING.get() or ())

    async def _fly(self, place: tuple[Hashable, bool], flight: _Flight, load: Callable[[], Awaitable[Any]]) -> None:
        try:
            with self.loading():
                flight.value = await load()
            flight.error = None
        except Exception as error:  # anything: a bug goes to the callers that asked, not to the nursery of all loads
            flight.error = error
            if isinstance(error, CometFSError):
                _let_go(error)
        finally:
            if self._under_way.get(place) is flight:
                del self._under_way[place]
            flight.ended.set()


def _let_go(error: BaseException | None) -> None:
    """Of what the load had in hand: its frames know the flight, which knows the error, which knows its frames. Such a
    ring, with all that came of an answer before it failed, stays until the garbage collector has much else to do."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
