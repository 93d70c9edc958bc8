"""Machines of a cluster in this process: each has a tree, memory and a budget of its own, and shares a Redis."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import trio

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_budget, open_vfs
from cometfs.quota.limiter import Budget
from cometfs.shared.opening import Shared, open_shared
from cometfs.shared.sealed import MARK, TIME
from cometfs.vfs.engine.vfs import Vfs
from tests.support.redis_server import Redis

KEY = "the-key-of-an-account"

T = TypeVar("T")


class Machine:
    def __init__(self, vfs: Vfs, shared: Shared, budget: Budget) -> None:
        self.vfs, self.shared, self.budget = vfs, shared, budget


@asynccontextmanager
async def machine(
    wire: httpx.AsyncBaseTransport, url: str, key: str = KEY, folder: Path | None = None
) -> AsyncIterator[Machine]:
    """`folder`: of its cache on disk; None: it has none."""
    async with (
        open_shared(url, "comet-1", key, 15_000) as shared,
        open_budget(Path("unused"), 15_000, shared) as budget,
        API(key, "http://comet", transport=Transport(wire), gate=budget) as api,
        open_vfs(api, shared=shared, budget=budget, cache=Cache(folder, 1 << 30) if folder else None) as vfs,
    ):
        yield Machine(vfs, shared, budget)


@asynccontextmanager
async def machines(count: int, wire: httpx.AsyncBaseTransport, url: str) -> AsyncIterator[list[Machine]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(machine(wire, url)) for _ in range(count)]


async def at_once(all_of_them: list[Machine], run: Callable[[Machine], Awaitable[T]]) -> list[T]:
    """What each of them has of it, when all do it at the same time."""
    found: list[T] = []

    async def one(each: Machine) -> None:
        found.append(await run(each))

    async with trio.open_nursery() as nursery:
        for each in all_of_them:
            nursery.start_soon(one, each)
    return found


async def sent(one: Machine) -> None:
    """Returns when what it has brought is there."""
    with trio.fail_after(30):
        while one.shared.answers.waits:  # noqa: ASYNC110  # it has no event
            await trio.sleep(0.01)


def everything(redis: Redis) -> bytes:
    """All that anybody can read there: names, and values as they were before they were compressed."""
    found = redis.names()
    values = [
        redis.value(name) for name in found if b":answer:" in name and not name.endswith((b":claim", b":renewal"))
    ]
    others = [redis.ask("DUMP", name) for name in found]
    return b"\n".join([*found, *others, *(zlib.decompress(value[MARK + 2 * TIME + 1 :]) for value in values)])
