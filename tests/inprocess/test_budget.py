"""Who may call: readers before what is fetched ahead, all mounts of an account out of one bucket."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from cometfs.caller import AHEAD, CALLER, Caller
from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_budget, open_vfs
from cometfs.errors import Throttled, Withheld
from cometfs.quota.limiter import AT_ONCE, Budget
from cometfs.quota.pauses import Pauses
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from tests.inprocess.conftest import Wire, at, names, read

RATE = 15_000
PROJECT = "vision-lab/digits"


@pytest.fixture
async def budget(tmp_path: Path) -> AsyncIterator[Budget]:
    async with open_budget(tmp_path, RATE) as found:
        await found.admit("first")
        yield found


def pour(folder: Path, tokens: float) -> None:
    """Sets what is in the bucket."""
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("UPDATE bucket SET tokens = ?, at = ?", (tokens, time.time()))
    db.close()


async def exhaust_hand(budget: Budget) -> None:
    """Uses what the mount has taken already."""
    for _ in range(AT_ONCE - 1):
        await budget.admit("hand")


async def test_all_mounts_of_an_account_draw_on_one_bucket(tmp_path: Path, budget: Budget) -> None:
    """What one has used is missing for the other; what it took and did not use comes back."""
    began = time.time()
    async with open_budget(tmp_path, RATE) as other:
        for _ in range(100):
            await other.admit("experiment/parameters")
    seen = await budget.status()
    gained = (time.time() - began) * RATE / 3600
    assert seen.used == 101
    assert RATE - 101 <= seen.left <= RATE - 101 + gained + 1
    assert seen.by_endpoint == {"experiment/parameters": 100, "first": 1}


async def test_no_more_is_left_than_the_bucket_holds(tmp_path: Path, budget: Budget) -> None:
    """Not what it has gained back since a mount took from it, and that as well."""
    pour(tmp_path, RATE)
    assert (await budget.status()).left == RATE


async def test_calls_are_counted_to_the_program_that_waits(budget: Budget) -> None:
    """By the name of its process; what is fetched ahead has a name of its own."""
    CALLER.set(Caller(1))
    await budget.admit("a")
    CALLER.set(AHEAD)
    await budget.admit("b")
    init = Path("/proc/1/comm").read_text().strip()
    assert (await budget.status()).by_command == {"cometfs": 1, init: 1, "readahead": 1}


async def test_the_last_fifth_is_for_who_waits(tmp_path: Path, budget: Budget) -> None:
    """Readahead is refused at once, a reader is let through."""
    await exhaust_hand(budget)
    pour(tmp_path, RATE / 10)  # more than that is gained in six minutes
    await budget.admit("a reader")
    assert not budget.spare()
    CALLER.set(AHEAD)
    with pytest.raises(Withheld):
        await budget.admit("ahead")
    CALLER.set(Caller())
    await budget.admit("a reader")


async def test_what_is_fetched_ahead_is_not_refused_while_tokens_are_taken(budget: Budget) -> None:
    """Taking the next ones lasts a moment; that is no reason to do without."""
    await exhaust_hand(budget)
    CALLER.set(AHEAD)
    async with trio.open_nursery() as nursery:
        for _ in range(4 * AT_ONCE):
            nursery.start_soon(budget.admit, "ahead")
    assert (await budget.status()).by_endpoint["ahead"] == 4 * AT_ONCE


async def test_an_empty_bucket_makes_readers_wait_in_their_order(tmp_path: Path, budget: Budget) -> None:
    """At 36,000 an hour a token comes every tenth of a second."""
    order: list[int] = []
    async with open_budget(tmp_path, 36_000) as quick:
        pour(tmp_path, 0.0)

        async def reader(number: int) -> None:
            await quick.admit("x")
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(reader, number)
                await trio.testing.wait_all_tasks_blocked()
        assert order == [0, 1, 2, 3, 4]


async def test_who_would_wait_long_is_told_for_how_long(tmp_path: Path) -> None:
    """A call a minute: the second reader decides himself what to do."""
    async with open_budget(tmp_path, 60) as slow:
        await slow.admit("x")
        await exhaust_hand(slow)
        pour(tmp_path, 0.0)
        with pytest.raises(Throttled) as told:
            await slow.admit("x")
        assert 30 < told.value.retry_after <= 60


async def test_a_429_pauses_what_it_was_about(budget: Budget) -> None:
    """Not the rest of the account; and the reason is the true one."""
    await budget.shut("experiment/html", 86_400.0)
    with pytest.raises(Throttled, match="asked for a pause: experiment/html") as refused:
        await budget.admit("experiment/html")
    assert 55 < refused.value.retry_after <= 60
    await budget.admit("experiment/parameters")
    assert (await budget.status()).shut_for_s == 0


async def test_two_429_shut_the_bucket_for_all_mounts(tmp_path: Path, budget: Budget) -> None:
    """Of two endpoints at a time: it is the account that is meant. For as long as the server says, and no longer."""
    async with open_budget(tmp_path, RATE) as other:
        await budget.shut("a", 50.0)
        await budget.shut("a", 50.0)
        await other.admit("b")
        await budget.shut("b", 50.0)
        assert 40 < (await other.status()).shut_for_s <= 50
        await exhaust_hand(other)
        assert (await other.status()).left == 0
        with pytest.raises(Throttled, match="asked all mounts of the account for a pause"):
            await other.admit("x")
        with pytest.raises(Throttled, match="asked for a pause"):
            await budget.admit("x")


async def test_no_server_shuts_the_bucket_for_longer_than_a_minute(budget: Budget) -> None:
    """And one that wants more is not taken for a clock that was set back."""
    await budget.shut("a", 86_400.0)
    await budget.shut("b", 86_400.0)
    assert 50 < (await budget.status()).shut_for_s <= 60


async def test_the_servers_429_reaches_the_bucket(budget: Budget) -> None:
    """Through the API, whose call fails in Comet's own words; the next one is not sent."""
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(429, headers={"Retry-After": "1000"})

    async with API("key", "http://comet", transport=Transport(httpx.MockTransport(refuse)), gate=budget) as api:
        for words in ("answered 429", "asked for a pause"):
            with pytest.raises(Throttled, match=words):
                await api.workspaces()
    assert len(asked) == 1


async def passing(pauses: Pauses, endpoint: str, passed: list[str]) -> None:
    await pauses.passed(endpoint)
    passed.append(endpoint)


async def test_after_a_pause_one_call_goes_first(autojump_clock: trio.testing.MockClock) -> None:
    """The others wait for its answer; a second 429 begins the pause anew."""
    pauses, passed = Pauses(), list[str]()
    await pauses.begin("a", 10.0)
    pauses.answered("a")  # a call that was on its way
    with pytest.raises(Throttled):
        await pauses.passed("a")
    await trio.sleep(10.0)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(passing, pauses, "a", passed)
        await trio.testing.wait_all_tasks_blocked()
        assert passed == ["a"]
        pauses.answered("a")
    assert passed == ["a"] * 3
    assert trio.current_time() == pytest.approx(10.0, abs=0.1)


async def test_a_first_call_without_an_answer_keeps_nobody_for_long(autojump_clock: trio.testing.MockClock) -> None:
    """It may have been cancelled; the next one is the first then."""
    pauses = Pauses()
    await pauses.begin("a", 10.0)
    await trio.sleep(10.0)
    await pauses.passed("a")
    await pauses.passed("a")
    assert trio.current_time() == pytest.approx(15.0, abs=0.1)


async def test_a_call_that_its_own_pause_keeps_back_is_no_first_one(autojump_clock: trio.testing.MockClock) -> None:
    """After a pause of everything, others would wait for an answer that never comes."""
    pauses = Pauses()
    await pauses.begin("a", 60.0)
    assert await pauses.begin("b", 10.0), "everything pauses"
    await trio.sleep(10.0)
    with pytest.raises(Throttled):
        await pauses.passed("a")
    await pauses.passed("b")
    assert trio.current_time() == pytest.approx(10.0, abs=0.1)


@pytest.mark.logs("counted for this mount alone")
async def test_without_a_database_the_calls_are_counted_alone(tmp_path: Path) -> None:
    """A warning once; nobody waits."""
    (tmp_path / "index.sqlite").write_bytes(b"this is no database " * 1000)
    async with open_budget(tmp_path, RATE) as alone:
        for _ in range(20):
            await alone.admit("x")
        assert (await alone.status()).used == 20


async def test_calls_that_are_taken_and_looked_at_at_once_are_all_counted(tmp_path: Path) -> None:
    """Threads take turns at the database: two at a time are the end of the process."""
    async with open_budget(tmp_path, 10**6) as budget:

        async def caller() -> None:
            for _ in range(200):
                await budget.admit("x")

        async def looker() -> None:
            for _ in range(200):
                await budget.status()

        async with trio.open_nursery() as nursery:
            for task in (caller, caller, looker, looker, looker):
                nursery.start_soon(task)
        assert (await budget.status()).used == 400


@pytest.fixture(scope="module")
def many() -> Catalog:
    """The sample, every archive 25 times."""
    return open_directory(sample_directory(), 25)


async def test_a_walk_with_little_left_goes_on_without_readahead(tmp_path: Path, many: Catalog) -> None:
    """Every file is right, and each was asked for by itself."""
    wire = Wire(many)
    async with (
        open_budget(tmp_path, RATE) as budget,
        API("key", "http://comet", transport=Transport(wire), gate=budget) as api,
        open_vfs(api, budget=budget) as vfs,
    ):
        directories = [name for name in await names(vfs, PROJECT) if name.startswith(("mlp", "sgd"))]
        pour(tmp_path, RATE / 10)
        await exhaust_hand(budget)
        await budget.admit("the next ones are taken from the bucket")
        wire.asked.clear()
        for name in directories:
            assert (await read(vfs, f"{PROJECT}/{name}/params.json")).startswith(b"{")
        assert wire.asked.count("experiment/parameters") == len(directories)
        assert await at(vfs, ".cometfs/status.json")
        assert b'"readahead"' not in await read(vfs, ".cometfs/status.json")
