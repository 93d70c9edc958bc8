"""Long bodies over real connections, plain and encrypted: every byte, every end, and the connection afterwards."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from cometfs.comet.http.retries import Transient
from cometfs.comet.http.transport import Reply, Transport
from cometfs.compat import httpcore_read
from cometfs.compat.httpcore_read import LONG
from cometfs.host.buffers import ROOM, Block

MOST = 64 << 20
BODY = random.Random("long").randbytes(LONG + 12345)
CERTIFICATE = Path(__file__).parent / "localhost.pem"


class Host:
    """Answers every request with its body, or as much of it as it `gives`; counts connections."""

    def __init__(self, body: bytes = BODY) -> None:
        self.body = body
        self.gives = self.length = self.pauses_at = len(body)
        self.goes_on = trio.Event()
        """Awaited at `pauses_at`."""
        self.goes_on.set()
        self.connections = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        try:
            while await _request(stream):
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {self.length}\r\n\r\n".encode()
                await stream.send_all(head + self.body[: min(self.gives, self.pauses_at)])
                await self.goes_on.wait()
                await stream.send_all(self.body[self.pauses_at : self.gives])
                if self.gives < self.length:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)


async def _request(stream: trio.abc.Stream) -> bytes:
    asked = b""
    while b"\r\n\r\n" not in asked:
        part = await stream.receive_some()
        if not part:
            return b""
        asked += part
    return asked


@asynccontextmanager
async def up(host: Host, secure: bool) -> AsyncIterator[str]:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, host.serve, [_encrypted(listener) if secure else listener])
        yield f"{'https' if secure else 'http'}://localhost:{port}/"
        nursery.cancel_scope.cancel()


def _encrypted(listener: trio.SocketListener) -> trio.abc.Listener[trio.SSLStream[trio.SocketStream]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return trio.SSLListener(listener, context)


@pytest.fixture(params=[False, True], ids=["http", "https"])
def secure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    return bool(request.param)


@asynccontextmanager
async def asking() -> AsyncIterator[Transport]:
    transport = Transport()
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.mark.parametrize("length", [LONG - 1, LONG, len(BODY)])
@pytest.mark.parametrize("counted", [False, True])
async def test_every_byte_comes_again_and_again_over_one_connection(secure: bool, length: int, counted: bool) -> None:
    """Whether the end is asked for, or known by counting."""
    host = Host()
    host.gives = host.length = length
    async with up(host, secure) as url, asking() as transport:
        for _ in range(3):
            reply = await transport.send("GET", url)
            found = b""
            while len(found) < length and (part := await reply.chunk()):
                found += part
            assert counted or await reply.chunk() is None
            assert found == BODY[:length]
            await reply.aclose()
    assert host.connections == 1


async def test_a_connection_is_let_go_where_httpcore_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpcore_read, "_WAY", ("_of_another_version",))
    host = Host()
    async with up(host, False) as url, asking() as transport:
        for _ in range(2):
            reply = await transport.send("GET", url)
            assert await reply.read(MOST) == BODY
            await reply.aclose()
    assert host.connections == 2


async def test_a_connection_that_ends_in_the_middle_is_an_error(secure: bool) -> None:
    host = Host()
    host.gives = LONG - 1
    async with up(host, secure) as url, asking() as transport:
        reply = await transport.send("GET", url)
        with pytest.raises(Transient):
            await reply.read(MOST)
        assert await reply.chunk() is None
        await reply.aclose()


async def test_one_left_in_the_middle_leaves_nothing_behind(secure: bool) -> None:
    host = Host()
    async with up(host, secure) as url, asking() as transport:
        reply = await transport.send("GET", url)
        taken = [await reply.chunk(), await reply.chunk()]
        await reply.aclose()
        assert BODY.startswith(b"".join(part or b"" for part in taken))
        reply = await transport.send("GET", url)
        assert await reply.read(MOST) == BODY
        await reply.aclose()


async def test_nothing_is_taken_beyond_the_end_of_the_body() -> None:
    """What a server sends after a body belongs to no answer."""
    host = Host()
    host.length = LONG + 1
    async with up(host, False) as url, asking() as transport:
        reply = await transport.send("GET", url)
        # To want more than there is is to wait for ever.
        with trio.fail_after(60):
            assert await reply.read(MOST) == BODY[: LONG + 1]
        await reply.aclose()
        reply = await transport.send("GET", url)
        assert await reply.read(MOST) == BODY[: LONG + 1]
        await reply.aclose()
    assert host.connections == 2


# -- blocks, by way of a thread ----------------------------------------------------------------------------------------

LONGER = random.Random("longer").randbytes(5 * ROOM + 999)


class Given(list[bytes]):
    """What a thread has given."""

    def give(self, block: Block) -> bool:
        self.append(bytes(block))
        return True


async def taken(reply: Reply, most: int = 100, wanted: int = 100) -> tuple[bytes, list[int]]:
    """All that comes, and of how many bytes what came as whole blocks was, each time it was asked for. Of no more than
    `most` at once, of which `wanted` are taken."""
    found, sizes = list[bytes](), list[int]()
    reply.keep_encoded()
    while (chunk := await reply.chunk()) is not None:
        found.append(chunk)
        begun = [b"".join(found)[sum(map(len, found)) // ROOM * ROOM :]]
        blocks = list[bytes]()

        def give(block: Block, blocks: list[bytes] = blocks) -> bool:
            assert len(block) == ROOM
            blocks.append(bytes(block))
            return len(blocks) < wanted

        sizes.append(await reply.blocks(begun, most, give))
        found.append(b"".join(blocks)[len(begun[0]) :])
        assert len(found[-1]) == sizes[-1]
    return b"".join(found), sizes


@pytest.mark.parametrize(("most", "wanted"), [(100, 100), (2, 100), (100, 1)])
async def test_blocks_come_whole_and_in_order_by_one_thread(secure: bool, most: int, wanted: int) -> None:
    """As many as are wanted. None of what is encrypted: all of that comes as chunks."""
    host = Host(LONGER)
    async with up(host, secure) as url, asking() as transport:
        for _ in range(2):
            reply = await transport.send("GET", url)
            found, sizes = await taken(reply, most, wanted)
            assert found == LONGER
            assert max(sizes) <= min(most, wanted) * ROOM
            assert secure != any(sizes)
            await reply.aclose()
    assert host.connections == 1


async def test_a_thread_comes_back_soon_however_much_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cancelled waits for it: on a slow line a part of a body takes minutes."""
    monkeypatch.setattr(httpcore_read, "TURN", 0.0)
    async with up(Host(LONGER), False) as url, asking() as transport:
        reply = await transport.send("GET", url)
        found, sizes = await taken(reply)
        assert found == LONGER
        assert ROOM // 2 < max(sizes) <= ROOM
        await reply.aclose()


async def test_a_connection_that_ends_in_a_block_is_an_error_and_what_came_before_stays() -> None:
    host = Host(LONGER)
    host.gives = 3 * ROOM + 5000
    async with up(host, False) as url, asking() as transport:
        reply = await transport.send("GET", url)
        reply.keep_encoded()
        first = await reply.chunk()
        assert first is not None
        blocks = Given()
        await reply.blocks([first], 100, blocks.give)
        assert b"".join(blocks) == LONGER[: 3 * ROOM]
        assert await reply.chunk() == LONGER[3 * ROOM : host.gives]
        with pytest.raises(Transient):
            await reply.chunk()
        await reply.aclose()


async def test_a_block_that_is_late_comes_as_chunks() -> None:
    """The thread waits for it no longer than a reader that is cancelled may wait."""
    host = Host(LONGER)
    host.pauses_at, host.goes_on = 2 * ROOM + 5000, trio.Event()
    async with up(host, False) as url, asking() as transport:
        reply = await transport.send("GET", url)
        reply.keep_encoded()
        begun = await reply.chunk()
        assert begun is not None
        blocks = Given()
        await reply.blocks([begun], 100, blocks.give)
        assert b"".join(blocks) == LONGER[: 2 * ROOM]
        assert await reply.blocks([], 100, lambda _block: True) == 0  # not before what was late is taken
        late = await reply.chunk()
        assert late == LONGER[2 * ROOM :][:5000]
        host.goes_on.set()
        blocks.clear()
        await reply.blocks([late], 100, blocks.give)
        assert b"".join(blocks) == LONGER[2 * ROOM : 5 * ROOM]
        assert await reply.chunk() == LONGER[5 * ROOM :]
        await reply.aclose()
