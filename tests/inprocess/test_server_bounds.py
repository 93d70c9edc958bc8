"""What clients of the embedded Comet cost it that are slow, silent, gone, many, or send too much: not the others."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio
import trio.testing
from starlette.types import ASGIApp, Receive, Scope, Send

from cometfs.server import bodies
from cometfs.server.bodies import BodyMemory
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http import listener
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import LIMITS, serve
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock

LIST = "/api/rest/v2/workspaces"
STORE = "/api/rest/v2/write/panel/store"
POINTS = "/clientlib/experiment-metrics/add/batch"


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve, app, "127.0.0.1:0", **options))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def logging(directory: Path, **options: Any) -> AsyncIterator[str]:
    """The address of a server that takes what is logged."""
    locked = lock(directory)
    index = open_directory(directory)
    try:
        async with serving(make_app(index, journal=Journal(index, locked)), **options) as url:
            yield url
    finally:
        locked.close()


async def connect(url: str) -> trio.SocketStream:
    place = urlsplit(url)
    return await trio.open_tcp_stream(place.hostname or "", place.port or 0)


def head(url: str, method: str, path: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Authorization: k", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def rest_of(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes the connection, in whichever way."""
    got = b""
    try:
        async for chunk in stream:
            got += chunk
    except trio.BrokenResourceError:
        pass
    return got


async def status_of(stream: trio.SocketStream) -> int:
    return int((await stream.receive_some(4096)).split()[1])


async def is_served(url: str) -> bool:
    async with await connect(url) as stream:
        await stream.send_all(head(url, "GET", LIST))
        return await status_of(stream) == 200


UNFINISHED: dict[str, tuple[float, Callable[[str], bytes]]] = {
    "nothing": (LIMITS.idle, lambda _: b""),
    "half a line": (LIMITS.head, lambda _: b"GET /api/re"),
    "half a head": (LIMITS.head, lambda url: head(url, "GET", LIST)[:-2]),
    "no body": (LIMITS.body, lambda url: head(url, "POST", STORE, "Content-Length: 10")),
    "half a chunk": (LIMITS.body, lambda url: head(url, "POST", STORE, "Transfer-Encoding: chunked") + b"a\r\n{"),
    "half an upload": (
        LIMITS.body,
        lambda url: head(url, "POST", "/clientlib/asset/upload", "Content-Length: 99") + b"--x\r\n",
    ),
    "a request, and then nothing": (LIMITS.idle, lambda url: head(url, "GET", LIST)),
}


@pytest.mark.parametrize("name", UNFINISHED)
async def test_silence_ends_a_connection(name: str, tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    """Wherever in a request it begins; others are served meanwhile and after."""
    limit, sent = UNFINISHED[name]
    async with logging(tmp_path) as url, await connect(url) as stream:
        await stream.send_all(sent(url))
        if name.startswith("a request"):
            assert await status_of(stream) == 200
        ended = trio.Event()

        async def watch() -> None:
            await rest_of(stream)
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(limit - 1)
            assert await is_served(url)
            await trio.testing.wait_all_tasks_blocked()
            assert not ended.is_set()
            mock_clock.jump(1 + LIMITS.linger)
            await ended.wait()
        assert await is_served(url)
    assert bodies.MEMORY.taken == 0


async def drip(url: str, begin: bytes, piece: bytes, every: float, clock: trio.testing.MockClock) -> float:
    """For how many seconds a connection is kept that brings a piece at a time; at most an hour."""
    begun = clock.current_time()
    async with await connect(url) as stream:
        await stream.send_all(begin)
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await rest_of(stream)
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            while clock.current_time() - begun < 3600:
                await trio.testing.wait_all_tasks_blocked()
                clock.jump(every)
                await trio.testing.wait_all_tasks_blocked()
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(piece)
            nursery.cancel_scope.cancel()
    return clock.current_time() - begun


async def test_a_drip_ends_a_connection(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    """A byte now and then is not enough, in the head or in the body; a slow line is."""
    async with logging(tmp_path) as url:
        posted = head(url, "POST", STORE, f"Content-Length: {8 << 20}")
        assert await drip(url, b"GET /", b"x", 5, mock_clock) <= LIMITS.head + 10
        assert await drip(url, posted, b"x", 20, mock_clock) <= LIMITS.body + 40
        assert await drip(url, posted, bytes(2048), 1.5, mock_clock) >= 3600


async def long(_: Scope, __: Receive, send: Send) -> None:
    """Answers with more than sockets buffer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(64 << 20)})


async def test_an_answer_that_is_not_taken_is_given_up(mock_clock: trio.testing.MockClock) -> None:
    """Its connection is closed, though its client is there."""
    async with serving(long) as url, await connect(url) as stream:
        await stream.send_all(head(url, "GET", "/"))
        assert await status_of(stream) == 200
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(LIMITS.send + 1)
        await trio.testing.wait_all_tasks_blocked()
        await rest_of(stream)


async def never(_: Scope, __: Receive, ___: Send) -> None:
    await trio.sleep_forever()


async def test_a_new_client_takes_the_place_of_the_one_that_was_idle_longest() -> None:
    """Those that wait for an answer stay; where all do, a new one is to come again."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/never":
            await never(scope, receive, send)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app, most=3))
        first, second, third = [await stack.enter_async_context(await connect(url)) for _ in range(3)]
        for stream in (second, first):
            await stream.send_all(head(url, "GET", "/"))
            assert await status_of(stream) == 204
        await third.send_all(head(url, "GET", "/never"))
        await trio.testing.wait_all_tasks_blocked()
        for idle in (second, first):
            fourth = await stack.enter_async_context(await connect(url))
            await fourth.send_all(head(url, "GET", "/"))
            assert await status_of(fourth) == 204
            assert await rest_of(idle) == b""
            await fourth.send_all(head(url, "GET", "/never"))
            await trio.testing.wait_all_tasks_blocked()
        async with await connect(url) as refused:
            assert await status_of(refused) == 503


async def test_a_client_that_vanished_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine went away without a word, in the middle of an answer's making: the system asks for it."""
    repair = 19  # TCP_REPAIR: the socket is closed and nothing is sent
    monkeypatch.setattr(listener, "PROBED_AFTER", 1)
    monkeypatch.setattr(listener, "PROBED_EVERY", 1)
    gone = trio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with serving(app) as url:
        stream = await connect(url)
        await stream.send_all(head(url, "GET", "/"))
        await trio.testing.wait_all_tasks_blocked()
        try:
            stream.socket.setsockopt(socket.IPPROTO_TCP, repair, 1)
        except PermissionError:
            pytest.skip("only root can close a connection without a word")
        await stream.aclose()
        with trio.fail_after(120):
            await gone.wait()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_body_that_is_announced_to_be_too_long_is_refused_at_once(method: str, tmp_path: Path) -> None:
    """Before any of it comes. None of a GET is taken that is worth mentioning."""
    path = LIST if method == "GET" else STORE
    async with logging(tmp_path) as url, await connect(url) as stream:
        await stream.send_all(head(url, method, path, f"Content-Length: {600 << 20}"))
        assert await status_of(stream) == 413


@pytest.mark.parametrize("path", [LIST, "/api/rest/v2/experiment/metadata", "/clientlib/isAlive/ver", "/", "/no/where"])
async def test_no_body_of_a_get_is_kept(path: str, tmp_path: Path) -> None:
    """In chunks, so that nothing says how long it is: it is refused or left alone, and the connection ends."""
    async with logging(tmp_path) as url, await connect(url) as stream:
        await stream.send_all(head(url, "GET", path, "Transfer-Encoding: chunked"))
        sent = await send_endlessly(stream, b"10000\r\n" + bytes(1 << 16) + b"\r\n")
    assert sent < 2 * LIMITS.most + (64 << 20)
    assert bodies.MEMORY.taken == 0


async def send_endlessly(stream: trio.SocketStream, piece: bytes) -> int:
    """How many bytes are taken until the connection ends."""
    sent = 0
    try:
        while True:
            await stream.send_all(piece)
            sent += len(piece)
    except trio.BrokenResourceError:
        return sent


async def test_a_short_body_of_a_get_is_taken(tmp_path: Path) -> None:
    """Some libraries send one."""
    async with logging(tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        reply = await client.request("GET", LIST, headers={"Authorization": "k"}, content=b"{}")
        assert reply.status_code == 200


async def test_a_client_that_still_sends_reads_the_refusal(tmp_path: Path) -> None:
    """An answer that comes before the end of a body is not lost with the connection."""
    async with logging(tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        for _ in range(5):
            reply = await client.post(STORE, content=bytes(20 << 20))  # without a key
            assert reply.status_code == 401


async def test_all_bodies_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is to come again, of those that send slowly, too; small ones are taken meanwhile, and all after."""
    monkeypatch.setattr(bodies, "MEMORY", BodyMemory(4 << 20))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(logging(tmp_path))
        slow = [await stack.enter_async_context(await connect(url)) for _ in range(3)]
        for stream in slow:
            await stream.send_all(head(url, "POST", STORE, f"Content-Length: {(1 << 20) + 1}") + bytes(1 << 20))
        while bodies.MEMORY.taken < 3 << 20:
            await trio.lowlevel.checkpoint()
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": "k"}, timeout=60) as client:
            assert (await client.post(STORE, content=bytes(2 << 20))).status_code == 503
            bomb = gzip.compress(bytes(2 << 20))
            assert (await client.post(STORE, content=bomb, headers={"Content-Encoding": "gzip"})).status_code == 503
            assert (await client.post(STORE, json={"store": "{}"})).status_code == 200
            for stream in slow:
                await stream.send_all(b"x")
                assert await status_of(stream) == 400  # zeros are no JSON
            assert (await client.post(STORE, json={"store": "x" * (3 << 20)})).status_code in (200, 400)
        assert bodies.MEMORY.taken == 0


CHANGES: dict[str, Callable[[str], bytes]] = {
    "h2c": lambda url: head(
        url,
        "GET",
        LIST,
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ),
    "prior knowledge": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", CHANGES)
async def test_no_other_protocol_is_spoken(name: str, tmp_path: Path) -> None:
    """No client of Comet speaks HTTP/2; what is not there cannot be attacked."""
    async with logging(tmp_path) as url, await connect(url) as stream:
        await stream.send_all(CHANGES[name](url))
        assert await status_of(stream) == (200 if name == "h2c" else 403)
        assert await is_served(url)


async def test_hundreds_of_slow_clients_keep_nobody_waiting(tmp_path: Path) -> None:
    """Each of them sends half of a request and stays; the clock says that none is given up for it."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(logging(tmp_path, limits=replace(LIMITS, head=3600, body=3600)))
        for number in range(300):
            stream = await stack.enter_async_context(await connect(url))
            await stream.send_all(head(url, "POST", POINTS, "Content-Length: 10")[: None if number % 2 else -2])
        assert await is_served(url)
        assert len(list(Path("/proc/self/fd").iterdir())) > 600


@pytest.mark.logs("a connection failed")
async def test_a_connection_that_fails_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in here, or in what speaks the protocol."""

    async def broken(_: object) -> None:
        raise ValueError("broken")

    async with logging(tmp_path) as url:
        with monkeypatch.context() as patched:
            patched.setattr("cometfs.compat.hypercorn_connection.Connection.run", broken)
            async with await connect(url) as stream:
                assert await rest_of(stream) == b""
        assert await is_served(url)
