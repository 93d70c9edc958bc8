"""One fetch of a part of a big body: what it brings, how long it is wanted, and its place among all that arrive.

Not here: which parts are fetched (parts.py), requests (comet/).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

import trio

from cometfs.cache.downloads.blocks import BLOCK
from cometfs.cache.persistent.rows import checksum
from cometfs.cache.persistent.stored_blocks import Summed
from cometfs.errors import Stale
from cometfs.host.buffers import Block, Give, joined

CROSSING = 2
"""Blocks on their way to the event loop, of one fetch, from which on its thread waits: they are memory."""


class Part(Protocol):
    """A part of a body on its way: bytes that begin at `start`."""

    @property
    def start(self) -> int:
        """0 although another was asked for, where the server gives wholes only."""

    @property
    def total(self) -> int | None:
        """Bytes of the whole body; None where the server does not say."""

    @property
    def etag(self) -> str:
        """Names the version; empty where the server does not say."""

    @property
    def bounded(self) -> bool:
        """Whether it ends where it was asked to, and more requests cost nothing: that of an object store."""

    @property
    def size(self) -> int | None:
        """Bytes of the part; None where only its end shows that."""

    @property
    def close_delimited(self) -> bool:
        """Whether a cut one looks like a whole one."""

    @property
    def is_html(self) -> bool: ...

    @property
    def is_encoded(self) -> bool:
        """Whether its bytes are those of a Content-Encoding."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def blocks(self, begun: Sequence[Block], count: int, give: Give) -> int:
        """Has up to `count` blocks come by way of a thread, which `give`s them; how many bytes came so. `begun` is what
        has come of the first one already. Whatever does not come fast comes by iteration."""


AskPart = Callable[[int, int, str], AbstractAsyncContextManager[Part]]
"""Asks for bytes from the first number up to before the second, of the version with that ETag if there is one. Raises
Stale where there is another version now."""


class Fetch:
    """What brings blocks in order. `limit` is the first one that is not wanted yet."""

    def __init__(self, first: int, stop: int, limit: int) -> None:
        self.at, self.stop, self.limit = first, stop, limit
        """`at` is the block that is being brought ..."""
        self.begun: list[Block] = []
        self.come = 0
        """... and this what has come of it, and how many bytes that is."""
        self.answered = False
        """Whether the server answers: from then on a broken connection is followed by the next one."""
        self.bounded = False
        """Whether what arrives ends where it was asked to."""
        self.error: Exception | None = None
        self.ended = False
        self.scope = trio.CancelScope()
        self.given_up = False
        """Whether that was cancelled, for threads to see."""
        self.waiting: list[Callable[[], None]] = []
        """What readers that wait for it want called when something comes: only silence ends their patience."""

    def give_up(self) -> None:
        """Nothing wants it any more."""
        self.given_up = True
        self.scope.cancel()

    def heard(self) -> None:
        """Something has come."""
        for called in self.waiting:
            called()

    @property
    def offset(self) -> int:
        """Of the byte that comes next."""
        return self.at * BLOCK + self.come

    def add(self, chunk: Block) -> None:
        """What came next."""
        self.begun.append(chunk)
        self.come += len(chunk)

    def taken(self, length: int) -> Block:
        """The block that is being brought, of which so many bytes have come; the next one is begun."""
        first, rest, left = list[Block](), list[Block](), length
        for come in self.begun:
            chunk = memoryview(come)
            first += [chunk[:left]] if left else []
            rest += [chunk[left:]] if left < len(chunk) else []
            left = max(0, left - len(chunk))
        self.begun, self.come = rest, self.come - length
        self.at += 1
        return joined(first)

    def brings(self, block: int) -> bool:
        """Whether the block comes, sooner or later."""
        return not self.ended and self.at <= block < self.stop

    def has_come(self) -> None:
        """All of the block that is being brought; the next one is begun."""
        self.begun, self.come = [], 0
        self.at += 1


class Crossing:
    """Blocks of a fetch on their way from the thread that receives them to the event loop, with their checksums."""

    def __init__(self, fetch: Fetch, take: Callable[[Summed], None], more: Callable[[], bool]) -> None:
        """`take` is called in the event loop, `more` by the thread."""
        self._fetch, self._take, self._more = fetch, take, more
        self._loop = trio.lowlevel.current_trio_token()
        self._given = self._taken = 0

    def give(self, block: Block) -> bool:
        """In the thread; False where the event loop does not keep up, or more is not wanted."""
        self._given += 1
        self._loop.run_sync_soon(self._arrive, Summed(block, checksum(block)))
        return self._given - self._taken <= CROSSING and not self._fetch.given_up and self._more()

    def _arrive(self, one: Summed) -> None:
        self._taken += 1
        self._fetch.heard()
        if self._fetch.at < self._fetch.stop:  # else another fetch brings it
            self._take(one)


class Unwanted(Exception):
    """What a fetch would bring next is wanted by nothing, or comes otherwise."""


class OtherSize(Stale):
    """A body whose size the server did not say turns out to have another one than the listing says."""


class UpToStop:
    """The bytes of a part up to where its fetch shall stop, of a body of that size."""

    size = None

    def __init__(self, part: Part, fetch: Fetch, size: int) -> None:
        self._part, self._fetch, self._size = part, fetch, size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        offset, chunks = self._fetch.offset, aiter(self._part)
        async for chunk in chunks:
            self._fetch.heard()
            offset = self._fetch.offset  # more may have come, as blocks
            left = max(0, min(self._fetch.stop * BLOCK, self._size) - offset)
            offset += len(chunk)
            if offset >= self._size and self._part.size is None:
                await self._check_end(offset, chunks)
            yield chunk[:left] if len(chunk) > left else chunk
            if len(chunk) >= left:
                return
        # The end of a connection may come early; that of a body that is marked is its own.
        if self._part.size is None and not self._part.close_delimited:
            raise OtherSize(f"a file has {offset} bytes, its listing says {self._size}: open it again")

    async def _check_end(self, offset: int, chunks: AsyncIterator[bytes]) -> None:
        if offset == self._size:
            async for chunk in chunks:
                offset += len(chunk)
                break
        if offset > self._size:
            raise OtherSize(f"a file has more than the {self._size} bytes that its listing says: open it again")


class Slots:
    """Places for parts that arrive at once. One that only waits for its reader gives its place up to the next."""

    def __init__(self, count: int) -> None:
        self._free = trio.Semaphore(count)
        self._paused: list[trio.CancelScope] = []

    async def __aenter__(self) -> None:
        if not self._free.value and self._paused:
            self._paused.pop(0).cancel()
        await self._free.acquire()

    async def __aexit__(self, *_exception: object) -> None:
        self._free.release()

    @contextmanager
    def paused(self, seconds: float) -> Iterator[None]:
        """Runs the body, which waits, for so long at most, and only as long as nothing wants the place."""
        with trio.move_on_after(seconds) as scope:
            if self._free.statistics().tasks_waiting:
                scope.cancel()
            self._paused.append(scope)
            try:
                yield
            finally:
                if scope in self._paused:
                    self._paused.remove(scope)
