"""Long bodies, read from the connection itself: httpcore takes 64 KiB at a time, and copies them three times.

What does not simply lie on the wire is left to httpcore. Not here: errors (transport.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from cometfs.numbers import whole_of

LONG = 8 << 20
"""Bytes of a body from which on it is worth its connection: httpcore does not see the end, and so closes it."""

AT_ONCE = 1 << 18
"""Bytes asked for at once."""


class Wire(Protocol):
    """A connection, as httpcore hands it out with an answer."""

    async def read(self, max_bytes: int) -> bytes: ...


class Straight:
    """The rest of a body of known length, of which httpcore has read the first part: it never holds any back."""

    def __init__(self, wire: Wire, left: int) -> None:
        self._wire = wire
        self.left = left
        """Bytes that have not been read."""

    async def read(self) -> bytes:
        """The next bytes; none at the end, and where the connection has ended."""
        chunk = await self._wire.read(min(self.left, AT_ONCE)) if self.left else b""
        self.left -= len(chunk)
        return chunk


def straight(headers: Mapping[str, str], extensions: Mapping[str, Any]) -> Straight | None:
    """For an answer that has a long body, as it is on the wire; None for any other."""
    length, wire = whole_of(headers.get("content-length", "")), extensions.get("network_stream")
    lies_so = extensions.get("http_version") == b"HTTP/1.1" and "transfer-encoding" not in headers
    return Straight(wire, length) if wire and lies_so and length is not None and length >= LONG else None
