"""The tree over the embedded Comet, in process, with a wire that counts, lies and fails."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.connectivity import Connectivity
from cometfs.errors import Unreachable
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.http.app import make_app
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from tests.support.redis_server import EACH, Redis, running

BASELINE = "vision-lab/digits/mlp-baseline"
FOREST = "tabular/wine-cultivars/forest-200"


class Wire(httpx.AsyncBaseTransport):
    """The way to the embedded Comet: counts, and lies or fails where a test says so."""

    def __init__(self, index: Catalog) -> None:
        self._app = httpx.ASGITransport(make_app(index))
        self.asked: list[str] = []
        self.about: list[tuple[str, str]] = []
        """The same, with the query."""
        self.failing = False
        self.edits: dict[str, Any] = {}
        self.lacking: set[str] = set()
        """Endpoints that it is too old for."""
        self.refused: set[str] = set()
        """Endpoints that it refuses to this key."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        self.asked.append(endpoint)
        self.about.append((endpoint, request.url.query.decode()))
        if self.failing:
            raise httpx.ConnectError("no route", request=request)
        if endpoint in self.lacking:
            return httpx.Response(404)
        if endpoint in self.refused:
            return httpx.Response(403)
        response = await self._app.handle_async_request(request)
        if endpoint in self.edits:
            answer = json.loads(await response.aread())
            self.edits[endpoint](answer)
            # Not by httpx's `json`, which refuses half a surrogate pair.
            return httpx.Response(200, content=json.dumps(answer), headers={"content-type": "application/json"})
        return response


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a real clock nothing is given up for being slow: that would depend on how much else the machine has to do."""
    # A clock that jumps does so while the server works in a thread, too: then it is silent for no time at all.
    monkeypatch.setattr("cometfs.cache.store.SILENCE", math.inf)
    if "mock_clock" not in request.fixturenames:
        monkeypatch.setattr("cometfs.vfs.sources.experiment.PATIENCE", 600.0)
        monkeypatch.setattr("cometfs.comet.experiment_pages.UNPAGED", 600.0)


@pytest.fixture(scope="module")
def index() -> Catalog:
    return open_directory(sample_directory())


@pytest.fixture
def wire(index: Catalog) -> Wire:
    return Wire(index)


@pytest.fixture
async def vfs(wire: Wire) -> AsyncIterator[Vfs]:
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as opened:
        yield opened


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running(tmp_path) as server:
        yield server


@pytest.fixture(params=EACH)
def each_redis(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Redis]:
    with running(tmp_path, program=request.param) as server:
        yield server


@asynccontextmanager
async def mounted(
    wire: Wire, folder: Path, *, offline: bool = False, wall: Callable[[], float] = time.time
) -> AsyncIterator[Vfs]:
    """The tree with a cache on disk, in `folder`."""
    connectivity = Connectivity(offline=offline, wall=wall)
    async with (
        API("key", "http://comet", transport=Transport(wire), connectivity=connectivity) as api,
        open_vfs(api, cache=Cache(folder, 1 << 30), wall=wall) as opened,
    ):
        yield opened


async def at(vfs: Vfs, path: str) -> Node:
    node = vfs.root
    for part in path.split("/"):
        node, _ = await vfs.listings.child(node, part)
    return node


async def read(vfs: Vfs, path: str) -> bytes:
    opened = await vfs.files.open(await at(vfs, path))
    try:
        return bytes(await opened.read(0, opened.size))
    finally:
        opened.close()


async def names(vfs: Vfs, path: str) -> list[str]:
    return list((await vfs.listings.children(await at(vfs, path)))[0].nodes)


async def until_used_again(api: API) -> None:
    """Returns when calls go out to a server that is back."""
    while api.outage is not None:
        with suppress(Unreachable):
            await api.workspaces()
        await trio.sleep(0.05)


async def at_rest() -> None:
    """Returns when all tasks wait, and none of them for a thread."""
    await trio.testing.wait_all_tasks_blocked()
    while trio.to_thread.current_default_thread_limiter().borrowed_tokens:
        await trio.sleep(0.001)
        await trio.testing.wait_all_tasks_blocked()
