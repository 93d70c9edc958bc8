"""Parts of an asset, from a storage whose links expire or that fails meanwhile, and from Comet itself instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
import trio
import trio.testing

from cometfs import API
from cometfs.comet.downloads.stream import AssetPart
from cometfs.comet.http.transport import Transport
from cometfs.errors import DeadlineExceeded, Stale

BODY = bytes(range(256)) * 4
SIGNED = "X-Amz-Signature=presigned"

Answer = httpx.Response | Exception
Handler = Callable[[httpx.Request], Awaitable[Answer]]


def ranged(request: httpx.Request, etag: str) -> httpx.Response:
    """The bytes asked for."""
    start, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
    stop = int(last) + 1 if last else len(BODY)
    where = f"bytes {start}-{stop - 1}/{len(BODY)}"
    return httpx.Response(206, content=BODY[int(start) : stop], headers={"Content-Range": where, "ETag": etag})


class Storing:
    """A Comet that redirects to a storage; `storage` answers in its place where a test says so."""

    def __init__(self) -> None:
        self.links = 0
        self.hosts: list[str] = []
        self.conditions: list[str] = []
        self.storage: Handler | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.params.get("allow301", request.url.host))
        self.conditions.append(request.headers.get("if-match", ""))
        if request.url.host == "s3":
            answer = await self.storage(request) if self.storage else ranged(request, '"s3"')
            if isinstance(answer, Exception):
                raise answer
            return answer
        await trio.testing.wait_all_tasks_blocked()
        if request.url.params["allow301"] == "true":
            self.links += 1
            return httpx.Response(302, headers={"Location": f"https://s3/{self.links}?{SIGNED}"})
        return ranged(request, '"comet"')

    async def expired(self, request: httpx.Request) -> Answer:
        return ranged(request, '"s3"') if request.url.path == f"/{self.links}" else httpx.Response(403)


def api(comet: Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]) -> API:
    return API("0123456789abcdefghijklmno", "http://comet.example", transport=Transport(httpx.MockTransport(comet)))


async def whole(asked: AbstractAsyncContextManager[AssetPart]) -> bytes:
    async with asked as part:
        return b"".join([chunk async for chunk in part])


async def silent(_request: httpx.Request) -> Answer:
    await trio.sleep_forever()
    raise AssertionError


async def broken(_request: httpx.Request) -> Answer:
    await trio.lowlevel.checkpoint()
    return httpx.ConnectError("no route")


async def in_trouble(_request: httpx.Request) -> Answer:
    await trio.lowlevel.checkpoint()
    return httpx.Response(503)


@pytest.mark.parametrize("fault", [silent, broken, in_trouble])
@pytest.mark.logs("Comet sends files itself, as their storage cannot be used from here")
async def test_a_storage_that_fails_in_mid_file(fault: Handler, autojump_clock: trio.testing.MockClock) -> None:
    """Comet itself sends the rest, which is not held against the storage's version; the next file, too."""
    comet = Storing()
    async with api(comet) as one:
        ask = one.asset_parts("k", "a")
        async with ask(0, 100, "") as part:
            etag = part.etag
            assert (b"".join([chunk async for chunk in part]), part.bounded) == (BODY[:100], True)
        comet.storage = fault
        async with ask(100, 200, etag) as part:
            assert (b"".join([chunk async for chunk in part]), part.bounded) == (BODY[100:], False)
        assert trio.current_time() < 15
        async with ask(200, 300, etag) as part:
            assert part.total == len(BODY)
    assert comet.hosts == ["true", "s3", "s3", "true", "s3", "false", "false"]


@pytest.mark.parametrize("came", [b"", b"some"])
async def test_a_part_that_stalls_is_given_up_soon(came: bytes, autojump_clock: trio.testing.MockClock) -> None:
    """So that there is time left for another request within a reader's deadline."""
    comet = Storing()

    async def chunks() -> AsyncIterator[bytes]:
        if came:
            yield came
        await trio.sleep_forever()

    async def stalling(request: httpx.Request) -> Answer:
        await trio.lowlevel.checkpoint()
        return httpx.Response(206, content=chunks(), headers=ranged(request, '"s3"').headers)

    comet.storage = stalling
    async with api(comet) as one:
        with pytest.raises(DeadlineExceeded):
            await whole(one.asset_parts("k", "a")(0, 100, ""))
    assert trio.current_time() < 15


async def test_a_link_that_expires_is_asked_for_once(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever number of parts is on its way."""
    comet = Storing()
    comet.storage = comet.expired
    async with api(comet) as one:
        ask = one.asset_parts("k", "a")

        async def fetch(start: int) -> None:
            assert await whole(ask(start, start + 10, '"s3"')) == BODY[start : start + 10]

        await fetch(0)
        comet.links += 1
        async with trio.open_nursery() as parts:
            for start in range(0, 80, 10):
                parts.start_soon(fetch, start)
    assert comet.hosts.count("true") == 2


async def test_what_comet_itself_sends_is_not_held_against_its_storage() -> None:
    """Not even where another part gets a link to that meanwhile."""
    comet = Storing()
    begun, go_on = trio.Event(), trio.Event()

    async def streaming_first(request: httpx.Request) -> httpx.Response:
        if begun.is_set():
            return await comet(request)
        begun.set()
        await go_on.wait()
        return ranged(request, '"comet"')

    async with api(streaming_first) as one:
        ask = one.asset_parts("k", "a")
        found: list[tuple[str, bool]] = []

        async def fetch() -> None:
            async with ask(0, 10, '"s3"') as part:
                found.append((part.etag, part.bounded))

        async with trio.open_nursery() as parts:
            parts.start_soon(fetch)
            await begun.wait()
            await fetch()
            go_on.set()
    assert found == [('"s3"', True), ('comet "comet"', False)]


async def test_another_version_is_stale(autojump_clock: trio.testing.MockClock) -> None:
    """Whether a server looks at the condition or not, and where it is shorter than what is asked for."""
    comet = Storing()

    async def other(request: httpx.Request) -> Answer:
        await trio.lowlevel.checkpoint()
        return ranged(request, '"2"') if request.url.path == "/1" else httpx.Response(412)

    comet.storage = other
    async with api(comet) as one:
        for _ in range(2):
            with pytest.raises(Stale):
                async with one.asset_parts("k", "a")(0, 10, '"s3"'):
                    pass


@pytest.mark.parametrize("status", [412, 416])
async def test_comet_itself_may_have_another_version_instead(status: int) -> None:
    """Where its storage cannot be used."""
    comet = Storing()
    comet.storage = broken

    async def refusing(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("allow301") == "false":
            return httpx.Response(status)
        return await comet(request)

    async with api(refusing) as one:
        with pytest.raises(Stale):
            async with one.asset_parts("k", "a")(0, 10, 'comet "1"'):
                pass
