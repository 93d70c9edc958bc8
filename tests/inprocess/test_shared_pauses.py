"""What one machine was asked to leave alone by a 429, all that share a Redis leave alone; then one call tries."""

from __future__ import annotations

import time

import httpx
import pytest
import trio

from cometfs.errors import Throttled
from cometfs.server.catalog.catalog import Catalog
from tests.inprocess.conftest import BASELINE, Wire, read
from tests.support.redis_server import Redis
from tests.support.shared_machines import Machine, machine, machines

CODE = "experiment/code"


class BusyWire(Wire):
    """Answers 429 to some endpoints."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.busy: dict[str, int] = {}
        """Endpoints, with the seconds for which they want a pause."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = self.busy.get(request.url.path.removeprefix("/api/rest/v2/"))
        response = await super().handle_async_request(request)
        return response if seconds is None else httpx.Response(429, headers={"Retry-After": str(seconds)})


@pytest.fixture
def busy(index: Catalog) -> BusyWire:
    return BusyWire(index)


@pytest.fixture(autouse=True)
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometfs.shared.pauses.POLL", 0.02)


async def test_a_429_holds_the_calls_of_all(busy: BusyWire, each_redis: Redis) -> None:
    """Of that endpoint, through the tree: Comet gets one call, not one from each machine."""
    busy.busy[CODE] = 1000
    async with machines(3, busy, each_redis.url) as all_of_them:
        for one in all_of_them:
            with pytest.raises(Throttled):
                await read(one.vfs, f"{BASELINE}/code.py")
            assert await read(one.vfs, f"{BASELINE}/params.json")
    assert busy.asked.count(CODE) == 1


async def test_it_lasts_as_long_for_all(wire: Wire, redis: Redis) -> None:
    async with machine(wire, redis.url) as first, machine(wire, redis.url) as second:
        await first.budget.shut("a", 30.0)
        for one in (first, second):
            with pytest.raises(Throttled, match="a may be called again") as refused:
                await one.budget.admit("a")
            assert 20 < refused.value.retry_after <= 30
            await one.budget.admit("b")


async def test_a_second_endpoint_means_everything(wire: Wire, redis: Redis) -> None:
    """Of whichever machines: then all pause at once, also those that have tokens in hand."""
    async with machines(3, wire, redis.url) as (first, second, third):
        await third.budget.admit("c")
        await first.budget.shut("a", 30.0)
        await second.budget.shut("b", 30.0)
        with pytest.raises(Throttled, match="asked for a pause"):
            await third.budget.admit("c")
        assert 20 < (await third.budget.status()).shut_for_s <= 30


async def test_no_pause_is_longer_than_a_minute(wire: Wire, redis: Redis) -> None:
    async with machines(2, wire, redis.url) as (first, second):
        await first.budget.shut("a", 86_400.0)
        with pytest.raises(Throttled) as refused:
            await second.budget.admit("a")
        assert 50 < refused.value.retry_after <= 60


async def test_after_a_pause_one_call_of_all_goes_first(wire: Wire, redis: Redis) -> None:
    """The others wait until it is answered."""
    gone: list[Machine] = []

    async def go(one: Machine) -> None:
        await one.budget.admit("a")
        gone.append(one)

    async with machines(4, wire, redis.url) as all_of_them:
        await all_of_them[0].budget.shut("a", 0.3)
        await trio.sleep(0.4)
        async with trio.open_nursery() as nursery:
            for one in all_of_them:
                nursery.start_soon(go, one)
            with trio.fail_after(10):
                while not gone:  # noqa: ASYNC110  # it has no event
                    await trio.sleep(0.01)
            await trio.sleep(0.5)  # each of the others has looked several times
            (first,) = gone
            first.budget.answered("a")
        assert len(gone) == 4
        await all_of_them[1].budget.admit("a")


async def test_a_second_429_begins_anew(wire: Wire, redis: Redis) -> None:
    async with machines(2, wire, redis.url) as (first, second):
        await first.budget.shut("a", 0.2)
        await trio.sleep(0.3)
        await second.budget.admit("a")
        await second.budget.shut("a", 30.0)
        second.budget.answered("a")  # of a call from before
        with pytest.raises(Throttled):
            await first.budget.admit("a")


async def test_a_first_call_without_an_answer_keeps_nobody_for_long(
    wire: Wire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine may have died; the next one is the first then."""
    monkeypatch.setattr("cometfs.shared.pauses.HOLD", 0.5)
    async with machines(2, wire, redis.url) as (first, second):
        await first.budget.shut("a", 0.1)
        await trio.sleep(0.2)
        await first.budget.admit("a")
        began = time.monotonic()
        with trio.fail_after(10):
            await second.budget.admit("a")
        assert time.monotonic() - began > 0.2


@pytest.mark.logs("shared cache")
async def test_without_the_place_each_keeps_its_own(wire: Wire, redis: Redis) -> None:
    """What it knew of: a pause does not end with the place."""
    async with machines(2, wire, redis.url) as (first, second):
        await first.budget.shut("a", 30.0)
        redis.kill()
        with pytest.raises(Throttled):
            await first.budget.admit("a")
        await second.budget.admit("a")
