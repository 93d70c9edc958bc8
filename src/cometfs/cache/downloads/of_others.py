"""Small bodies that several machines share: one of them fetches each, the others take it from where answers are shared.

A body that is not whole, or not of the size that its listing says, is not shared, and not taken. Not here: where it is
shared (shared/answers.py), and what makes a body a whole one (vfs/answers/validation.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

import trio

from cometfs.cache.downloads.pump import Begin, ByteStream
from cometfs.cache.due import left_for_caller
from cometfs.cache.sharing import SharedStore
from cometfs.lease import FINISHED

LARGEST = 1 << 20
"""Bytes of a body that is shared, at most."""

PATIENCE = 10.0
"""Seconds for which a body is waited for that another machine fetches, at most: so small a one has come by then."""


class BodiesOfOthers:
    """In one place."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def sharing(self, key: Hashable, size: int | None, begin: Begin) -> Begin:
        """Begins a body that is of that size as its listing says: that of another machine, or one for all of them."""
        return begin if (size or 0) > LARGEST else lambda: self._shared(key, size, begin)

    @asynccontextmanager
    async def _shared(self, key: Hashable, size: int | None, begin: Begin) -> AsyncIterator[ByteStream]:
        async with self._store.turn(key, min(PATIENCE, left_for_caller() / 2)) as found:
            if found is not None and not found.missing and size in (None, len(found.value)):
                yield _AtHand(found.value)
                return
            began = trio.current_time()
            async with begin() as stream:
                copied = _Copied(stream, lambda: self._store.settle([key]))
                yield copied
            # Where neither says how long it is, a cut one may look like a whole one.
            if copied.ended and len(copied.copy) == (copied.size if size is None else size):
                self._store.keep(key, bytes(copied.copy), FINISHED, trio.current_time() - began)


class _AtHand:
    """All of a body."""

    def __init__(self, body: bytes) -> None:
        self.size, self._body = len(body), body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Copied:
    """A body as it comes, and a copy of it, unless it turns out to be a big one."""

    def __init__(self, stream: ByteStream, give_up: Callable[[], None]) -> None:
        """`give_up`: lets the others fetch it."""
        self.size = stream.size
        self.copy = bytearray()
        self.ended = False
        self._stream, self._give_up = stream, give_up

    async def __aiter__(self) -> AsyncIterator[bytes]:
        small = self._is_small(self.size or 0)
        async for chunk in self._stream:
            small = small and self._is_small(len(self.copy) + len(chunk))
            if small:
                self.copy += chunk
            yield chunk
        self.ended = small

    def _is_small(self, size: int) -> bool:
        if size > LARGEST:
            self.copy.clear()
            self._give_up()
        return size <= LARGEST
