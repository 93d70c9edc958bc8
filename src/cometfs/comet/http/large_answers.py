"""Answers that take much memory: how many of them arrive at once, and that one at a time is read.

Not here: how many bytes one may have (`calls`), and how much what is in it may take (`answers/shapes`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

T = TypeVar("T")

LARGE = 1 << 20
"""Bytes of an answer from which on it counts, and is read in a thread, so that the event loop runs on."""

ARRIVING = 4
"""Large answers that arrive at once; the next ones wait with their first MiB."""


class Place:
    """That of one answer, which it takes when it turns out to be large."""

    def __init__(self, free: trio.Semaphore) -> None:
        self._free = free
        self._taken = False

    async def take(self) -> None:
        """Returns when there is room for the rest."""
        if not self._taken:
            await self._free.acquire()
            self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._free.release()
            self._taken = False


class LargeAnswers:
    """The places of all answers of one Comet."""

    def __init__(self) -> None:
        self._free = trio.Semaphore(ARRIVING)
        self._reading = trio.Lock()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """For one answer, from its first byte until it is read."""
        place = Place(self._free)
        try:
            yield place
        finally:
            place.give_back()

    async def read(self, read: Callable[[bytes], T], body: bytes) -> T:
        """What `read` makes of a body."""
        if len(body) < LARGE:
            return read(body)
        async with self._reading:
            return await trio.to_thread.run_sync(read, body, abandon_on_cancel=True)
