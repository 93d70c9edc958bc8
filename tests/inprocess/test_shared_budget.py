"""Several machines take from one bucket, in a real Redis; without it each goes on with its part."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from cometfs.errors import SetupError, Throttled
from cometfs.quota.limiter import Budget
from cometfs.shared.address import checked_address
from cometfs.shared.bucket import SharedBucket
from cometfs.shared.place import Place, open_place
from tests.support.redis_server import EACH, Redis, running

RATE = 1000
KEY = "the-key-of-an-account"


@asynccontextmanager
async def member(
    url: str, rate: float = RATE, account: str = "comet.com-1"
) -> AsyncIterator[tuple[Budget, SharedBucket, Place]]:
    async with open_place(url, account, KEY) as place:
        bucket = SharedBucket(place, rate)
        budget = Budget(bucket)
        async with trio.open_nursery() as writing:
            writing.start_soon(budget.run)
            yield budget, bucket, place
            writing.cancel_scope.cancel()


async def spend(budget: Budget, most: int = 10_000) -> int:
    """Calls that may be made before the budget says that no more are left."""
    for calls in range(most):
        try:
            with trio.fail_after(6):
                await budget.admit("experiment/code")
        except (Throttled, trio.TooSlowError):
            return calls
    return most


async def test_members_take_from_one_bucket(each_redis: Redis) -> None:
    """All together never make more calls than the rate; the status of each shows the calls of all."""
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(each_redis.url, rate=60)) for _ in range(8)]
        made: list[int] = []

        async def one(budget: Budget) -> None:
            made.append(await spend(budget))

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for budget, _, _ in members:
                nursery.start_soon(one, budget)
        gained = (trio.current_time() - began) * 60 / 3600
        assert 60 - 8 * 8 <= sum(made) <= 60 + gained + 1
        await members[0][0].status()
        seen = await members[1][0].status()
        assert seen.by_endpoint.keys() == {"experiment/code"}
        assert members[1][1].members == 8


async def test_what_was_not_used_comes_back(redis: Redis) -> None:
    async with member(redis.url) as (budget, _, _):
        await budget.admit("a")
    async with member(redis.url) as (budget, _, _):
        assert (await budget.status()).left >= RATE - 2


async def test_accounts_are_apart(redis: Redis) -> None:
    """Each has keys of its own, and none of them tells the API key."""
    async with member(redis.url) as (first, _, _), member(redis.url, account="comet.com-2") as (second, _, _):
        await first.admit("a")
        assert (await second.status()).by_endpoint == {}
        names = b" ".join(redis.names())
    assert b"cometfs:2:comet.com-1:bucket" in names
    assert KEY.encode() not in names


async def test_a_pause_is_for_all(redis: Redis) -> None:
    """What one was told by a 429 about the account, the others know when they take next."""
    async with member(redis.url) as (first, _, _), member(redis.url) as (second, _, _):
        await first.shut("a", 30)
        await first.shut("b", 30)
        with pytest.raises(Throttled):
            await second.admit("c")


@pytest.mark.logs("shared cache")
async def test_a_place_that_dies_leaves_each_its_part(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The parts of all are no more than was left; it is said once; when it is back, what was used meanwhile counts."""
    async with member(redis.url) as (first, one, place), member(redis.url) as (second, other, _):
        await first.admit("a")
        await second.admit("a")
        await first.status()
        redis.kill()
        calls = await spend(first), await spend(second)
        assert all(RATE / 2 * 0.95 <= each <= RATE / 2 + 10 for each in calls), calls
        assert one.as_object()["away"]
        assert one.as_object()["rate_alone"] == RATE / 2
        assert caplog.text.count("goes on alone") == 2
        assert (await first.status()).rate == RATE / 2
        redis.start()
        with trio.fail_after(30):
            while place.why or other.as_object()["away"]:
                await trio.sleep(0.2)
                await first.status()
                await second.status()
        assert (await first.status()).left <= 20  # the new one knows nothing of what was used
        assert one.as_object()["away"] is None
    assert caplog.text.count("is back") == 2


@pytest.mark.logs("shared cache")
async def test_a_place_that_lives_on_learns_what_was_used_alone(redis: Redis) -> None:
    """It was only out of reach, and counts what was used without it."""
    async with member(redis.url) as (budget, _, place):
        await budget.admit("a")
        redis.send(signal.SIGSTOP)
        assert await spend(budget, 300) == 300
        redis.send(signal.SIGCONT)
        with trio.fail_after(30):
            while place.why:
                await trio.sleep(0.2)
                await budget.status()
        assert (await budget.status()).left <= RATE - 300


@pytest.mark.logs("shared cache")
async def test_a_slow_place_costs_its_patience_once(redis: Redis, mock_patience: None) -> None:
    redis.send(signal.SIGSTOP)
    async with member(redis.url) as (budget, _, _):
        with trio.fail_after(10):
            assert await spend(budget, 50) == 50
    redis.send(signal.SIGCONT)


@pytest.fixture
def mock_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometfs.shared.place.PATIENCE", 0.3)


@pytest.mark.logs("shared cache")
@pytest.mark.parametrize("program", EACH)
async def test_a_wrong_password_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, program: str | None) -> None:
    with running(tmp_path, "--requirepass", "right", program=program) as server:
        wrong = server.url.replace("redis://", "redis://:wrong-word@")
        async with member(wrong) as (budget, _, _):
            assert await spend(budget, 20) == 20
        assert "goes on alone" in caplog.text
        assert "wrong-word" not in caplog.text
        async with member(server.url.replace("redis://", "redis://:right@")) as (budget, bucket, _):
            await budget.admit("a")
            await budget.status()
            assert bucket.members >= 1


async def test_calls_are_counted_where_the_memory_is_full(each_redis: Redis) -> None:
    async with member(each_redis.url) as (budget, bucket, _):
        await budget.admit("a")
        each_redis.ask("CONFIG", "SET", "maxmemory", "1")
        assert await spend(budget, 50) == 50
        assert (await budget.status()).used == 51
        assert bucket.as_object()["away"] is None


@pytest.mark.parametrize("address", ["localhost", "http://x", "redis://", "redis://a:b:c", ""])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(SetupError, match="no address"):
        checked_address(address)
