"""The embedded Comet on a socket: hypercorn's HTTP protocol over listeners and connections that live in trio.

Hypercorn's own ``serve`` is not used: when it is cancelled it waits for as long as a client does not read, and it
needs a second event to end idle connections. Here cancelling ends everything at once, sockets closed.

A client that is slow, silent or gone costs a connection, for a bounded time, and keeps no other waiting.

Not here: the application (`app`).
"""

from __future__ import annotations

import logging
import resource
import socket
from contextlib import AsyncExitStack, suppress
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIFramework
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from cometfs.compat.hypercorn_connection import Connection, Limits
from cometfs.text.numbers import whole_of

LOG = logging.getLogger("cometfs.server.http")

BACKLOG = 1024

KEEP_ALIVE = 300.0
"""Seconds that an idle connection is kept. Longer than clients keep theirs, so that it is the client that closes: a
server that closes first races with the next request."""

LIMITS = Limits(idle=KEEP_ALIVE, head=30.0, body=60.0, rate=1024.0, send=300.0, linger=30.0, most=32 << 20)

PROBED_AFTER = 60
"""Seconds of silence after which the system asks whether a client's machine is still there."""

PROBES, PROBED_EVERY = 4, 15

MOST_CONNECTIONS = 4096
"""At one time, if there are descriptors for them: two for each, and some for all."""

DESCRIPTORS = 128
"""Those that are no connections'."""

BUSY = b"HTTP/1.1 503 \r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n"


async def serve(
    app: ASGIApp,
    bind: str,
    *,
    limits: Limits = LIMITS,
    most: int | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` at `bind` (``HOST:PORT``, port 0 for a free one) until cancelled, `most` clients at one time.

    Reports the address, ``http://HOST:PORT``, once connections are accepted. Raises OSError when the address cannot
    be had and ValueError when `bind` is no address.
    """
    host, port = parsed(bind)
    clients = _Clients(app, limits, most or _most())
    async with AsyncExitStack() as stack:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        for listener in listeners:
            stack.push_async_callback(trio.aclose_forcefully, listener)
        task_status.started(f"http://{_shown(host)}:{listeners[0].socket.getsockname()[1]}")
        await trio.serve_listeners(clients.serve, listeners)


class _Clients:
    """All connections. A new one takes the place of the one that was idle for longest if there are too many."""

    def __init__(self, app: ASGIApp, limits: Limits, most: int) -> None:
        self._config = _config()
        self._app: AppWrapper = wrap_app(cast(ASGIFramework, app), self._config.wsgi_max_body_size, "asgi")
        self._limits, self._most, self._count = limits, most, 0
        self._idle: dict[Connection, None] = {}
        """Those between two requests, and those without any yet, in the order in which they became so."""

    async def serve(self, stream: trio.SocketStream) -> None:
        if self._count >= self._most and not self._makes_room():
            with trio.move_on_after(1), suppress(trio.BrokenResourceError):
                await stream.send_all(BUSY)
            await trio.aclose_forcefully(stream)
            return
        connection = Connection(self._app, self._config, self._limits, stream, self._note)
        self._note(connection, True)
        self._count += 1
        try:
            _watch(stream.socket, self._limits.send)
            await connection.run()
        except Exception:  # of one connection, which has ended: the others go on
            LOG.exception("a connection failed")
        finally:
            self._count -= 1
            self._idle.pop(connection, None)

    def _note(self, connection: Connection, is_idle: bool) -> None:
        self._idle.pop(connection, None)
        if is_idle:
            self._idle[connection] = None

    def _makes_room(self) -> bool:
        longest = next(iter(self._idle), None)
        if longest is None:
            return False
        self._idle.pop(longest)
        longest.give_up()
        return True


def _watch(sock: trio.socket.SocketType, send: float) -> None:
    """Have the system find out when a client's machine is gone without a word."""
    with suppress(OSError):  # it went away with one
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBED_AFTER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBED_EVERY)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send * 1000))


def _most() -> int:
    """As many as this process may have descriptors for, which may be more than it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + DESCRIPTORS
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == unlimited else max(1, min(MOST_CONNECTIONS, (soft - DESCRIPTORS) // 2))


def parsed(bind: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``. Raises ValueError."""
    host, _, digits = bind.rpartition(":")
    port = whole_of(digits)
    if not host or port is None:
        raise ValueError(f"not an address of the form HOST:PORT: {bind!r}")
    return host.strip("[]"), port


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _config() -> Config:
    """Nothing on stderr but errors; no connection given up for the number of its requests."""
    config = Config()
    config.accesslog = None
    config.errorlog = LOG
    config.keep_alive_max_requests = 1 << 62
    return config
