"""A body on its way from Comet or its storage: counted, and given up where it stalls.

Not here: asking for it (`downloads`), and whether it is what a listing says (vfs/answers/validation.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import trio

from cometfs.comet.downloads.spans import Placed
from cometfs.comet.http.encodings import is_encoded
from cometfs.comet.http.retries import Transient
from cometfs.comet.http.transport import Reply
from cometfs.comet.question import Question
from cometfs.errors import CometFSError, DeadlineExceeded, Unintelligible, Unreachable
from cometfs.host.buffers import ROOM, Block, Give
from cometfs.text.numbers import whole_of

STALL = 30.0
"""Seconds without a byte after which a download counts as broken, where the deadline of calls is not less."""


SLOWEST = 256
"""Bytes a second that must come, seen over the time without a byte that is too long, while they are waited for: else a
drip would keep all others that want the body from one that comes."""


class AssetStream:
    """A body that arrives, from `API.stream_asset`: `async for` gives its bytes, and ends where the body ends.

    One that ends early raises Unreachable, one that stalls or drips DeadlineExceeded, and so does every later read.
    """

    size: int | None
    """Bytes of the whole; None if the server does not say."""
    close_delimited: bool
    """Whether only the end of the connection marks that of the body, so that a cut one looks like a whole one."""
    is_html: bool
    """Whether the server calls it HTML."""
    encoded_size: int | None
    """Bytes that the server announced of a body in a Content-Encoding; None of all others. It is decoded, unless it is
    the compressed file itself: see `keep_encoded`."""

    def __init__(self, question: Question, reply: Reply, patience: float, stall: float) -> None:
        length, self.is_encoded = whole_of(reply.headers.get("content-length", "")), is_encoded(reply.headers)
        self.size, self.encoded_size = (None, length) if self.is_encoded else (length, None)
        self.close_delimited = reply.close_delimited
        self.is_html = _media_type(reply) in ("text/html", "application/xhtml+xml")
        self._question, self._reply, self._patience, self._stall = question, reply, patience, stall
        self._arrived = 0
        self._waited_s, self._came = 0.0, 0
        """How long bytes were waited for since the rate was looked at, and how many came."""
        self._error: CometFSError | None = None

    def keep_encoded(self, size: int | None) -> None:
        """Gives the body as it is on the wire, where it has so many bytes; for before its first byte."""
        self._reply.keep_encoded()
        self.size = size

    async def blocks(self, begun: Sequence[Block], count: int, give: Give) -> int:
        """Up to `count` blocks of a MiB, each for `give` in a thread, as long as they come fast; how many bytes came
        so. `begun` is what has come of the first one."""
        if self._error is not None or self.size is None:
            return 0
        left = self.size - self._arrived + sum(map(len, begun))
        come = await self._reply.blocks(begun, min(count, left // ROOM), give)
        self._arrived += come
        if come:
            self._patience, self._waited_s, self._came = self._stall, 0.0, 0
        return come

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._error is not None:
            raise self._error
        try:
            chunk = await self._next()
        except CometFSError as exc:
            self._error = exc
            raise
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _next(self) -> bytes | None:
        chunk = await self._waited()
        self._patience = self._stall
        self._arrived += len(chunk or b"")
        if chunk is not None:
            self._check_rate(len(chunk))
        if self.size is not None and (self._arrived > self.size or (chunk is None and self._arrived < self.size)):
            raise Transient(f"{self._arrived} bytes instead of {self.size} arrived from {self._question}")
        return chunk

    async def _waited(self) -> bytes | None:
        began = trio.current_time()
        with trio.move_on_after(self._patience):
            try:
                chunk = await self._reply.chunk()
                self._waited_s += trio.current_time() - began
                return chunk
            except Unreachable as exc:
                raise Transient(f"{exc}, after {self._arrived} bytes of {self._question}") from exc
            except Unintelligible as exc:
                raise Unintelligible(f"{exc} (asked {self._question})") from exc
        raise DeadlineExceeded(f"No byte arrived for {self._patience:.0f} s from {self._question}")

    def _check_rate(self, came: int) -> None:
        """Raises DeadlineExceeded for a drip."""
        self._came += came
        if self._waited_s < self._stall:
            return
        if self._came < SLOWEST * self._waited_s:
            rate = f"{self._came:,} bytes in {self._waited_s:.0f} s"
            raise DeadlineExceeded(f"Only {rate} arrived from {self._question}")
        self._waited_s, self._came = 0.0, 0


class AssetPart:
    """A part of a body that arrives, from `API.asset_parts`: `async for` gives its bytes, which begin at `start`.

    It ends as an `AssetStream` does.
    """

    start: int
    """0 although another was asked for, where the server gives wholes only."""
    size: int | None
    """Bytes of the part; None where only its end shows that."""
    total: int | None
    """Bytes of the whole body; None where the server does not say."""
    etag: str
    """Names the version; empty where the server does not say."""
    bounded: bool
    """Whether it ends where it was asked to, and asking for more costs no call."""
    close_delimited: bool
    """Whether only the end of the connection marks its own, so that a cut one looks like a whole one."""
    is_html: bool
    """Whether the server calls it HTML."""
    is_encoded: bool
    """Whether it is in a Content-Encoding: its bytes are given as they are on the wire."""

    def __init__(self, stream: AssetStream, at: Placed, etag: str, *, bounded: bool) -> None:
        self.start, self.size, self.total = at
        self.etag, self.bounded = etag, bounded
        self.close_delimited, self.is_html = stream.close_delimited, stream.is_html
        self.is_encoded = stream.is_encoded
        self._stream = stream
        # Spans are of what is on the wire: a part from the middle of a compressed body cannot be decoded.
        stream.keep_encoded(at.size)

        self.blocks = stream.blocks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream


def _media_type(reply: Reply) -> str:
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower()
