"""Long bodies, read from the connection itself: httpcore takes 64 KiB at a time, and copies them three times.

What does not simply lie on the wire is left to httpcore. What is not encrypted either is read in threads, a MiB for one
call of the system: to wait in the event loop for each part of it takes twice the CPU time, and a trip to a thread for
each MiB half as much again. Not here: errors (transport.py).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import trio

from cometfs.host.buffers import ROOM, Block, Give, lent
from cometfs.text.numbers import whole_of

LONG = 1 << 20
"""Bytes of a body from which on this is worth its while."""

AT_ONCE = 1 << 18
"""Bytes asked for at once, in the event loop."""

IN_THREAD = ROOM
"""The same in a thread: a block of a big body, which then is copied no more."""

TURN = 0.25
"""Seconds that a thread waits for so many bytes, and after which it begins no other block: a reader that is cancelled
waits for it, and so does the end of a mount."""

THREADS = 64
"""More than there are connections: a read must not wait for another one's line, nor the disk for either."""

_threads: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("threads that read long bodies")


class Wire(Protocol):
    """A connection, as httpcore hands it out with an answer."""

    async def read(self, max_bytes: int) -> bytes: ...

    def get_extra_info(self, info: str) -> Any: ...


class Straight:
    """The rest of a body of known length, of which httpcore has read the first part: it never holds any back."""

    def __init__(self, wire: Wire, left: int) -> None:
        self._wire = wire
        self._length = self.left = left
        """`left`: bytes that have not been read."""
        self._socket: socket.socket | None = None
        self._late = b""
        """What has come of a block that did not come at once."""

    async def read(self) -> bytes:
        """The next bytes; none at the end, and where the connection has ended."""
        if not self.left:
            return b""
        plain = self._socket or self._plain()
        if self._late:
            chunk, self._late = self._late, b""
        elif plain is None:
            chunk = await self._wire.read(min(self.left, AT_ONCE))
        else:
            chunk = await self._in_thread(plain)
        self.left -= len(chunk)
        return chunk

    async def blocks(self, begun: Sequence[Block], count: int, give: Give) -> int:
        """Has a thread receive up to `count` blocks, one after the other, and `give` each as it comes; returns how many
        bytes that were. `begun` is what has come of the first one.

        Fewer, or none, where one does not come at once, or something lies between the connection and the body.
        """
        plain = self._socket or self._plain()
        come = sum(map(len, begun))
        count = min(count, (self.left + come) // ROOM)
        if plain is None or self._late or count <= 0:
            return 0
        given, self._late = await trio.to_thread.run_sync(_give_blocks, plain, begun, count, give, limiter=_limiter())
        size = given * ROOM - come if given else 0
        self.left -= size
        return size

    def close(self) -> None:
        """Nothing is read any more; the connection itself is httpcore's again."""
        if self._socket is not None:
            # What both descriptors share, as trio wants it.
            self._socket.setblocking(False)
            self._socket.close()
            self._socket = None

    def _plain(self) -> socket.socket | None:
        """The socket, for threads alone from now on; None where something lies between it and the body."""
        below = self._wire.get_extra_info("socket")
        if not isinstance(below, trio.socket.SocketType) or self._wire.get_extra_info("ssl_object") is not None:
            return None
        # A descriptor of its own: httpcore may close the other one while a thread is in the middle of a read.
        self._socket = socket.socket(below.family, below.type, below.proto, fileno=os.dup(below.fileno()))
        self._socket.setblocking(True)
        wait = struct.pack("@ll", 0, round(TURN * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        return self._socket

    async def _in_thread(self, plain: socket.socket) -> bytes:
        # Up to a boundary of the body, which is one of its blocks where it begins with one.
        wanted = min(self.left, IN_THREAD - (self._length - self.left) % IN_THREAD)
        while True:
            chunk = await trio.to_thread.run_sync(_received, plain, wanted, limiter=_limiter())
            if chunk is not None:
                return chunk


def _received(plain: socket.socket, wanted: int) -> bytes | None:
    """The next bytes, fewer where the line is slow; None if no byte came."""
    try:
        return plain.recv(wanted, socket.MSG_WAITALL)
    except BlockingIOError:
        return None


def _give_blocks(plain: socket.socket, begun: Sequence[Block], count: int, give: Give) -> tuple[int, bytes]:
    """How many blocks were given, and what has come of the next one."""
    wants, until = True, time.monotonic() + TURN
    for given in range(count):
        if given and (not wants or time.monotonic() > until):
            return given, b""
        block = lent()
        at = _put(block, begun)
        come = _received_into(plain, block[at:])
        if at + come < ROOM:  # the buffer goes back: a drip has a thousand parts
            return given, bytes(block[at : at + come])
        begun, wants = (), give(block.toreadonly())
    return count, b""


def _put(block: memoryview, begun: Sequence[Block]) -> int:
    """Where the first part of a block ends, which is put in its place."""
    at = 0
    for chunk in begun:
        block[at : at + len(chunk)] = chunk
        at += len(chunk)
    return at


def _received_into(plain: socket.socket, block: memoryview) -> int:
    """How many bytes have come at once. An error shows again when it is asked for more."""
    try:
        return plain.recv_into(block, 0, socket.MSG_WAITALL)
    except OSError:
        return 0


def _limiter() -> trio.CapacityLimiter:
    """Those of one event loop."""
    try:
        return _threads.get()
    except LookupError:
        _threads.set(trio.CapacityLimiter(THREADS))
        return _threads.get()


def read_out(stream: object) -> bool:
    """Lets httpcore know that the rest of its body was read beside it, so that the connection can be used again.

    False where its insides are others than those known here: then it finds the body cut off, and closes the connection.
    """
    for name in _WAY:
        stream = getattr(stream, name, None)
    if not isinstance(getattr(stream, "_remaining", None), int):
        return False
    stream._remaining = 0  # type: ignore[attr-defined]
    return True


_WAY = ("_httpcore_stream", "_stream", "_connection", "_h11_state", "_reader")
"""From the body of a response of httpx 0.28 to what counts its bytes in h11 0.16, by way of httpcore 1.0."""


def straight(headers: Mapping[str, str], extensions: Mapping[str, Any]) -> Straight | None:
    """For an answer that has a long body, as it is on the wire; None for any other."""
    length, wire = whole_of(headers.get("content-length", "")), extensions.get("network_stream")
    lies_so = extensions.get("http_version") == b"HTTP/1.1" and "transfer-encoding" not in headers
    return Straight(wire, length) if wire and lies_so and length is not None and length >= LONG else None
