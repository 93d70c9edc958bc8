"""The embedded Comet on a real socket: readiness, load, clients that go away, and its end."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trio
import trio.testing
from starlette.types import Receive, Scope, Send

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import serve

KEY = "0123456789abcdef0123456789abcdef"
HEADERS = {"Authorization": "k"}
ASSET = f"/api/rest/v2/experiment/asset/get-asset?experimentKey={KEY}&assetId=big"
SIZE = 64 << 20


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One run with an asset that is larger than what sockets buffer; on disk it is a hole."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.json").write_text(json.dumps({"offline_id": KEY, "workspace": "ws", "project_name": "p"}))
    placed = {"assetId": "big", "fileName": "big"}
    message = {
        "type": "file_upload",
        "payload": {"file_path": "big", "upload_type": "asset", "additional_params": placed},
    }
    (run / "messages.json").write_text(json.dumps(message) + "\n")
    with (run / "big").open("wb") as file:
        file.truncate(SIZE)
    return tmp_path


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[str]:
    """The address of a server of `directory`, which is cancelled at the end."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(
            serve, make_app(open_directory(directory), access_log=directory / "log"), "127.0.0.1:0"
        )
        nursery.cancel_scope.cancel()


async def connect(url: str) -> trio.SocketStream:
    """A bare connection to a server."""
    place = urlsplit(url)
    return await trio.open_tcp_stream(place.hostname or "", place.port or 0)


async def start_download(url: str) -> trio.SocketStream:
    """A connection on which the asset is asked for and its beginning has come."""
    stream = await connect(url)
    host = urlsplit(url).netloc
    await stream.send_all(f"GET {ASSET} HTTP/1.1\r\nHost: {host}\r\nAuthorization: k\r\n\r\n".encode())
    assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 200")
    return stream


async def test_a_ready_server_answers(directory: Path) -> None:
    """Once the address is told, it answers, at the port that it says."""
    async with serving(directory) as url, httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as client:
        assert (await client.get("/api/rest/v2/workspaces")).json() == {"workspaceNames": ["ws"]}
    assert url.startswith("http://127.0.0.1:")


async def test_a_taken_port_is_an_error(directory: Path) -> None:
    """An address that is in use is refused at once, as the operating system says it."""
    async with serving(directory) as url:
        with pytest.raises(OSError, match="in use"):
            await serve(make_app(open_directory(directory)), url.removeprefix("http://"))


@pytest.mark.parametrize("bind", ["", "8080", "127.0.0.1", "127.0.0.1:x"])
async def test_no_address_is_an_error(directory: Path, bind: str) -> None:
    """What is no HOST:PORT is refused with its text."""
    with pytest.raises(ValueError, match="HOST:PORT"):
        await serve(make_app(open_directory(directory)), bind)


async def test_many_clients_many_requests(directory: Path) -> None:
    """A hundred connections at once and thousands of requests on them are all answered."""
    answered = []

    async def ask(url: str) -> None:
        stream = await connect(url)
        line = f"GET /api/rest/v2/workspaces HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: k\r\n\r\n"
        for _ in range(20):
            await stream.send_all(line.encode())
            reply = b""
            while not reply.endswith(b"}"):
                reply += await stream.receive_some(4096)
            answered.append(reply[:12])
        await stream.aclose()

    async with serving(directory) as url, trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask, url)
    assert answered == [b"HTTP/1.1 200"] * 2000
    assert len((directory / "log").read_text().splitlines()) == 2000


async def test_one_connection_carries_thousands(directory: Path) -> None:
    """A connection is not closed for the number of its requests."""
    async with serving(directory) as url, httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as client:
        replies = [await client.get("/clientlib/isAlive/ver") for _ in range(1200)]
    assert not [reply for reply in replies if reply.headers.get("connection") == "close"]


async def test_a_download_is_whole(directory: Path) -> None:
    """A large asset arrives with all its bytes."""
    async with serving(directory) as url, httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
        reply = await client.get(url + ASSET)
    assert len(reply.content) == SIZE == int(reply.headers["content-length"])


async def test_a_client_may_go_away(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves in the middle of a download leaves no complaint, and others are served."""
    caplog.set_level(logging.DEBUG)
    async with serving(directory) as url:
        stream = await start_download(url)
        await stream.aclose()
        reset = await start_download(url)
        reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await reset.aclose()
        log = directory / "log"
        while not log.exists() or len(log.read_text().splitlines()) < 2:
            await trio.lowlevel.checkpoint()
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            assert (await client.get(url + "/api/rest/v2/workspaces")).status_code == 200
    entries = [json.loads(text) for text in log.read_text().splitlines()[:2]]
    assert all(entry["status"] == 200 and entry["bytes"] < SIZE for entry in entries)
    assert not [record for record in caplog.records if record.name.startswith(("cometfs", "hypercorn"))]


async def endless(_: Scope, __: Receive, send: Send) -> None:
    """An application whose one answer is larger than what sockets buffer, given to them in one go."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(SIZE)})


@pytest.mark.parametrize("request_line", ["", f"GET {ASSET} HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_the_end_waits_for_nobody(request_line: str) -> None:
    """A cancelled server ends at once, whether a connection is idle or its client has stopped to read."""
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            stream = await connect(await nursery.start(serve, endless, "127.0.0.1:0"))
            if request_line:
                await stream.send_all(request_line.encode())
                await stream.receive_some(1)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    await stream.aclose()


async def test_head_is_no_endpoint(directory: Path) -> None:
    """Comet's clients never send HEAD; it gets an answer without a body and the connection goes on."""
    async with serving(directory) as url, httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as client:
        assert (await client.head(ASSET)).status_code == 404
        assert (await client.get("/api/rest/v2/workspaces")).status_code == 200
