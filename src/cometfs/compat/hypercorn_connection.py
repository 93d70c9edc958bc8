"""A connection that speaks HTTP/1.1 by hypercorn's `H11Protocol`, with bounds on how long its client may take.

hypercorn's `TCPServer` for trio sends and closes without a way out, keeps a client that falls silent within a request
for ever, and takes up HTTP/2 on a client's word; its `TaskGroup` waits for ever for an application that has answered
to take the rest of a body. `_handle`, `_nursery`, `_check_protocol` and the members of `H11Protocol` that are read here
are private. No upstream issue is known. Can go when hypercorn closes its streams forcefully and times requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, ConnectionState, Scope
from hypercorn.utils import parse_socket_addr

RECEIVED_AT_ONCE = 1 << 16

SENT_AT_ONCE = 1 << 18
"""Bytes for which a client has `Limits.send`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a client is waited for. Time in which the server itself is busy does not count."""

    idle: float
    """For the next request."""
    head: float
    """For the rest of a request's head."""
    body: float
    """For more of a body; what comes adds to it, up to this, a second for each `rate` bytes."""
    rate: float
    send: float
    """For an answer to be taken, piece by piece."""
    linger: float
    """For what a client still sends behind an answer that came before its end: at most so long, and `most` bytes. A
    client that finds its connection reset does not read the answer."""
    most: int


class Connection:
    """One client. `on_idle` is called with whether it is between two requests, whenever that changes."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        limits: Limits,
        stream: trio.SocketStream,
        on_idle: Callable[[Connection, bool], None],
    ) -> None:
        self._app, self._config, self._limits, self._stream, self._on_idle = app, config, limits, stream, on_idle
        self._sending = trio.Lock()
        self._waiting = trio.CancelScope()
        self._patience = limits.head
        self._ended, self._lingers_until = False, 0.0

    async def run(self) -> None:
        """Serve it until it goes away, or is given up. Its socket is closed then."""
        try:
            sock = self._stream.socket
            client, server = parse_socket_addr(sock.family, sock.getpeername()), sock.getsockname()
            async with _Requests() as requests:
                self._protocol = _Http1(
                    self._app,
                    self._config,
                    WorkerContext(None),
                    requests,
                    ConnectionState({}),
                    False,
                    client,
                    parse_socket_addr(sock.family, server),
                    self._send,
                )
                await self._read()
        except OSError:
            pass  # it is gone already
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)

    def give_up(self) -> None:
        """End it, as if its client had gone away."""
        self._ended = True
        self._waiting.cancel()

    async def _read(self) -> None:
        left = self._limits.most
        while left > 0:
            chunk = await self._received()
            if chunk is None:
                break
            if self._ended:
                left -= len(chunk)
            else:
                await self._protocol.handle(RawData(chunk))
            if not chunk:
                break
        await self._protocol.handle(Closed())

    async def _received(self) -> bytes | None:
        """What comes next, nothing at the end; None when that takes too long."""
        begun, left = trio.current_time(), self._left()
        chunk = None
        with trio.move_on_after(left) as self._waiting, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            chunk = bytes(await self._stream.receive_some(RECEIVED_AT_ONCE))
        if chunk is None:
            return None
        left = max(0.0, left - (trio.current_time() - begun))  # less than nothing where this process was stopped
        if self._is_within_body():
            self._patience = min(self._limits.body, left + len(chunk) / self._limits.rate)
        elif self._is_within_head():
            self._patience = left
        return chunk

    def _left(self) -> float:
        if self._ended:
            return max(0.0, self._lingers_until - trio.current_time())
        if self._is_within_body() or self._is_within_head():
            return self._patience
        return self._limits.idle if self._protocol.connection.their_state is h11.IDLE else inf

    def _is_within_body(self) -> bool:
        return self._protocol.connection.their_state is h11.SEND_BODY

    def _is_within_head(self) -> bool:
        connection = self._protocol.connection
        return connection.their_state is h11.IDLE and bool(connection.trailing_data[0])

    # -- what the protocol calls ---------------------------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._send_bytes(event.data)
        elif isinstance(event, Closed):
            await self._end()
        elif isinstance(event, Updated):
            self._patience = self._limits.head if event.idle else self._limits.body
            if event.idle:
                self._waiting.deadline = trio.current_time() + self._limits.idle
            self._on_idle(self, event.idle)

    async def _send_bytes(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            async with self._sending:
                for start in range(0, len(view), SENT_AT_ONCE):
                    with trio.fail_after(self._limits.send):
                        await self._stream.send_all(view[start : start + SENT_AT_ONCE])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._protocol.handle(Closed())
        except trio.TooSlowError:
            await trio.aclose_forcefully(self._stream)
            await self._protocol.handle(Closed())

    async def _end(self) -> None:
        """No more is answered; what the client still sends is read for nothing."""
        if self._ended:
            return
        self._ended = True
        self._lingers_until = trio.current_time() + self._limits.linger
        if not self._sending.locked():
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                async with self._sending:
                    await self._stream.send_eof()
        await self._protocol.handle(Closed())
        self._waiting.deadline = self._lingers_until


class _Requests(TaskGroup):
    """Runs the application for each request."""

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: Callable[[ASGISendEvent | None], Awaitable[None]]
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        incoming = _Incoming(config.max_app_queue_size)
        run = (trio.to_thread.run_sync, trio.from_thread.run)
        assert self._nursery is not None
        self._nursery.start_soon(_handle, app, config, scope, incoming.receive, send, *run)
        return incoming.put


class _Incoming:
    """What has come of a request and was not taken yet: `most` messages, and the end of the connection, which always
    has room and makes room: nothing waits any more for an application that may have answered long ago.
    """

    def __init__(self, most: int) -> None:
        self._waiting: deque[ASGIReceiveEvent] = deque()
        self._most = most
        self._end: ASGIReceiveEvent | None = None
        self._changed = trio.Event()

    async def put(self, message: ASGIReceiveEvent) -> None:
        if message["type"] == "http.disconnect":
            self._end = message
        while self._end is None and len(self._waiting) >= self._most:
            await self._changed.wait()
        if self._end is None:
            self._waiting.append(message)
        self._note_change()

    async def receive(self) -> ASGIReceiveEvent:
        await trio.lowlevel.checkpoint()
        while not self._waiting and self._end is None:
            await self._changed.wait()
        message = self._waiting.popleft() if self._waiting else self._end
        assert message is not None
        self._note_change()
        return message

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _Http1(H11Protocol):
    """Does not change to another protocol, and announces the end of a connection on which the rest of a request may
    still come: no client is to send the next one there."""

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and event.status_code >= 200 and self.connection.their_state is not h11.DONE:
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        pass
