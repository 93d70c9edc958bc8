"""HTTP: one request out, one reply in. Nothing of httpx leaves it.

Not here: connections (`lanes`), what is worth another try, deadlines and redirects (`calls`); what a status means
(`question`).
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import trio

from cometfs._version import __version__
from cometfs.comet.http import trust
from cometfs.comet.http.breaker import Breaker
from cometfs.comet.http.causes import innermost, reason
from cometfs.comet.http.encodings import BrokenEncoding, Decoder, Plain, decoder, is_encoded
from cometfs.comet.http.lanes import CLOSING, PROBING, Lanes, Maker, beneath
from cometfs.comet.http.retries import NoDescriptor, Transient
from cometfs.comet.network import Network
from cometfs.compat.httpcore_read import Straight, read_out, straight
from cometfs.compat.httpx_without_main import httpx
from cometfs.errors import AnswerTooLarge, CometFSError, Unintelligible, Unreachable, Untrusted, lacks_descriptor
from cometfs.host.buffers import Block, Give
from cometfs.telemetry.traffic import Request
from cometfs.text.numbers import whole_of

SHOWN = 20
"""Hosts that are shown: storages may be many."""

CONNECT = 10.0
"""Seconds for a connection, TLS included, to stand."""

STILL = 5.0
"""Seconds without a byte after which a body does not arrive any more, where its host does not answer."""

# httpcore writes headers into its debug log, the API key and presigned links among them.
logging.getLogger("httpcore").setLevel(logging.INFO)

OURS: Mapping[type[Exception], type[CometFSError]] = {
    httpx.HTTPError: Transient,
    httpx.DecodingError: Unintelligible,
    httpx.TooManyRedirects: Unintelligible,
    httpx.UnsupportedProtocol: Unintelligible,
    httpx.LocalProtocolError: Unreachable,
    httpx.HTTPStatusError: Unreachable,
    httpx.InvalidURL: Unintelligible,
    httpx.CookieConflict: Unintelligible,
    httpx.StreamError: Unreachable,
    OSError: Transient,
}
"""What an exception of httpx, or of the system beneath it, is to us; looked up along its bases."""


def ours(exc: Exception, host: str) -> CometFSError:
    """`exc` as one of our errors. Its text is not used: it may quote headers, and so the key."""
    cause = innermost(exc)
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"({cause.verify_message}){trust.remedy(cause.verify_code)}"
        return Untrusted(f"The certificate of {host} is not trusted {why}")
    if lacks_descriptor(cause):
        return NoDescriptor(f"No connection to {host}: cometfs has too many files open (ulimit -n)")
    kind = next(OURS[base] for base in type(exc).__mro__ if base in OURS)
    return kind(f"{_trouble(exc, cause)} {host}")


def _trouble(exc: Exception, cause: BaseException) -> str:
    if isinstance(cause, socket.gaierror):
        return "No address is known for the host name"
    if isinstance(exc, httpx.TimeoutException):
        return f"No connection within {CONNECT:g} s to"
    if isinstance(exc, httpx.DecodingError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "An unreadable answer from"
    what = "No connection" if isinstance(exc, httpx.ConnectError | httpx.ProxyError) else "The connection broke"
    return f"{what} ({reason(cause)}) to" if reason(cause) else f"{what} to"


@contextmanager
def _translating(host: str) -> Iterator[None]:
    """Exceptions of httpx leave the body as ours: no other module knows them."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError, OSError) as exc:
        raise ours(exc, host) from exc


def is_close_delimited(headers: Mapping[str, str], extensions: Mapping[str, Any]) -> bool:
    """Whether a body ends where the connection does, so that one that was cut looks like a whole one (RFC 9112, 6.3).

    What is compressed has an end of its own, which its decoder checks. HTTP/2 marks the end of a stream.
    """
    framed = "content-length" in headers or "transfer-encoding" in headers or is_encoded(headers)
    return not framed and extensions.get("http_version", b"").startswith(b"HTTP/1")


class Reply:
    """Status and headers of an answer, and its body on the way. Its owner closes it.

    `close_delimited` is True where nothing but the end of the connection shows that the body has ended.
    `_ended` is True as soon as there is nothing more to be had: at the end, and after an error. `_inside` is True while
    the generators of httpcore wait in the middle of the body.
    """

    def __init__(self, response: httpx.Response, breaker: Breaker) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.close_delimited = is_close_delimited(self.headers, response.extensions)
        self._response, self._host, self._breaker = response, breaker.host, breaker
        self._parts = aiter(response.stream)
        self._beneath = beneath(response.stream)
        self._straight = straight(self.headers, response.extensions)
        self._decoder: Decoder | None = None
        self._ended = self._inside = False
        self.request: Request | None = None
        """Counts its bytes, and is ended with it."""

    async def read(self, most: int, large: int = 0, room: Callable[[], Awaitable[None]] | None = None) -> bytes:
        """The whole body. Raises AnswerTooLarge for more than `most` bytes, as soon as that is known.

        `room`, which may wait, is called where there are more than `large`.
        """
        announced = 0 if is_encoded(self.headers) else whole_of(self.headers.get("content-length", "")) or 0
        found = bytearray()  # parts that are joined in the end take twice as much
        if announced <= most and room is not None:
            await self._fill(found, large + 1)
            if len(found) > large:
                await room()
        if announced <= most:
            await self._fill(found, most + 1)
        if max(announced, len(found)) > most:
            raise AnswerTooLarge(f"The answer of {self._host} has more than {most:,} bytes")
        return cast(bytes, found)

    async def _fill(self, found: bytearray, enough: int) -> None:
        """Adds the next parts of the body, until there are so many bytes."""
        while len(found) < enough and (chunk := await self.chunk()) is not None:
            found += chunk

    async def head(self, most: int) -> bytes:
        """The first bytes of the body, all of it if it has no more."""
        found = bytearray()
        await self._fill(found, most)
        return bytes(found[:most])

    async def chunk(self) -> bytes | None:
        """The next bytes, decoded, never none; None at the end."""
        while (part := await self._pending_or_part()) is not None:
            if found := self._decoded(part):
                return found
        self._decoded(None)
        return None

    def keep_encoded(self) -> None:
        """The body is given as it is on the wire; for before its first byte."""
        self._decoder = Plain()

    async def blocks(self, begun: Sequence[Block], count: int, give: Give) -> int:
        """Up to `count` blocks of the body as it is on the wire, each for `give` in a thread; how many bytes came so.

        `begun` is what has come of the first one. The rest comes as chunks; all of it where it is no long body.
        """
        if self._straight is None or self._ended or not self._inside or not isinstance(self._decoder, Plain):
            return 0
        come = await self._straight.blocks(begun, count, give)
        if self.request:
            self.request.came(come)
        return come

    async def _pending_or_part(self) -> bytes | None:
        """No bytes where those that have come hold more; then others get their turn, as there may be a thousand times
        as much in them."""
        if self._decoder is None or not self._decoder.pending:
            return await self._part()
        await trio.lowlevel.checkpoint()
        return b""

    async def _part(self) -> bytes | None:
        """The next bytes as they come over the wire; None at the end and after an error."""
        if self._ended:
            return None
        try:
            with self._breaker.waiting(STILL), _translating(self._host):
                part = await (self._onward(self._straight) if self._straight and self._inside else self._generated())
        except BaseException:
            self._ended = True
            raise
        self._ended = part is None
        self._breaker.came()
        if part and self.request:
            self.request.came(len(part))
        return part

    async def _generated(self) -> bytes | None:
        self._inside = False
        part = await anext(self._parts, None)
        self._inside = part is not None
        if self._straight is not None:
            self._straight.left -= len(part or b"")
        return part

    async def _onward(self, rest: Straight) -> bytes | None:
        try:
            chunk = await rest.read()
        except Exception as exc:  # one of httpcore's, which are httpx's by other names
            raise httpx.ReadError("the connection broke") from exc
        if rest.left and not chunk:
            raise httpx.RemoteProtocolError("the connection ended")
        return chunk or None

    def _decoded(self, part: bytes | None) -> bytes:
        try:
            self._decoder = self._decoder or decoder(self.headers.get("content-encoding", ""))
            if part is not None:
                return self._decoder.feed(part)
            self._decoder.finish()
            return b""
        except BrokenEncoding as exc:
            raise Unintelligible(f"The answer of {self._host} cannot be read: {exc}") from exc

    async def aclose(self) -> None:
        """Give the connection back, or drop it when the body has not been read to its end."""
        if self.request:
            self.request.end()
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSING), _translating(self._host):
            try:
                if self._straight is not None:
                    self._straight.close()
                if self._inside:
                    await (self._generated() if self._is_read_out() else self._unwind())
            finally:
                await self._response.aclose()

    def _is_read_out(self) -> bool:
        return self._straight is not None and not self._straight.left and read_out(self._beneath)

    async def _unwind(self) -> None:
        """End the generators beneath, each of which waits in the middle of its body.

        A read that is cancelled before it begins raises through all of them. Left alone they would be found by the
        garbage collector, one by one, which trio warns about.
        """
        with trio.CancelScope() as scope, suppress(httpx.HTTPError):  # of a connection that is known to be broken
            scope.cancel()
            while await self._generated() is not None:
                pass


class Transport:
    """Sends requests, each over a connection of its own while it lasts. Raises only our errors."""

    def __init__(self, wire: httpx.AsyncBaseTransport | None = None, network: Network | None = None) -> None:
        self._wire = wire or Lanes(lane=Maker(network or Network()))
        self._nursery: trio.Nursery | None = None
        self._breakers: dict[str, Breaker] = {}
        """By scheme, host and port."""

    def breaker(self, url: str, headers: Mapping[str, str] | None = None) -> Breaker:
        """That of the host of `url`, which it probes: `headers` as in a call."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        origin = f"{parts.scheme}://{host}"
        if origin not in self._breakers:
            target = f"{origin}{parts.path if headers is not None else '/'}"
            self._breakers[origin] = Breaker(host, lambda: self._probe(target, host, headers or {}))
            self._breakers[origin].nursery = self._nursery
        return self._breakers[origin]

    @contextmanager
    def probing(self, nursery: trio.Nursery) -> Iterator[None]:
        """Hosts that do not answer are probed in `nursery` while the block lasts; else by calls that find it due."""
        self._probe_in(nursery)
        try:
            yield
        finally:
            self._probe_in(None)

    def _probe_in(self, nursery: trio.Nursery | None) -> None:
        self._nursery = nursery
        for breaker in self._breakers.values():
            breaker.nursery = nursery

    async def _probe(self, url: str, host: str, headers: Mapping[str, str]) -> None:
        """Returns when anything is answered, over a connection of its own, and without the key."""
        with _translating(host):
            request = _request("HEAD", url, headers=headers, extensions={PROBING: True})
            response = await self._wire.handle_async_request(request)
            await response.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """The reply to one request, as soon as its headers are there. Redirects are replies.

        Raises Unreachable while the host does not answer: without a request, or in the middle of one.
        """
        breaker = self.breaker(url)
        await breaker.admit()
        call, began = breaker.begin(), trio.current_time()
        try:
            with breaker.waiting(), _translating(breaker.host):
                request = _request(method, url, headers=headers, params=query or None, content=body)
                response = await self._wire.handle_async_request(request)
        except NoDescriptor:
            raise  # that says nothing of the host
        except Transient as error:
            breaker.failed(call, trio.current_time() - began, error)
            raise
        breaker.heard()
        return Reply(response, breaker)

    def answering(self) -> dict[str, bool]:
        """Which hosts were asked, and whether each is worth a call: some of them, those that are not before others."""
        ordered = sorted(self._breakers.items(), key=lambda found: found[1].outage is None)
        return {origin: breaker.outage is None for origin, breaker in ordered[:SHOWN]}

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()


def _request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None,
    extensions: Mapping[str, Any] = MappingProxyType({}),
    **rest: Any,
) -> httpx.Request:
    return httpx.Request(
        method,
        url,
        headers={"User-Agent": f"cometfs/{__version__}", "Accept": "*/*"} | dict(headers or {}),
        extensions={"timeout": httpx.Timeout(None, connect=CONNECT).as_dict(), **extensions},
        **rest,
    )
