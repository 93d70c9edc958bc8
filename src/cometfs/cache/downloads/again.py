"""A stream that broke and was begun again from its front: what has come before is compared, and not taken twice.

Not here: what comes in parts, which goes on where it ended (parts.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from cometfs.cache.downloads.pump import ByteStream, ended
from cometfs.errors import Stale


class Again:
    """The bytes behind those that have come. Raises Stale where those are others now: a reader may have seen them."""

    def __init__(self, stream: ByteStream, come: int, part: Callable[[int, int], bytes]) -> None:
        """`come`: how many bytes have; `part` gives those from one place up to before another."""
        self.size = stream.size
        self._stream, self._come, self._part = stream, come, part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        offset = 0
        async with ended(aiter(self._stream)) as chunks:
            async for chunk in chunks:
                known = chunk[: max(0, self._come - offset)]
                if known and known != self._part(offset, offset + len(known)):
                    raise Stale("a file has changed at Comet while it was fetched: open it again")
                offset += len(chunk)
                if len(chunk) > len(known):
                    yield chunk[len(known) :]
