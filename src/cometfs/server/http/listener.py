"""The embedded Comet on a socket: hypercorn's HTTP protocol over listeners and connections that live in trio.

Hypercorn's own ``serve`` is not used: when it is cancelled it waits for as long as a client does not read, and it
needs a second event to end idle connections. Here cancelling ends everything at once, sockets closed.

Not here: the application (`app`).
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from cometfs.compat.hypercorn_connection import Connection
from cometfs.numbers import whole_of

BACKLOG = 1024

KEEP_ALIVE = 300.0
"""Seconds that an idle connection is kept. Longer than clients keep theirs, so that it is the client that closes: a
server that closes first races with the next request."""


async def serve(app: ASGIApp, bind: str, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve `app` at `bind` (``HOST:PORT``, port 0 for a free one) until cancelled.

    Reports the address, ``http://HOST:PORT``, once connections are accepted. Raises OSError when the address cannot
    be had and ValueError when `bind` is no address.
    """
    host, port = parsed(bind)
    config = _config()
    async with AsyncExitStack() as stack:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        for listener in listeners:
            stack.push_async_callback(trio.aclose_forcefully, listener)
        connection = partial(
            Connection,
            wrap_app(cast(ASGIFramework, app), config.wsgi_max_body_size, "asgi"),
            config,
            WorkerContext(None),
            ConnectionState({}),
        )
        task_status.started(f"http://{_shown(host)}:{listeners[0].socket.getsockname()[1]}")
        await trio.serve_listeners(connection, listeners)


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
    """Nothing on stderr but errors; no connection given up for its age or for the number of its requests."""
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("cometfs.server.http")
    config.keep_alive_timeout = KEEP_ALIVE
    config.keep_alive_max_requests = 1 << 62
    return config
