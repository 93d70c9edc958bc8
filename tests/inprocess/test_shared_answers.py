"""Several machines share answers in a real Redis: one of them asks Comet, all read; without it each asks by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition import open_vfs
from cometfs.shared.opening import Shared, open_shared
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.sources.experiment import PARAMETERS
from tests.inprocess.conftest import BASELINE, Wire, at, names, read
from tests.support.redis_server import Redis, running

KEY = "the-key-of-an-account"
PROJECT = "vision-lab/digits"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running(tmp_path) as server:
        yield server


class Machine:
    def __init__(self, vfs: Vfs, shared: Shared) -> None:
        self.vfs, self.shared = vfs, shared

    async def params(self) -> dict[str, bytes]:
        """Of all experiments of a project."""
        project = await at(self.vfs, PROJECT)
        nodes = (await self.vfs.listings.children(project))[0].nodes
        found = {}
        for name, node in nodes.items():
            if node.at.experiment is not None and not name.startswith("."):
                found[name] = await read(self.vfs, f"{PROJECT}/{name}/params.json")
        return found


@asynccontextmanager
async def machine(wire: Wire, url: str, key: str = KEY, account: str = "comet-1") -> AsyncIterator[Machine]:
    async with (
        open_shared(url, account, key, 15_000) as shared,
        API(key, "http://comet", transport=Transport(wire)) as api,
        open_vfs(api, shared=shared) as vfs,
    ):
        yield Machine(vfs, shared)


async def sent(one: Machine) -> None:
    """Returns when what it has brought is there."""
    with trio.fail_after(10):
        while one.shared.answers.waits:  # noqa: ASYNC110  # it has no event
            await trio.sleep(0.01)


async def test_what_one_has_asked_another_reads(wire: Wire, redis: Redis) -> None:
    """Listings, single answers and batches: the second machine makes no call at all."""
    async with machine(wire, redis.url) as first:
        mine = await first.params()
        await sent(first)
        assert wire.asked
        wire.asked.clear()
        async with machine(wire, redis.url) as second:
            assert await second.params() == mine
            assert not wire.asked
            assert second.shared.answers.found


async def test_at_the_same_time_one_asks_for_all(wire: Wire, redis: Redis) -> None:
    """Eight machines that begin together make the calls of one, and perhaps a few more where their walks differ."""
    async with machine(wire, redis.url, account="alone") as alone:
        mine = await alone.params()
    one = len(wire.asked)
    wire.asked.clear()
    wire.about.clear()
    async with AsyncExitStack() as stack:
        machines = [await stack.enter_async_context(machine(wire, redis.url)) for _ in range(8)]
        found: list[dict[str, bytes]] = []

        async def run(each: Machine) -> None:
            found.append(await each.params())

        async with trio.open_nursery() as nursery:
            for each in machines:
                nursery.start_soon(run, each)
    assert found == [mine] * 8
    twice = {one: count for one, count in Counter(wire.about).items() if count > 1}
    assert not twice
    assert len(wire.asked) <= 2 * one


async def test_a_refresh_asks_anew(wire: Wire, redis: Redis) -> None:
    """Here at once; the others keep what they have as long as it holds."""
    async with machine(wire, redis.url) as one:
        await read(one.vfs, f"{BASELINE}/params.json")
        await sent(one)
        wire.asked.clear()
        await one.vfs.refresh(await at(one.vfs, BASELINE), above=())
        await read(one.vfs, f"{BASELINE}/params.json")
        assert wire.asked


@pytest.mark.logs("written by another")
async def test_what_another_has_written_there_is_not_believed(wire: Wire, redis: Redis) -> None:
    """Without the API key nobody puts an answer in the place of Comet's; nor does one key read another's."""
    async with machine(wire, redis.url) as one:
        mine = await read(one.vfs, f"{BASELINE}/params.json")
        await sent(one)
    for key in redis.ask("KEYS", "*answer*").split():
        if key.startswith("cometfs:"):
            redis.ask("SETRANGE", key, "40", "zzzz")
    wire.asked.clear()
    async with machine(wire, redis.url) as other:
        assert await read(other.vfs, f"{BASELINE}/params.json") == mine
    assert wire.asked


async def test_nothing_there_tells_the_key_or_the_names(wire: Wire, redis: Redis) -> None:
    async with machine(wire, redis.url) as one:
        await one.params()
        await sent(one)
    keys = [word for word in redis.ask("KEYS", "*").split() if word.startswith("cometfs:")]
    everything = "".join([*keys, *(redis.ask("GET", key) for key in keys)])
    assert len(keys) > 3
    assert KEY not in everything
    assert "digits" not in "".join(keys)


@pytest.mark.logs("shared cache")
async def test_without_it_each_asks_by_itself(wire: Wire, redis: Redis) -> None:
    """It dies in the middle of a walk, and programs read on."""
    async with machine(wire, redis.url) as one:
        first = await read(one.vfs, f"{BASELINE}/params.json")
        redis.kill()
        assert await read(one.vfs, f"{BASELINE}/code.py")
        assert await read(one.vfs, f"{BASELINE}/params.json") == first
        assert one.shared.as_object()["away"]
        redis.start()
        with trio.fail_after(30):
            while one.shared.as_object()["away"]:
                await trio.sleep(0.1)
                await one.vfs.refresh(await at(one.vfs, BASELINE), above=())
                await read(one.vfs, f"{BASELINE}/params.json")


@pytest.mark.logs("no room for more answers")
async def test_where_the_memory_is_full_nothing_is_lost(wire: Wire, redis: Redis) -> None:
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    async with machine(wire, redis.url) as one, machine(wire, redis.url) as other:
        mine = await one.params()
        await sent(one)
        assert await other.params() == mine


async def test_a_machine_that_dies_while_it_asks_keeps_nobody(
    wire: Wire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claims are void after a while, and the next one asks."""
    monkeypatch.setattr("cometfs.shared.answers.CLAIM_HOLDS", 1.0)
    async with machine(wire, redis.url) as one, machine(wire, redis.url) as other:
        await names(one.vfs, PROJECT)
        await sent(one)
        began = time.monotonic()
        key = (await at(other.vfs, BASELINE)).at
        await one.shared.answers.claim([PARAMETERS.key(key)])
        one.shared.answers._claimed.clear()  # a dead one says no more that it is at it
        assert await read(other.vfs, f"{BASELINE}/params.json")
        assert time.monotonic() - began < 20


async def test_an_end_in_the_middle_of_sending_loses_nothing(redis: Redis) -> None:
    """What is on its way then is sent, and no claim is left for which others would wait."""
    async with open_shared(redis.url, "comet-1", KEY, 100) as shared, trio.open_nursery() as nursery:
        keys = [("parameters", "", str(number)) for number in range(50)]
        assert set((await shared.answers.claim(keys)).values()) == {True}
        nursery.start_soon(shared.answers.run)
        for key in keys[:40]:
            shared.answers.keep(key, b"value", 60.0)
        shared.answers.settle(keys[40:45])
        while not shared.answers._sending:  # it has no event
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    names = [word for word in redis.ask("KEYS", "*").split() if word.startswith("cometfs:")]
    assert not [name for name in names if name.endswith(":claim")]
    assert len([name for name in names if ":answer:" in name]) == 40


async def test_such_a_link_stays_here(redis: Redis) -> None:
    async with open_shared(redis.url, "comet-1", KEY, 100) as shared:
        shared.answers.keep(("assets", "", "k"), b'{"link":"https://b/a?X-Amz-Signature=abc"}', 60.0, 0.0)
        assert not shared.answers.waits
