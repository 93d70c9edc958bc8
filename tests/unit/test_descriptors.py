"""A process that has no file descriptor left: said as that, not as a full disk or a missing network."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from cometfs.cache.downloads.downloads import SMALL, Bodies
from cometfs.comet.http.breaker import FAILURES
from cometfs.comet.http.transport import Transport
from cometfs.errors import OutOfFiles, OutOfSpace, no_place


class Big:
    """A body that needs a file."""

    size = SMALL + 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * self.size


@asynccontextmanager
async def begin() -> AsyncIterator[Big]:
    yield Big()


@contextmanager
def no_more_files() -> Iterator[None]:
    """The limit is what is open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_download_without_a_descriptor_is_no_full_disk(tmp_path: Path) -> None:
    """And one that is not needed is closed for it."""
    async with trio.open_nursery() as loads:
        bodies = Bodies(loads, 1 << 30, tmp_path)
        idle = await bodies.open("idle", begin)
        await idle.read(0, 1)
        with no_more_files():
            body = await bodies.open("k", begin)
            with pytest.raises(OutOfFiles, match="too many open"):
                await body.read(0, 1)
            bodies.release("k", body)
            bodies.release("idle", idle)
            again = await bodies.open("k", begin)
            assert await again.read(0, 1) == b"x"
        bodies.close()


async def test_a_connection_without_a_descriptor_is_no_missing_network() -> None:
    """Whatever listens there."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    transport = Transport()
    with no_more_files():
        for _ in range(FAILURES + 1):
            with pytest.raises(OutOfFiles, match="too many files open"):
                await transport.send("GET", f"http://127.0.0.1:{port}/")
    assert transport.breaker(f"http://127.0.0.1:{port}/").outage is None
    await listener.aclose()
    await transport.aclose()


def test_what_else_keeps_a_file_away_is_no_room() -> None:
    """In the system's words."""
    assert isinstance(no_place(OSError(28, "No space left on device"), "x"), OutOfSpace)
    assert isinstance(no_place(OSError(23, "too many in system"), "x"), OutOfFiles)
