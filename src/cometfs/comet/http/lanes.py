"""Connections: up to so many, each for one request at a time, kept for a while and distrusted when they are silent.

Not here: requests and replies (`transport`), hosts that do not answer on any connection (`breaker`).
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import trio

from cometfs.comet.http import trust
from cometfs.comet.http.proxies import proxy_for
from cometfs.comet.network import Network
from cometfs.compat.httpcore_leftover import has_leftover
from cometfs.compat.httpx_without_main import httpx
from cometfs.errors import SetupError

LANES = 48

KEEP = 30.0
"""Seconds that an unused connection is kept: less than servers keep theirs."""

ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP)

CLOSING = 1.0
"""Seconds that closing a connection may take, whatever the other side does."""

SILENCE = 10.0
"""Seconds that a connection that was used before may take for the first byte of an answer, while it is asked again over
a new one: what is between may have forgotten it, and then drops all that is sent."""

RESTED = 5.0
"""Seconds without use after which it has only so many."""

SMALL = 64 << 10
"""Bytes of a request that are sent in no time."""

SLOWEST = 60.0
"""Seconds for which a connection is trusted at most, of a server that is slow over new ones, too."""

_OPTIONS = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}
"""Seconds, but milliseconds for the last one: a peer that confirms nothing for so long is gone, also where an answer is
awaited. A slow server's system confirms at once."""

SOCKET_OPTIONS = tuple(
    (socket.SOL_SOCKET if name.startswith("SO") else socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in _OPTIONS.items()
    if hasattr(socket, name)
)

PROBING = "cometfs.probing"
"""Extension of a request that must not wait for a connection of others, nor use one."""


@dataclass(eq=False)
class Lane:
    """A connection to one origin, or the place for one: httpx's own pool, narrowed to a single connection.

    httpx's pool looks through all its connections and all waiting requests for each request and each reply, and so
    collapses above some eight requests at once; this way it has nothing to look through.
    """

    origin: str
    wire: httpx.AsyncBaseTransport
    used: float = -math.inf
    """When its last answer ended, by a clock that goes on while the machine sleeps."""


class Lanes(httpx.AsyncBaseTransport):
    """Up to `width` connections, the one used last being used first, so that few are kept warm.

    Between two awaits: every lane is either in `_idle` or carries exactly one request, which holds one of the slots;
    idle and busy ones together are at most `width`.
    """

    def __init__(self, width: int = LANES, lane: Callable[[str], Lane] | None = None) -> None:
        self._width = width
        self._free = trio.Semaphore(width)
        self._idle: list[Lane] = []
        self._new = lane or Maker(Network())
        self._trusted: dict[str, float] = {}
        """Seconds, by origin, where a new connection was as silent as the old one."""
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
        if request.extensions.get(PROBING):
            return await self._alone(request, self._new(origin))
        await self._free.acquire()
        try:
            lane, response = await self._answered(request, origin)
        except BaseException:
            self._free.release()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = LaneBody(response.stream, lambda: self._give_back(lane))
        return response

    async def _answered(self, request: httpx.Request, origin: str) -> tuple[Lane, httpx.Response]:
        """The answer, and the lane that it is on. What a used connection loses is asked again over a new one, and may
        arrive twice: all requests are to read, but for the store, which is written as a whole and read back."""
        lane = await self._take(origin)
        if lane.used == -math.inf:
            return lane, await _sent(lane, request)
        response = await self._distrusted(lane, request)
        if response is None:
            lane, began = await self._anew(origin), trio.current_time()
            response = await _sent(lane, request)
            self._trusted[origin] = min(SLOWEST, 2 * (trio.current_time() - began))
        return lane, response

    async def _distrusted(self, lane: Lane, request: httpx.Request) -> httpx.Response | None:
        """None where the connection broke, or was silent for long."""
        silence = RESTED if _now() - lane.used >= RESTED else SILENCE
        now = trio.current_time()
        left = (trio.current_effective_deadline() - now) / 2
        limit = max(min(silence, left), self._trusted.get(lane.origin, 0.0))
        if int(request.headers.get("Content-Length", 0)) > SMALL:
            limit = math.inf
        with trio.move_on_after(limit):
            try:
                return await _sent(lane, request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                pass
        return None

    async def _anew(self, origin: str) -> Lane:
        """A new lane. The idle ones are unused for longer than the one that failed."""
        gone = [lane for lane in self._idle if lane.origin == origin]
        self._idle = [lane for lane in self._idle if lane.origin != origin]
        for lane in gone:
            await _discard(lane)
        return self._new(origin)

    async def _alone(self, request: httpx.Request, lane: Lane) -> httpx.Response:
        """The head of an answer, over a connection that is not kept."""
        try:
            response = await lane.wire.handle_async_request(request)
            await response.aclose()
            return httpx.Response(response.status_code)
        finally:
            await _discard(lane)

    async def _take(self, origin: str) -> Lane:
        """An idle lane to `origin`, else a new one; in the place of the one unused for longest if there are many."""
        for index in reversed(range(len(self._idle))):
            if self._idle[index].origin == origin:
                found = self._idle.pop(index)
                if _now() - found.used < KEEP:
                    return found
                await _discard(found)
                return await self._anew(origin)
        lane = self._new(origin)
        if len(self._idle) + self._width - self._free.value > self._width:
            await _discard(self._idle.pop(0))
        return lane

    async def _give_back(self, lane: Lane) -> None:
        try:
            if self._closed or has_leftover(lane.wire):
                await _discard(lane)
            else:
                lane.used = _now()
                self._idle.append(lane)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await _discard(self._idle.pop())


class Maker:
    """Makes lanes. They share one TLS context: making one takes 26 ms, and only https needs it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._verify: ssl.SSLContext | None = None
        self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def __call__(self, origin: str) -> Lane:
        proxy = proxy_for(origin)
        try:
            encrypted = origin.startswith("https:") or (proxy or "").startswith("https:")
            verify = self._trusting() if encrypted else self._plain
            return Lane(
                origin, httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=ONE, socket_options=SOCKET_OPTIONS)
            )
        except (ImportError, ValueError, httpx.InvalidURL) as exc:
            raise SetupError("The proxy that the environment names cannot be used; see HTTPS_PROXY, ALL_PROXY") from exc

    def _trusting(self) -> ssl.SSLContext:
        if self._verify is None:
            self._verify = trust.context(self._network)
        return self._verify


class LaneBody(httpx.AsyncByteStream):
    """The body of a reply; its lane is busy until it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, give_back: Callable[[], Awaitable[None]]) -> None:
        self._body, self._give_back = body, give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._give_back()


async def _sent(lane: Lane, request: httpx.Request) -> httpx.Response:
    try:
        return await lane.wire.handle_async_request(request)
    except BaseException:
        # A connection that was cut off while it was being made can be left in a state that blocks its pool.
        await _discard(lane)
        raise


def _now() -> float:
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def beneath(stream: object) -> object:
    """The body of httpx's own response, of one that came by a lane."""
    return stream._body if isinstance(stream, LaneBody) else stream


async def _discard(lane: Lane) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(CLOSING):
        await lane.wire.aclose()
