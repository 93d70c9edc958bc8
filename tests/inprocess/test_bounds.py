"""Answers that are more than they should be: each ends in an error in time, and memory stays bounded meanwhile."""

from __future__ import annotations

import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
import trio
import trio.testing

from cometfs import API
from cometfs.comet.answers import models
from cometfs.comet.answers.shapes import MOST
from cometfs.comet.http.large_answers import ARRIVING, LARGE
from cometfs.errors import AnswerTooLarge
from cometfs.render import tables
from cometfs.vfs.answers.validation import MORE, Expected, validated
from cometfs.vfs.engine.files import RENDERED
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from tests.inprocess.conftest import BASELINE, at, names, read
from tests.inprocess.test_api import Body, Comet, api, ok, raised

MIB = 1 << 20
ENCODED = {"Content-Encoding": "gzip"}


def bomb(begin: bytes, gib: int = 10) -> bytes:
    """10 GiB of spaces behind a beginning, in 10 MiB of gzip."""
    packed = zlib.compressobj(9, wbits=31)
    head = packed.compress(begin) + packed.flush(zlib.Z_FULL_FLUSH)
    block = packed.compress(b" " * MIB) + packed.flush(zlib.Z_FULL_FLUSH)
    return head + block * (gib << 10)


@contextmanager
def allocating_at_most(most: int) -> Iterator[None]:
    """Fails if the block allocates more than `most` bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


async def test_a_gzip_bomb_is_too_large_and_keeps_nothing_else_waiting() -> None:
    """It is unpacked in steps, between which others get their turn."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    answer = httpx.Response(200, headers=ENCODED, stream=Body(bomb(b'{"workspaceNames":["a"]')))
    with allocating_at_most(160 * MIB):
        async with api(Comet(answer)) as one, trio.open_nursery() as nursery:
            nursery.start_soon(others)
            assert isinstance(await raised(one.workspaces()), AnswerTooLarge)
            nursery.cancel_scope.cancel()
    assert turns > 100


async def test_a_bomb_ends_with_its_reader() -> None:
    """A reader that gives up in the middle: no more is unpacked."""
    answer = httpx.Response(200, headers=ENCODED, stream=Body(bomb(b"x")))
    async with api(Comet(answer)) as one, one.stream_asset("k", "a") as stream:
        came = 0
        with trio.CancelScope() as scope:
            async for chunk in stream:
                came += len(chunk)
                if came > 8 * MIB:
                    scope.cancel()
        assert came < 16 * MIB


@pytest.mark.parametrize("headers", [{}, ENCODED])
async def test_a_patch_without_an_end_is_too_large(headers: dict[str, str]) -> None:
    """It is held in memory as a whole, so no more of it is taken in than of any answer."""
    parts = [bomb(b"PK")] if headers else [b"PK" * MIB] * 200
    answer = httpx.Response(200, headers=headers, stream=Body(*parts))
    with allocating_at_most(160 * MIB):
        async with api(Comet(answer)) as one:
            assert isinstance(await raised(one.experiment_git_patch("k")), AnswerTooLarge)


@pytest.mark.parametrize("row", [b"{}", b'""', b'"ab"', b"[]", b'{"experimentKey":"a"}'])
async def test_rows_that_would_fill_memory_are_too_large(row: bytes) -> None:
    """Though their JSON would not: 60 MiB of it are 2 GB of empty objects."""
    body = b'{"experiments":[' + (row + b",") * ((60 << 20) // (len(row) + 1)) + row + b"]}"
    with allocating_at_most(3 * len(body)):
        async with api(Comet(httpx.Response(200, content=body))) as one:
            error = await raised(one.experiments_by_project_id("p"))
    assert isinstance(error, AnswerTooLarge)
    assert f"hold more than {MOST >> 20} MiB" in str(error)
    assert "experiments" in str(error)


def test_real_answers_may_be_as_many_bytes_as_any() -> None:
    """Points of a metric, as Comet has them."""
    point = b'{"metricName":"loss","metricValue":"0.123456","timestamp":1700000000000,"step":1,"epoch":null}'
    count = (62 << 20) // len(point)
    assert len(models.points(b'{"metrics":[' + b",".join([point] * count) + b"]}")) == count


async def test_fields_that_are_not_asked_for_take_no_memory() -> None:
    """However many a server sends beside what was asked for."""
    fields = b",".join(b'"%x":0' % number for number in range(1_000_000))
    body = b'{"output":"x",' + fields + b"}"
    with allocating_at_most(4 * len(body)):
        async with api(Comet(httpx.Response(200, content=body))) as one:
            assert await one.experiment_output("k") == "x"


async def test_of_large_answers_few_arrive_at_once() -> None:
    """The others wait with their first MiB; small ones pass them by, and all come in the end."""
    arriving, go_on = 0, trio.Event()

    class Large(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal arriving
            yield b'{"workspaceNames":["a"],"x":"' + b"y" * LARGE
            arriving += 1
            await go_on.wait()
            yield b'"}'

    count = 3 * ARRIVING
    answers = [httpx.Response(200, stream=Large()) for _ in range(count)]
    found: list[list[str]] = []
    async with api(Comet(*answers, ok({"workspaceNames": ["small"]}))) as one, trio.open_nursery() as nursery:

        async def ask() -> None:
            found.append(await one.workspaces())

        for _ in range(count):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert arriving == ARRIVING
        assert await one.workspaces() == ["small"]
        go_on.set()
    assert found == [["a"]] * count


@pytest.mark.parametrize("size", [480, None])
async def test_a_body_without_an_end_is_given_up(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing says how long it is, its listing does, with some room; else it would fill the disk."""
    monkeypatch.setattr("cometfs.vfs.answers.validation.UNLISTED", 2 * MORE)
    answer = httpx.Response(200, stream=Body(*[b"x" * MIB] * 1000))
    came: list[int] = []
    with allocating_at_most(16 * MIB):
        async with api(Comet(answer)) as one:
            with pytest.raises(AnswerTooLarge, match="asset 'a' has no end"):
                await _received(one, Expected("asset 'a'", size), came)
    assert sum(came) <= (2 * MORE if size is None else size + MORE)


async def _received(one: API, expected: Expected, came: list[int]) -> None:
    async with validated(one.stream_asset("k", "a"), expected, _nothing) as stream:
        async for chunk in stream:
            came.append(len(chunk))


async def _nothing(_size: int) -> None:
    """No listing is to be asked again."""


async def test_few_big_answers_are_rendered_at_once(vfs: Vfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take a hundred MiB meanwhile; all are made in the end, and small files do not wait for them."""
    lock, go_on = threading.Lock(), threading.Event()
    now, most = 0, 0

    def render(*_answer: object) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        go_on.wait()
        with lock:
            now -= 1
        return b"made"

    charts = [name for name in await names(vfs, "vision-lab/digits/charts") if name.endswith(".csv")]
    nodes = [await at(vfs, f"vision-lab/digits/charts/{name}") for name in charts[: 4 * RENDERED]]
    monkeypatch.setattr(tables, "chart", render)
    found: list[object] = []

    async def open_one(node: Node) -> None:
        found.append((await vfs.files.open(node)).size)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(open_one, node)
        try:
            while most < RENDERED:  # noqa: ASYNC110  # a thread says so
                await trio.sleep(0.01)
            assert await read(vfs, f"{BASELINE}/params.json")
        finally:
            go_on.set()
    assert most == RENDERED
    assert found == [4] * len(nodes)
