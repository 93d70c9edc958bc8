"""Bodies on their way: what they come from, and how they are taken in.

Not here: where they go (disk.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

CHUNK = 1 << 20
"""Bytes gathered before one write: a trip to a thread costs 0.1 ms, which 1 MiB hides."""


class Stream(Protocol):
    """A body on its way: its size in bytes where the sender told it, then the bytes."""

    @property
    def size(self) -> int | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


Begin = Callable[[], AbstractAsyncContextManager[Stream]]


async def pour(stream: Stream, append: Callable[[bytes], Awaitable[None]]) -> None:
    """All that comes, in pieces worth a write; the first bytes at once, for a reader who wants only them."""
    gathered = bytearray()
    first = True
    async with _ended(aiter(stream)) as chunks:
        async for chunk in chunks:
            gathered += chunk
            if len(gathered) >= CHUNK or first:
                await append(bytes(gathered))
                gathered.clear()
                first = False
    if gathered:
        await append(bytes(gathered))


@asynccontextmanager
async def _ended(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """A generator that is left early must be told so: where there is no room for what it brings, for one."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
