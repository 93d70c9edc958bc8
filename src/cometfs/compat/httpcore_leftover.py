"""A connection on which more has come than its answer: to the next request that would be the answer.

httpcore looks whether something lies on the wire before it uses a connection again, but not at what it has read from
there already, behind the end of an answer. It can go when `AsyncHTTP11Connection.is_available` is false then.
"""

from __future__ import annotations

from typing import Any

from cometfs.compat.httpx_without_main import httpx


def has_leftover(wire: httpx.AsyncBaseTransport) -> bool:
    """Whether a connection of `wire` holds bytes that belong to no answer."""
    pool = getattr(wire, "_pool", None)
    return any(map(_holds_bytes, getattr(pool, "connections", ())))


def _holds_bytes(connection: Any) -> bool:
    """Those of HTTP/1.1 lie beneath others: that of a proxy, of a tunnel through it."""
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    state = getattr(connection, "_h11_state", None)
    return state is not None and bool(state.trailing_data[0])
