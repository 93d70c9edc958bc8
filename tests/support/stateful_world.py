"""The parts of the stateful model: a Comet in this process that can go away or fail in part, a mount of it without a
kernel, which can be killed, and the time in which they live.

Time passes when everything waits for it and no thread works. Not here: what readers look at, and what they may see
(stateful_readers.py), what happens (stateful_model.py).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.connectivity import Connectivity
from cometfs.errors import (
    CometFSError,
    DeadlineExceeded,
    NotAllowed,
    Throttled,
    Unintelligible,
    Unreachable,
)
from cometfs.mountstate.limits import RequestLimiter
from cometfs.vfs.engine.vfs import Vfs
from tests.support.history import Wrong
from tests.support.log_client import Refused, Scribe

LAG = 240.0
"""Seconds that what is read may lag behind: listings of the workspace and of the project hold a minute each, an absence
30 s, an answer that was read last just before; and the rest is for calls that are tried again."""

DEADLINE = 30.0
"""Of a request."""

FAULTS: dict[str, tuple[type[CometFSError], ...]] = {
    "500": (Unreachable,),
    "page": (Unintelligible,),
    "nonsense": (Unintelligible,),
    "429": (Throttled, DeadlineExceeded),  # it is waited for
    "403": (NotAllowed,),
    "reset": (Unreachable,),
    "silence": (Unreachable,),
}
"""What one endpoint does, and what a reader may get of it."""

OF_CONNECTIONS = frozenset({"reset", "silence"})
"""Faults that may be taken for one of the whole server."""

EVERYWHERE = ""
"""In place of an endpoint: all of them."""

ENDPOINTS = {
    "output.txt": "experiment/output",
    "params.json": "experiment/parameters",
    "others.json": "experiment/log-other",
    "tags.txt": "experiment/tags",
    "": "experiments",
}
"""By file; "" is a listing."""


class Wire(httpx.AsyncBaseTransport):
    """The way to the Comet: away, or one endpoint fails."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app)
        self.asked = 0
        self.away = False
        self.faults: dict[str, str] = {}
        self.mended = trio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("no route", request=request)
        match self.faults.get(request.url.path.removeprefix("/api/rest/v2/")):
            case "500" | "403" | "429" as status:
                return httpx.Response(int(status), json={"msg": "injected"}, headers={"Retry-After": "7"})
            case "page":
                return httpx.Response(200, html="<html>login</html>")
            case "nonsense":
                return httpx.Response(200, content=b'{"a": ')
            case "reset":
                raise httpx.ReadError("reset", request=request)
            case "silence":
                await self.mended.wait()
                raise httpx.ReadError("reset", request=request)
            case _:
                return await self._app.handle_async_request(request)


class Hand(Scribe):
    """Logs to the Comet of this process, from a thread."""

    app: Any

    def _ask(self, method: str, path: str, body: bytes | None = None) -> None:
        status, said = trio.from_thread.run(self._send, method, path, body)
        if status != 200:
            raise Refused(f"{method} {path}: {status} {said[:300]!r}")

    async def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Authorization": "any", "Content-Type": "application/json"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://comet") as client:
            reply = await client.request(method, path, content=body, headers=headers)
            return reply.status_code, reply.content


class Model:
    """The Comet, the tree before it, and what is known of both."""

    def __init__(self, folder: Path, clock: trio.testing.MockClock, wire: Wire, hand: Hand) -> None:
        self.folder, self.clock, self.wire, self.hand = folder, clock, wire, hand
        self.account = hand.account
        self.vfs: Vfs
        self.offline = False
        self.limits = RequestLimiter(DEADLINE, 300)
        self.mounts = AsyncExitStack()
        self.count = 0
        self._born = time.time()
        self.troubles: list[tuple[float, tuple[type[CometFSError], ...], str]] = []
        """Until when, with which errors, at which endpoint."""
        self.since = 0.0
        """When all that is never moved was there."""
        self.held: set[str] = set()
        """Paths that were read, and not dropped since."""
        self.in_memory: set[str] | None = None
        """Those that were read since the disk was cleared under a mount that holds all in memory; None: it was not."""

    # -- time ------------------------------------------------------------------------------------------------------

    async def at_rest(self) -> None:
        """Returns when all tasks wait, and no thread works."""
        own = trio.CapacityLimiter(1)
        await trio.testing.wait_all_tasks_blocked()
        while trio.to_thread.current_default_thread_limiter().borrowed_tokens:
            await trio.to_thread.run_sync(time.sleep, 0.0005, limiter=own)
            await trio.testing.wait_all_tasks_blocked()

    async def until(self, done: Callable[[], bool], most: float = 1800.0) -> None:
        """Time passes until that is so."""
        end = self.clock.current_time() + most
        await self.at_rest()
        while not done():
            if self.clock.current_time() > end:
                raise Wrong(f"nothing has come of it in {most:g} s")
            left = trio.lowlevel.current_statistics().seconds_to_next_deadline
            self.clock.jump(min(max(left, 0.0), 60.0) + 1e-6)
            await self.at_rest()

    async def passes(self, seconds: float) -> None:
        end = self.clock.current_time() + seconds
        await self.until(lambda: self.clock.current_time() >= end, seconds + 61)

    def wall(self) -> float:
        return self._born + self.clock.current_time()

    async def together(self, looks: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Time passes until all have ended. Raises what the first of them raises."""
        ended: list[Exception | None] = []

        async def one(look: Callable[[], Awaitable[None]]) -> None:
            try:
                await look()
            except Exception as error:
                ended.append(error)
            else:
                ended.append(None)

        async with trio.open_nursery() as nursery:
            for look in looks:
                nursery.start_soon(one, look)
            await self.until(lambda: len(ended) == len(looks))
        for error in filter(None, ended):
            raise error

    # -- mounts ----------------------------------------------------------------------------------------------------

    async def mount(self, *, offline: bool = False) -> None:
        self.mounts, self.offline = AsyncExitStack(), offline
        self.held -= self.in_memory or set()
        self.in_memory = None
        self.vfs = await self.mounts.enter_async_context(self._mounted(offline=offline))

    @asynccontextmanager
    async def _mounted(self, *, offline: bool) -> AsyncIterator[Vfs]:
        transport, connectivity = Transport(self.wire), Connectivity(offline=offline, wall=self.wall)
        async with API("key", "http://comet", transport=transport, connectivity=connectivity) as api:
            cache = Cache(self.folder / f"cache-{self.count}", 1 << 30)
            async with open_vfs(api, cache=cache, wall=self.wall) as vfs:
                yield vfs

    async def unmount(self) -> None:
        await self.mounts.aclose()

    async def kill(self) -> None:
        """What is on disk at this moment is what the next mount finds."""
        before = self.folder / f"cache-{self.count}"
        self.count += 1
        if before.exists():
            shutil.copytree(before, self.folder / f"cache-{self.count}")
        await self.unmount()
        shutil.rmtree(before, ignore_errors=True)

    # -- what may be -----------------------------------------------------------------------------------------------

    def troubled(self, endpoints: set[str]) -> tuple[type[CometFSError], ...]:
        """The errors that something is wrong with that has a part in this; empty where all is well."""
        now = self.clock.current_time()
        self.troubles = [one for one in self.troubles if one[0] + LAG >= now]
        return tuple(
            error for _, errors, where in self.troubles if where in (EVERYWHERE, *endpoints) for error in errors
        )

    def begins(self, errors: tuple[type[CometFSError], ...], where: str) -> None:
        self.troubles.append((math.inf, errors, where))

    def ends(self, where: str) -> None:
        now = self.clock.current_time()
        self.troubles = [(min(end, now) if at == where else end, errors, at) for end, errors, at in self.troubles]
