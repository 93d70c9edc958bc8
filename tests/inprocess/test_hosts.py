"""What a web page of another site can do with the embedded Comet: nothing, by any name, method or path."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.routing import Route

from cometfs import API
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.hosts import OwnNames
from cometfs.server.http.listener import serve
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock
from tests.support.comet_ml_client import surroundings
from tests.support.processes import PATIENCE

KEY = "00c0ffee" * 4
REST = "/api/rest/v2/"
DELETE = f"{REST}write/experiment/delete?experimentKey={KEY}"
LIST = f"{REST}workspaces"
START = {"experimentKey": KEY, "projectName": "p", "teamName": "ws", "local_timestamp": 1000}
HERE = ("127.0.0.1", 8080)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "LocalHost:8080", "localhost.:8080", "[::1]:8080", "me:8080"])
def test_own_names_are_known(host: str) -> None:
    """Local names, and the one that was bound, with the port that is served."""
    assert OwnNames(["Me"]).has_host(host, HERE)
    assert OwnNames(["Me"]).has_origin(f"http://{host}", HERE)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "127.0.0.1",
        "localhost:8081",
        "localhost.evil.example:8080",
        "me.x:8080",
        "127.0.0.1:8080@evil.example",
        "evil@127.0.0.1:8080",
        "127.0.0.1:x",
        "[::1:8080",
        "127.0.0.1:8080/",
        "::1",
    ],
)
def test_other_names_are_not(host: str) -> None:
    """Those of others, those that only look similar, those that are none, another port."""
    assert not OwnNames(["me"]).has_host(host, HERE)
    assert not OwnNames(["me"]).has_origin(f"http://{host}", HERE)


def test_the_address_that_a_request_comes_to_is_a_name() -> None:
    """Every address of this machine, where it is served on all; in each of its spellings."""
    assert OwnNames().has_host("192.0.2.7:8080", ("192.0.2.7", 8080))
    assert OwnNames().has_host("[2001:DB8:0::7]:8080", ("2001:db8::7", 8080))
    assert not OwnNames().has_host("192.0.2.7:8080", ("192.0.2.8", 8080))
    assert OwnNames().has_host("192.0.2.7", ("192.0.2.7", 80))


def test_names_that_others_give_it_are_good_for_their_port_or_any() -> None:
    """--host NAME and NAME:PORT, as `Host` and as `Origin` of a proxy that speaks TLS."""
    names = OwnNames(named=["Comet.example", "tunnel:9999", "[2001:db8::1]"])
    assert names.has_host("comet.example", HERE)
    assert names.has_host("comet.example:1234", HERE)
    assert names.has_origin("https://comet.example", HERE)
    assert names.has_host("tunnel:9999", HERE)
    assert not names.has_host("tunnel:8080", HERE)
    assert names.has_host("[2001:db8::1]:1", HERE)
    assert not names.has_origin("ftp://comet.example", HERE)
    assert not names.has_origin("null", HERE)


@pytest.mark.parametrize("name", ["", "http://comet.example", "comet.example/x", "a@b", "comet:port"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """With its text."""
    with pytest.raises(ValueError, match=r"NAME:PORT|[Pp]ort"):
        OwnNames(named=[name])


@asynccontextmanager
async def serving(directory: Path, bind: str = "127.0.0.1:0", **options: Any) -> AsyncIterator[str]:
    """A server with one experiment, that takes what changes it."""
    locked = lock(directory)
    index = open_directory(directory)
    app = make_app(index, journal=Journal(index, locked), **options)
    try:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve, app, bind)
            async with httpx.AsyncClient(base_url=url, headers={"Authorization": "k"}, timeout=PATIENCE) as client:
                (await client.post("/clientlib/logger/add/run", json=START)).raise_for_status()
            yield url
            nursery.cancel_scope.cancel()
    finally:
        locked.close()


async def raw(url: str, path: str, *headers: str, method: str = "GET") -> tuple[int, Any]:
    """Status and JSON of a request with exactly these headers, and a key, on a socket of its own."""
    place = urlsplit(url)
    lines = [f"{method} {path} HTTP/1.1", "Authorization: any", "Connection: close", "Content-Length: 0", *headers]
    async with await trio.open_tcp_stream(place.hostname or "", place.port or 0) as stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def own(url: str) -> str:
    return f"Host: {urlsplit(url).netloc}"


async def test_a_rebound_name_is_refused(tmp_path: Path) -> None:
    """To list and to delete; the answer says how a name is added, and the log of requests has it."""
    async with serving(tmp_path, access_log=tmp_path / "log") as url:
        port = urlsplit(url).port
        for path in (LIST, DELETE, "/clientlib/isAlive/ver"):
            for host in (f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}"):
                status, answer = await raw(url, path, f"Host: {host}")
                assert (status, answer["code"]) == (403, 403)
                assert "--host" in answer["msg"]
                assert host in answer["msg"]
        assert await raw(url, LIST, own(url)) == (200, {"workspaceNames": ["ws"]})
    statuses = [json.loads(line)["status"] for line in (tmp_path / "log").read_text().splitlines()]
    assert statuses == [200, *[403] * 9, 200]


@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:1",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
async def test_a_page_of_another_site_deletes_nothing(header: str, tmp_path: Path) -> None:
    """Though it is asked by its own name, by a GET as Comet's clients do it."""
    async with serving(tmp_path) as url:
        status, answer = await raw(url, DELETE, own(url), header)
        assert (status, answer["code"]) == (403, 403)
        assert "--host" in answer["msg"]
        assert await raw(url, LIST, own(url)) == (200, {"workspaceNames": ["ws"]})


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_a_page_of_its_own_site_may_ask(site: str, tmp_path: Path) -> None:
    """An address that a person types, and what comes from where it is served."""
    async with serving(tmp_path) as url:
        own_page = (own(url), f"Sec-Fetch-Site: {site}", f"Origin: {url}")
        assert (await raw(url, DELETE, *own_page))[0] == 200
        assert await raw(url, LIST, own(url)) == (200, {"workspaceNames": ["default"]})


@pytest.mark.parametrize("hosts", [(), ("Host: a", "Host: b")])
async def test_one_name_must_be_named(hosts: tuple[str, ...], tmp_path: Path) -> None:
    """None, or two, is no request."""
    async with serving(tmp_path) as url:
        status, _ = await raw_status(url, *hosts)
        assert status in (400, 403)


async def raw_status(url: str, *headers: str) -> tuple[int, bytes]:
    place = urlsplit(url)
    async with await trio.open_tcp_stream(place.hostname or "", place.port or 0) as stream:
        lines = [f"GET {DELETE} HTTP/1.0", "Authorization: any", *headers, "", ""]
        await stream.send_all("\r\n".join(lines).encode())
        answer = b"".join([chunk async for chunk in stream])
    return int(answer.split()[1]), answer


async def test_no_path_is_left_out(tmp_path: Path) -> None:
    """Every route, by each of its methods, refuses a foreign page before it does anything."""
    locked = lock(tmp_path)
    index = open_directory(tmp_path)
    app = make_app(index, journal=Journal(index, locked))
    foreign = {"Authorization": "k", "Origin": "http://evil.example"}
    asked = 0
    async with client_of(app) as client:
        for route in app.routes:
            assert isinstance(route, Route)
            for method in route.methods or ():
                reply = await client.request(method, route.path, headers=foreign)
                assert reply.status_code == 403, (method, route.path)
                assert "another site" in reply.json()["msg"]
                asked += 1
    locked.close()
    assert asked > 100


def client_of(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet")


@pytest.mark.parametrize(
    ("bind", "host"), [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "localhost"), ("[::1]:0", "[::1]")]
)
async def test_comet_ml_deletes_by_each_local_name(bind: str, host: str, tmp_path: Path) -> None:
    """The real client, at COMET_URL_OVERRIDE, and ours."""
    runs = tmp_path / "runs"
    runs.mkdir()
    try:
        async with serving(runs, bind) as url:
            environ = surroundings(tmp_path, f"http://{host}:{urlsplit(url).port}")
            async with API("k", environ["COMET_URL_OVERRIDE"]) as api:  # as a mount asks
                assert await api.workspaces() == ["ws"]
            code = (
                f"import comet_ml; api = comet_ml.API(cache=False); print(*api.get()); api.delete_experiment({KEY!r})"
            )
            command = [sys.executable, "-c", f"{code}; print(*api.get())"]
            done = await trio.run_process(command, cwd=tmp_path, env=environ, capture_stdout=True)
    except OSError as error:
        if bind.startswith("["):
            pytest.skip(f"no IPv6 on this machine: {error}")
        raise
    assert done.stdout == b"ws\ndefault\n"
