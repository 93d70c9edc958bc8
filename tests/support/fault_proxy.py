"""A proxy that stands between a mount and a Comet, and does to single requests, or to all connections, what networks,
gateways and servers do when they fail. What it does can be changed while it runs; it counts what it sees.

It runs trio in a thread of its own. Not here: the faults (fault_kinds.py), what a mount should make of them
(fault_rows.py); a Comet that answers otherwise, but in good HTTP (faulty_comet.py).
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11
import trio

from tests.support.processes import PATIENCE
from tests.support.spawning import ANSWERING

PIECE = 1 << 16

REST = "/api/rest/v2/"

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError, ssl.SSLError, h11.RemoteProtocolError)
"""What a connection ends with from which the other side has gone."""


@dataclass(frozen=True)
class Request:
    """What was asked, and with what key."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes

    @property
    def endpoint(self) -> str:
        return urlsplit(self.target).path.removeprefix(REST)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    def head(self, *more: tuple[str, str]) -> bytes:
        """Status line and headers, as they go over the wire."""
        lines = [f"HTTP/1.1 {self.status} Injected", *(f"{name}: {value}" for name, value in (*self.headers, *more))]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def wire(self) -> bytes:
        """All of it, with its length."""
        return self.head(("Content-Length", str(len(self.body)))) + self.body


@dataclass
class Exchange:
    """One request on its connection, and the ways to answer it."""

    request: Request
    stream: trio.abc.Stream
    connection: trio.SocketStream
    """Beneath `stream`, where that is TLS."""
    behind: Callable[[], Awaitable[Answer]]
    """Asks the Comet."""
    elsewhere: str
    """The address of another host."""
    released: trio.Event
    """Set when the fault is over."""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def pass_on(self) -> None:
        await self.send((await self.behind()).wire())

    def reset(self) -> None:
        """The client finds its connection reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.socket.close()

    async def never(self) -> None:
        """Nothing, until the fault is over."""
        await self.released.wait()


Fault = Callable[[Exchange], Awaitable[bool | None]]
"""Answers a request in its way. True: the connection goes on; else it is closed."""

Which = Callable[[Request], bool]


@dataclass
class _Declared:
    which: Which
    fault: Fault
    met: int = 0
    """How many requests it has answered."""
    released: trio.Event = field(default_factory=trio.Event)


class FaultProxy:
    """What fails now, and what was seen. Its methods may be called by any thread.

    The thread of the proxy alone changes `_declared`, `_open` and `_listeners`.
    """

    def __init__(self, behind: str, tls: ssl.SSLContext | None = None) -> None:
        """`behind`: the address of the Comet; `tls`: how this side of it is encrypted, for connections from now on."""
        self.tls = tls
        self.elsewhere = ""
        """An address that answers can redirect to."""
        self.seen: list[Request] = []
        self.connections = 0
        """How many were ever made."""
        self._behind = urlsplit(behind)
        self._encrypted = tls is not None
        self._declared: dict[str, _Declared] = {}
        self._open: set[trio.CancelScope] = set()
        self._silent: set[trio.CancelScope] = set()
        self._token: trio.lowlevel.TrioToken | None = None
        self._place = ("127.0.0.1", 0)
        self._listening = trio.CancelScope()
        self._restart = trio.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._encrypted else 'http'}://127.0.0.1:{self._place[1]}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def declare(self, name: str, which: Which, fault: Fault) -> None:
        """From now on requests of that kind are answered by `fault`, until `name` is cleared."""
        self._run(lambda: self._declared.__setitem__(name, _Declared(which, fault)))

    def clear(self, name: str) -> int:
        """Returns how many requests the fault had met."""
        met: int = self._run(lambda: self._cleared(name))
        return met

    def met(self, name: str) -> int:
        """How many requests a fault has met so far."""
        return self._declared[name].met

    def refuse(self) -> None:
        """No connection is accepted, and those that there are break, until `accept`."""

        def refused() -> None:
            self._listening.cancel()
            self._break_all()

        self._run(refused)

    def accept(self) -> None:
        """Connections are accepted again."""
        self._run(lambda: self._restart.set())

    def break_all(self) -> None:
        """Every connection breaks; new ones are accepted."""
        self._run(self._break_all)

    def silence(self) -> None:
        """Nothing comes any more over the connections that there are; new ones are as ever."""
        self._run(lambda: self._silent.update(self._open))

    def _break_all(self) -> None:
        for scope in list(self._open):
            scope.cancel()

    def _cleared(self, name: str) -> int:
        declared = self._declared.pop(name)
        declared.released.set()
        return declared.met

    def _run(self, change: Callable[[], Any]) -> Any:
        return trio.from_thread.run_sync(change, trio_token=self._token)

    # -- in its thread -----------------------------------------------------------------------------------------------

    async def run(self, started: threading.Event, ended: trio.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery, started)
            await ended.wait()
            nursery.cancel_scope.cancel()

    async def _listen(self, nursery: trio.Nursery, started: threading.Event) -> None:
        while True:
            with trio.CancelScope() as self._listening, trio.socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                await listener.bind(self._place)
                listener.listen(256)
                self._place = listener.getsockname()
                self._restart = trio.Event()
                started.set()
                while True:
                    accepted, _ = await listener.accept()
                    nursery.start_soon(self._serve, trio.SocketStream(accepted))
            await self._restart.wait()

    async def _serve(self, connection: trio.SocketStream) -> None:
        self.connections += 1
        with trio.CancelScope() as scope, suppress(*BROKEN):
            self._open.add(scope)
            try:
                await self._answer_all(scope, connection)
            finally:
                self._open.discard(scope)
                self._silent.discard(scope)
                with trio.move_on_after(1, shield=True), suppress(*BROKEN):
                    await trio.aclose_forcefully(connection)

    async def _answer_all(self, scope: trio.CancelScope, connection: trio.SocketStream) -> None:
        stream: trio.abc.Stream = connection
        if self.tls is not None:
            stream = trio.SSLStream(connection, self.tls, server_side=True, https_compatible=True)
        while (request := await _received(stream)) is not None:
            if scope in self._silent:
                await trio.sleep_forever()
            self.seen.append(request)
            declared = next((one for one in list(self._declared.values()) if one.which(request)), None)
            released = declared.released if declared else trio.Event()
            asked = partial(self._asked, request)
            exchange = Exchange(request, stream, connection, asked, self.elsewhere, released)
            if declared is None:
                await exchange.pass_on()
                continue
            declared.met += 1
            if not await declared.fault(exchange):
                return

    async def _asked(self, request: Request) -> Answer:
        """What the Comet answers."""
        host, port = self._behind.hostname or "", self._behind.port or 80
        kept = [(name, value) for name, value in request.headers.items() if name not in _HOP]
        headers = [("Host", f"{host}:{port}"), ("Connection", "close"), *kept]
        parser = h11.Connection(h11.CLIENT)
        asked = h11.Request(method=request.method, target=request.target, headers=headers)
        async with await trio.open_tcp_stream(host, port) as stream:
            await stream.send_all((parser.send(asked) or b"") + request.body)
            parts, found = [], None
            while not isinstance(event := await _event(parser, stream), h11.EndOfMessage | h11.ConnectionClosed):
                if isinstance(event, h11.Response):
                    found = event
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
        assert found is not None
        passed = tuple((name.decode(), value.decode("latin-1")) for name, value in found.headers)
        return Answer(found.status_code, b"".join(parts), tuple(one for one in passed if one[0] not in _HOP))


_HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive", "date", "server"}
"""Headers that belong to one connection, and those of which nothing here depends."""


async def _received(stream: trio.abc.Stream) -> Request | None:
    """The next request; None when the client has gone."""
    parser = h11.Connection(h11.SERVER)
    head, parts = None, []
    while not isinstance(event := await _event(parser, stream), h11.EndOfMessage):
        if isinstance(event, h11.ConnectionClosed):
            return None
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
    assert head is not None
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode(), head.target.decode(), headers, b"".join(parts))


async def _event(parser: h11.Connection, stream: trio.abc.Stream) -> Any:
    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(bytes(await stream.receive_some(PIECE)))
    return event


@contextmanager
def fault_proxy(behind: str, tls: ssl.SSLContext | None = None) -> Iterator[FaultProxy]:
    """Stands before the Comet at the address `behind` until the block ends."""
    proxy = FaultProxy(behind, tls)
    started, ended = threading.Event(), trio.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            trio.run(proxy.run, started, ended)
        except BaseException as error:
            failed.append(error)
            started.set()

    thread = threading.Thread(target=run, name=ANSWERING)
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield proxy
    finally:
        with suppress(trio.RunFinishedError):
            proxy._run(ended.set)
        thread.join(PATIENCE)
    assert not failed, failed
