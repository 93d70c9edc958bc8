"""Bodies are validated against their listing: no login page, empty or cut body is passed on.

A listing may be stale, and Comet's own client says so: a body of another size is shown where its end is certain. Not
here: whether what was announced has arrived (comet/calls.py), and what is done about a stale listing (resolver.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from cometfs.cache.downloads.fetch import AskPart, Part
from cometfs.cache.downloads.parts import NotInParts
from cometfs.cache.downloads.pump import ByteStream
from cometfs.comet.http.sniffing import LOOK, is_page, is_refusal
from cometfs.errors import AnswerTooLarge, CometFSError, Unintelligible, Unreachable
from cometfs.vfs.schema.declaration import Context, Stream

HTML_NAMES = frozenset({".htm", ".html", ".shtml", ".xht", ".xhtml"})

HTML_TYPES = frozenset({"dataframe-profile", "metaflow-card"})
"""Types of assets that comet_ml logs as HTML."""


MORE = 64 << 20
"""Bytes that a body may have more than its listing says, where nothing says how many: one without an end would fill the
disk."""

UNLISTED = 1 << 30
"""Bytes that it may have where its listing does not say either."""


class SentBody(ByteStream, Protocol):
    """A body on its way, and how it is sent: see `AssetStream`."""

    @property
    def close_delimited(self) -> bool: ...

    @property
    def is_html(self) -> bool: ...

    @property
    def encoded_size(self) -> int | None: ...

    def keep_encoded(self, size: int | None) -> None: ...


class Expected(NamedTuple):
    """What a listing says of a body."""

    what: str
    """For sentences."""
    size: int | None
    may_be_html: bool = False
    may_be_json: bool = False

    @property
    def most(self) -> int:
        """Bytes of a body that does not say how many it has, at most."""
        return UNLISTED if self.size is None else self.size + MORE

    @classmethod
    def of(cls, stream: Stream, at: Context) -> Expected:
        row = stream.row(at)
        suffix = PurePosixPath(row.get("fileName") or "").suffix.lower()
        may_be_html = suffix in HTML_NAMES or row.get("type") in HTML_TYPES
        return cls(stream_name(stream, at), stream.size(at), may_be_html, suffix == ".json")


def stream_name(stream: Stream, at: Context) -> str:
    """How a body is called in a sentence."""
    row = stream.row(at)
    return f"asset {row.get('fileName') or row.get('assetId')!r} of {at.key[0] or at.workspace!r}"


class Came(NamedTuple):
    """What came, as far as it matters."""

    size: int
    beginning: bytes = b""
    close_delimited: bool = False
    is_html: bool = False


def flaw(expected: Expected, came: Came) -> CometFSError | None:
    """Why `came` cannot be what was expected; None where it can."""
    if came.size == expected.size:
        return None
    if not expected.may_be_html and (came.is_html or is_page(came.beginning)):
        return Unintelligible(f"An HTML page came instead of {expected.what}: a login page, or a proxy's?")
    if not expected.may_be_json and is_refusal(came.beginning):
        return Unintelligible(f"An error of Comet's came with status 200 instead of {expected.what}")
    if expected.size is None:
        return None
    listed = f"whose listing says {expected.size:,} bytes"
    if not came.size:
        return Unintelligible(f"No byte came of {expected.what}, {listed}")
    if came.close_delimited:
        return Unreachable(f"The connection ended after {came.size:,} bytes of {expected.what}, {listed}")
    return None


@asynccontextmanager
async def validated(
    begun: AbstractAsyncContextManager[SentBody], expected: Expected, differs: Callable[[int], Awaitable[None]]
) -> AsyncIterator[ByteStream]:
    """A body that is what was expected, or an error: before its first byte where its size is announced, else at its
    end. `differs` gets the size of one that is whole, and another than the listed one."""
    async with begun as stream:
        if expected.size is not None and stream.encoded_size == expected.size:
            # A storage that calls a .csv.gz compressed sends the file itself, not the file compressed once more.
            stream.keep_encoded(expected.size)
        checked = _Checked(stream, expected)
        await checked.look()
        if expected.size is not None and stream.size not in (None, expected.size):
            await differs(stream.size)
        yield checked
        if expected.size is not None and stream.size is None and checked.arrived != expected.size:
            await differs(checked.arrived)


def parts_validated(ask: AskPart, expected: Expected) -> AskPart:
    """Asks for parts that are what was expected: an answer that has another size, or says none, is looked at."""

    @asynccontextmanager
    async def asked(start: int, stop: int, etag: str) -> AsyncIterator[Part]:
        async with ask(start, stop, etag) as part:
            if part.total == expected.size:
                yield part
                return
            looked = _LookedAt(part)
            await looked.look()
            came = Came(part.total or 1, looked.beginning, is_html=part.is_html)
            if part.start == 0 and (error := flaw(expected, came)) is not None:
                raise error
            if part.is_encoded:
                raise NotInParts
            yield looked

    return asked


class _LookedAt:
    """A part whose beginning was looked at."""

    def __init__(self, part: Part) -> None:
        self.start, self.size, self.total = part.start, part.size, part.total
        self.etag, self.bounded = part.etag, part.bounded
        self.close_delimited, self.is_html, self.is_encoded = part.close_delimited, part.is_html, part.is_encoded
        self.beginning = b""
        self._chunks = aiter(part)
        self.blocks = part.blocks

    async def look(self) -> None:
        """Takes the beginning."""
        while len(self.beginning) < LOOK and (chunk := await anext(self._chunks, None)) is not None:
            self.beginning += chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.beginning:
            yield self.beginning
        async for chunk in self._chunks:
            yield chunk


class _Checked:
    """A body as it comes. What was looked at already is in `_held`."""

    def __init__(self, stream: SentBody, expected: Expected) -> None:
        self.size = stream.size
        self.arrived = 0
        self._stream, self._expected = stream, expected
        self._chunks = aiter(stream)
        self._held: list[bytes] = []
        self._beginning = b""

    async def look(self) -> None:
        """Raises what is wrong with a body that announces another size than the listed one."""
        if self.size in (None, self._expected.size):
            return
        while len(self._beginning) < LOOK and (chunk := await self._next()) is not None:
            self._held.append(chunk)
        self._check(self.size)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            return self._held.pop(0)
        chunk = await self._next()
        if chunk is None:
            self._check(self.arrived)
            raise StopAsyncIteration
        return chunk

    async def _next(self) -> bytes | None:
        chunk = await anext(self._chunks, None)
        if chunk is not None:
            self.arrived += len(chunk)
            if self.size is None and self.arrived > self._expected.most:
                raise AnswerTooLarge(f"{self._expected.what} has no end after {self._expected.most:,} bytes")
            if len(self._beginning) < LOOK:
                self._beginning += chunk[:LOOK]
        return chunk

    def _check(self, size: int) -> None:
        came = Came(size, self._beginning, self._stream.close_delimited, self._stream.is_html)
        if (error := flaw(self._expected, came)) is not None:
            raise error
