"""Small assets come once for all machines that share a Redis, as sound as from Comet; big ones stay where they are."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio

from cometfs.cache.downloads.of_others import LARGEST
from cometfs.errors import CometFSError
from cometfs.server.catalog.catalog import Catalog
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at, at_rest, names, read
from tests.support.redis_server import Redis
from tests.support.shared_machines import KEY, Machine, at_once, everything, machine, machines, sent

ASSET = f"{FOREST}/assets/importances.csv"
BODY = "experiment/asset/get-asset"


class AssetWire(Wire):
    """Has other bodies of assets than the embedded Comet, and gives them when a test says so."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.body: bytes | None = None
        self.size: int | None = None
        """That its listings say of all assets."""
        self.held: trio.Event | None = None
        self.midway: trio.Event | None = None
        """For the next body: its second half comes after that."""
        self.edits["experiment/asset/list"] = self._list

    def _list(self, answer: dict[str, list[dict[str, object]]]) -> None:
        for row in answer["assets"]:
            row["fileSize"] = row["fileSize"] if self.size is None else self.size

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.url.path.endswith(BODY):
            if self.held is not None:
                await self.held.wait()
            if self.body is not None:
                midway, self.midway = self.midway, None
                return httpx.Response(
                    200, stream=_Sent(self.body, midway), headers={"content-length": str(len(self.body))}
                )
        return response


class _Sent(httpx.AsyncByteStream):
    def __init__(self, body: bytes, midway: trio.Event | None) -> None:
        self._body, self._midway = body, midway

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._body) // 2
        yield self._body[:half]
        if self._midway is not None:
            await self._midway.wait()
        yield self._body[half:]


@pytest.fixture
def assets(index: Catalog) -> AssetWire:
    return AssetWire(index)


async def _end_after(seconds: float, scope: trio.CancelScope) -> None:
    await trio.sleep(seconds)
    scope.cancel()


async def one_asset(one: Machine) -> bytes:
    return await read(one.vfs, ASSET)


async def test_each_asset_is_fetched_once(assets: AssetWire, each_redis: Redis) -> None:
    """Eight machines want all of an experiment at the same time: each asset is one call, all have the same bytes."""

    async def all_of_it(one: Machine) -> dict[str, str]:
        folder = f"{FOREST}/assets"
        files = [f"{folder}/{name}" for name in await names(one.vfs, folder) if "." in name]
        return {path: hashlib.sha256(await read(one.vfs, path)).hexdigest() for path in files}

    async with machine(assets, each_redis.url) as alone:
        mine = await all_of_it(alone)
    calls = assets.asked.count(BODY)
    each_redis.ask("FLUSHALL")
    assets.asked.clear()
    async with machines(8, assets, each_redis.url) as all_of_them:
        assert await at_once(all_of_them, all_of_it) == [mine] * 8
    assert calls > 2
    assert assets.asked.count(BODY) == calls


async def test_while_one_fetches_the_others_wait(assets: AssetWire, redis: Redis) -> None:
    """And get what it has got."""
    assets.held, found = trio.Event(), list[bytes]()

    async def fetch(one: Machine) -> None:
        found.append(await one_asset(one))

    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second, trio.open_nursery() as both:
        both.start_soon(fetch, first)
        with trio.fail_after(30):
            while BODY not in assets.asked:  # noqa: ASYNC110  # it has no event
                await trio.sleep(0.01)
        both.start_soon(fetch, second)
        await at(second.vfs, ASSET)
        assets.held.set()
    assert found[0] == found[1]
    assert assets.asked.count(BODY) == 1


async def test_where_the_first_gives_up_the_next_one_fetches(assets: AssetWire, redis: Redis) -> None:
    assets.held = trio.Event()
    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second:
        with trio.move_on_after(0.5):
            await one_asset(first)
        assets.held.set()
        with trio.fail_after(30):
            assert await one_asset(second)


async def test_what_came_from_another_is_kept_on_disk(assets: AssetWire, redis: Redis, tmp_path: Path) -> None:
    """As what came from Comet is: the shared place may go away."""
    async with machine(assets, redis.url) as first:
        mine = await one_asset(first)
        await sent(first)
        async with machine(assets, redis.url, folder=tmp_path / "cache") as second:
            assert await one_asset(second) == mine
            await at_rest()
    redis.ask("FLUSHALL")
    async with machine(assets, redis.url, folder=tmp_path / "cache") as again:
        assert await one_asset(again) == mine
    assert assets.asked.count(BODY) == 1


@pytest.mark.parametrize(("size", "calls"), [(LARGEST, 1), (LARGEST + 1, 2)])
async def test_big_ones_stay(assets: AssetWire, redis: Redis, size: int, calls: int) -> None:
    assets.size, assets.body = size, b"x" * size
    async with machine(assets, redis.url) as first:
        assert len(await one_asset(first)) == size
        await sent(first)
        async with machine(assets, redis.url) as second:
            assert len(await one_asset(second)) == size
    assert assets.asked.count(BODY) == calls


async def test_big_ones_of_unknown_size_keep_nobody(
    assets: AssetWire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a listing without sizes only the body shows that it is big: the others are let go as soon as it does."""
    monkeypatch.setattr("cometfs.cache.downloads.of_others.PATIENCE", 600.0)
    monkeypatch.setattr("cometfs.shared.answers.LONGEST_WAIT", 600.0)
    assets.size, assets.body = 0, b"x" * (LARGEST + 1)
    assets.midway = trio.Event()
    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second:
        opened, found = await first.vfs.files.open(await at(first.vfs, ASSET)), b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_after, 20.0, nursery.cancel_scope)  # a deadline would be known, and heeded
            found = await one_asset(second)
            nursery.cancel_scope.cancel()
        assert len(found) == LARGEST + 1
        opened.close()


@pytest.mark.logs("its listing says")
async def test_one_of_another_size_stays(assets: AssetWire, redis: Redis) -> None:
    """What is shown for want of better is not passed on."""
    assets.size, assets.body = 1000, b"x" * 999
    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second:
        assert len(await one_asset(first)) == 999
        await sent(first)
        assert len(await one_asset(second)) == 999
    assert assets.asked.count(BODY) >= 2


async def test_one_that_broke_stays(assets: AssetWire, redis: Redis) -> None:
    """A login page is not an asset, also for the others."""
    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second:
        assets.body = b"<!doctype html><html>log in</html>"
        with pytest.raises(CometFSError):
            await one_asset(first)
        await sent(first)
        assets.body = None
        assert b"<html" not in await one_asset(second)


async def test_one_that_was_logged_anew_is_another(assets: AssetWire, redis: Redis) -> None:
    """Of the same name and size, as soon as the listing shows it: on one machine, too, that is what shows it."""
    async with machine(assets, redis.url) as first:
        before = await one_asset(first)
        await sent(first)
        assets.body = bytes(reversed(before))

        def later(answer: dict[str, list[dict[str, int]]]) -> None:
            for row in answer["assets"]:
                row["createdAt"] += 1

        assets.edits["experiment/asset/list"] = later
        async with machine(assets, redis.url) as second:
            await second.vfs.refresh(await at(second.vfs, f"{FOREST}/assets"), above=())
            assert await one_asset(second) == assets.body


async def test_a_refresh_fetches_anew(assets: AssetWire, redis: Redis) -> None:
    async with machine(assets, redis.url) as one:
        before = await one_asset(one)
        await sent(one)
        assets.body = bytes(reversed(before))
        await one.vfs.refresh(await at(one.vfs, ASSET), above=[await at(one.vfs, f"{FOREST}/assets")])
        assert await one_asset(one) == assets.body
        await sent(one)
        async with machine(assets, redis.url) as other:
            assert await one_asset(other) == assets.body, "what is newer takes its place"


@pytest.mark.logs("written by another")
async def test_a_forged_one_is_not_believed(assets: AssetWire, redis: Redis) -> None:
    """Nor one that was sound, under the name of another."""
    other_asset = f"{BASELINE}/assets/confusion-matrix.json"
    async with machine(assets, redis.url) as one:
        mine = await one_asset(one)
        await read(one.vfs, other_asset)
        await sent(one)
    sound = {name: redis.value(name) for name in redis.names("*:answer:*")}
    for name, another in zip(sound, [*list(sound)[1:], next(iter(sound))], strict=True):
        redis.ask("SET", name, sound[another], "EX", "1000")
    assets.asked.clear()
    async with machine(assets, redis.url) as other:
        assert await one_asset(other) == mine
    assert BODY in assets.asked


LINK = b"https://b.s3.amazonaws.com/a?X-Amz-Signature=0123456789abcdef"


@pytest.mark.parametrize("secret", [LINK, LINK.replace(b"?", b"\\u003f").lower(), KEY.encode()])
async def test_one_with_a_secret_stays(assets: AssetWire, redis: Redis, secret: bytes) -> None:
    assets.body = b"see " + secret
    assets.size = len(assets.body)
    async with machine(assets, redis.url) as first, machine(assets, redis.url) as second:
        assert await one_asset(first) == assets.body
        await sent(first)
        assert await one_asset(second) == assets.body
    assert secret not in everything(redis)
    assert assets.asked.count(BODY) == 2


@pytest.mark.logs("shared cache")
async def test_without_the_place_each_fetches(assets: AssetWire, redis: Redis) -> None:
    redis.kill()
    async with machines(2, assets, redis.url) as both:
        one, other = await at_once(both, one_asset)
    assert one == other
    assert assets.asked.count(BODY) == 2


async def test_where_the_memory_is_full_each_fetches(
    assets: AssetWire, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    caplog.set_level("ERROR")
    async with machines(2, assets, redis.url) as both:
        one, other = await at_once(both, one_asset)
    assert one == other
