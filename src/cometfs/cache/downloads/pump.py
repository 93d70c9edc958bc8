"""Bodies on their way: what they come from, and how they are taken in.

Not here: where they go (downloads.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio

CHUNK = 1 << 20
"""Bytes gathered before one write: a trip to a thread costs 0.1 ms, which 1 MiB hides."""

AHEAD = 2
"""Pieces that may wait for their write while the next one is gathered: with what is written, some 4 MiB of memory."""

Piece = Sequence[bytes]
"""What came one after the other, as it came: to join it would be to copy it."""

Append = Callable[[Piece], Awaitable[None]]


class ByteStream(Protocol):
    """A body on its way: its size in bytes where the sender announced it, then the bytes."""

    @property
    def size(self) -> int | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


Begin = Callable[[], AbstractAsyncContextManager[ByteStream]]


async def pour(stream: ByteStream, append: Append) -> None:
    """All that comes, in pieces worth a write; what comes next is read meanwhile. Raises what either side raises."""
    pieces, coming = trio.open_memory_channel[Piece](AHEAD)
    broken: list[Exception] = []
    async with trio.open_nursery() as both, pieces:
        both.start_soon(_write, coming, append, broken, both.cancel_scope)
        try:
            await _gather(stream, pieces.send)
        except Exception as error:  # what has come is written all the same
            broken.append(error)
    if broken:
        raise broken[0]


async def _write(
    coming: trio.MemoryReceiveChannel[Piece], append: Append, broken: list[Exception], both: trio.CancelScope
) -> None:
    try:
        async for piece in coming:
            await append(piece)
    except Exception as error:
        broken.append(error)
        both.cancel()


async def _gather(stream: ByteStream, send: Append) -> None:
    """The first bytes at once, for a reader that wants only them."""
    wanted = 1
    gathered: list[bytes] = []
    size = 0
    async with ended(aiter(stream)) as chunks:
        async for chunk in chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= wanted:
                await send(gathered)
                gathered, size, wanted = [], 0, CHUNK
    if gathered:
        await send(gathered)


@asynccontextmanager
async def ended(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """A generator that is left early must be closed: where what it brings does not fit on the disk, for one."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
