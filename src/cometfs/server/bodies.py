"""Whole bodies of requests, which may be compressed, up to a size that memory has for each of many and for all.

Not here: bodies that stream to the disk (`write_api.multipart`); how slowly a body may come (`http.listener`).
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import trio
from starlette.requests import Request

from cometfs.server.errors import ApiError
from cometfs.text.numbers import whole_of

LONGEST_BODY = 32 << 20
"""Bytes of a body, unpacked. comet_ml sends at most some thousand values, or lines of 5,000,000 characters, at once."""

LONGEST_QUESTION = 256 << 20
"""The same of a question, or of the store of panels, which comes as a whole."""

LONGEST_OF_GET = 64 << 10
"""The same of a GET, which has a body in no client; some libraries send ``{}``."""

MOST_TOGETHER = 512 << 20
"""Bytes of the bodies of all requests that are received or answered at one time."""

UNPACKING = trio.CapacityLimiter(4)
"""Threads that unpack: each makes a body that is counted when it is whole."""


class BodyMemory:
    """Counts the bytes of all bodies that are in memory. Used on the event loop only."""

    def __init__(self, most: int = MOST_TOGETHER) -> None:
        self.most, self.taken = most, 0

    def take(self, size: int) -> None:
        """Raises ApiError where that many more are too many: the client may come again."""
        if self.taken + size > self.most:
            raise ApiError(503, "too many large requests at one time: send this one again")
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


MEMORY = BodyMemory()


@asynccontextmanager
async def whole_body(http: Request, longest: int = LONGEST_BODY) -> AsyncGenerator[bytes]:
    """The body, unpacked, for as long as it is needed. Raises ApiError when it is too large, or not what its header
    announces; one that is announced to be too large is refused before it comes.
    """
    if http.method == "GET":
        longest = LONGEST_OF_GET
    _check(whole_of(http.headers.get("content-length", "")) or 0, longest)
    encoding = http.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise ApiError(415, f"no content encoding but gzip is understood, not {encoding[:60]!r}")
    body = bytearray()
    held = 0
    try:
        async with aclosing(http.stream()) as chunks:
            async for chunk in chunks:
                _check(len(body) + len(chunk), longest)
                MEMORY.take(len(chunk))
                held += len(chunk)
                body += chunk
        whole = bytes(body)
        if encoding == "gzip":
            whole = await trio.to_thread.run_sync(_unpacked, whole, longest, limiter=UNPACKING)
            MEMORY.take(len(whole))
            held += len(whole)
        del body
        yield whole
    finally:
        MEMORY.give_back(held)


def _unpacked(body: bytes, longest: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        made = unpacker.decompress(body, longest + 1)
    except zlib.error as exc:
        raise ApiError(400, f"the body is no gzip: {exc}") from exc
    _check(len(made), longest)
    if not unpacker.eof:
        raise ApiError(400, "the body is no gzip: it is cut short")
    if unpacker.unused_data:
        raise ApiError(400, "the body is no gzip: there is more behind its end")
    return made


def _check(size: int, longest: int) -> None:
    if size > longest:
        raise ApiError(413, f"a body may have {longest} bytes, and this one has more")
