"""Big bodies: which parts are asked for, and that every byte is right whatever the server does.

The server is a function here, so that each request can be looked at and fail when it shall.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.cache.downloads.blocks import BLOCK, Blocks
from cometfs.cache.downloads.parts import PartedBodies, PartedBody, Slots
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.rows import Changes
from cometfs.errors import Stale, Unreachable

MIB = 1 << 20
CHUNK = 64 << 10
SEED = random.Random(14).randbytes(MIB + 7)


def content(size: int) -> bytes:
    """Bytes of which no two blocks are equal."""
    return (SEED * (size // len(SEED) + 1))[:size]


@dataclass
class Sent:
    """A part on its way."""

    start: int
    total: int | None
    etag: str
    bounded: bool
    chunks: AsyncIterator[bytes]
    size: int | None = 0
    close_delimited: bool = False
    is_html: bool = False
    is_encoded: bool = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks


@dataclass
class Server:
    """Answers ranges of `body`, as an object store or (`bounded` False) as Comet itself."""

    body: bytes
    bounded: bool = True
    ranges: bool = True
    etag: str = '"1"'
    breaks: list[int] = field(default_factory=list)
    """Bytes after which the next connections break."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    sent: int = 0

    @asynccontextmanager
    async def ask(self, start: int, stop: int, etag: str) -> AsyncIterator[Sent]:
        await trio.lowlevel.checkpoint()
        self.asked.append((start, stop))
        if etag and self.etag and etag != self.etag:
            raise Stale("it has changed")
        begin = start if self.ranges else 0
        chunks = self.chunks(self.body, begin, stop if self.bounded and self.ranges else len(self.body))
        try:
            yield Sent(begin, len(self.body), self.etag, self.bounded and self.ranges, chunks)
        finally:
            await chunks.aclose()

    async def chunks(self, body: bytes, start: int, stop: int):  # type: ignore[no-untyped-def]
        left = self.breaks.pop(0) if self.breaks else None
        for offset in range(start, stop, CHUNK):
            await trio.lowlevel.checkpoint()
            if left is not None and offset - start >= left:
                raise Unreachable("the connection broke")
            chunk = body[offset : min(offset + CHUNK, stop)]
            self.sent += len(chunk)
            yield chunk


@asynccontextmanager
async def opened(server: Server, folder: Path, size: int = 1 << 30) -> AsyncIterator[PartedBody]:
    index = Index(folder)
    index.open()
    blobs = BlobStore(index, Evictor(index, size))
    async with trio.open_nursery() as loads:
        blocks, slots = Blocks(blobs, 4 * MIB), Slots()
        key_of = lambda etag, number: ("body", etag, number)  # noqa: E731
        yield PartedBody(len(server.body), server.etag, key_of, server.ask, blocks, loads, slots)
        loads.cancel_scope.cancel()
    index.close()


async def test_the_end_of_a_big_body_costs_a_request_and_a_block(tmp_path: Path) -> None:
    server = Server(content(100 * MIB + 5000))
    async with opened(server, tmp_path) as body:
        assert await body.read(body.size - 4096, 4096) == server.body[-4096:]
    assert len(server.asked) == 1
    assert server.sent <= MIB + 5000


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("breaks", [[], [3 * MIB, 0, MIB, CHUNK, CHUNK]])
async def test_a_body_read_in_order_is_whole(tmp_path: Path, bounded: bool, breaks: list[int]) -> None:
    server = Server(content(40 * MIB + 5), bounded, breaks=[2 * MIB, *breaks] if breaks else [])
    async with opened(server, tmp_path) as body:
        got = [await body.read(offset, 128 << 10) for offset in range(0, body.size, 128 << 10)]
        assert b"".join(got) == server.body
    assert server.sent < len(server.body) + (len(breaks) + 1) * BLOCK + CHUNK


async def test_a_server_without_ranges_sends_one_stream(tmp_path: Path) -> None:
    server = Server(content(30 * MIB), ranges=False)
    async with opened(server, tmp_path) as body:
        assert await body.read(body.size - 10, 10) == server.body[-10:]
        assert await body.read(5 * MIB, 10) == server.body[5 * MIB :][:10]
    assert server.sent <= len(server.body) + MIB


async def test_what_is_not_read_is_not_fetched(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    for bounded in (True, False):
        server = Server(content(100 * MIB), bounded)
        async with opened(server, tmp_path) as body:
            await body.read(0, 4096)
            await trio.sleep(60)
            assert server.sent <= 6 * MIB


async def test_random_reads_fetch_a_block_each(tmp_path: Path) -> None:
    server = Server(content(64 * MIB))
    places = random.Random(1).sample(range(2, 62, 3), 20)
    async with opened(server, tmp_path) as body:
        for place in places:
            assert await body.read(place * MIB + 5000, 4096) == server.body[place * MIB + 5000 :][:4096]
    assert server.sent <= 30 * MIB


async def test_a_body_that_changes_is_stale(tmp_path: Path) -> None:
    server = Server(content(30 * MIB))
    async with opened(server, tmp_path) as body:
        server.etag = '"2"'
        with pytest.raises(Stale):
            await body.read(20 * MIB, 10)




READ = st.tuples(st.just("read"), st.integers(0, 12 * MIB), st.integers(1, 2 * MIB))
READ_ON = st.tuples(st.just("read on"), st.integers(1, 40))
BREAK = st.tuples(st.just("break"), st.lists(st.integers(0, 2 * MIB), min_size=1, max_size=4))
SEVERAL = st.tuples(st.just("several"), st.lists(st.integers(0, 12 * MIB), min_size=2, max_size=5))
REST = st.sampled_from(
    [("evict",), ("damage",), ("restart",), ("change",), ("close",), ("ranges", False), ("ranges", True), ("wait",)]
)


class World:
    """A server, a cache folder, and what a reader may see: bytes of the version that it has opened, or an error."""

    def __init__(self, folder: Path, bounded: bool) -> None:
        self.versions = 1
        self.server = Server(version_of(1), bounded)
        self.folder = folder
        self.position = 0

    async def run(self, steps: list[tuple[Any, ...]]) -> None:
        """Takes all steps; a restart begins with another index, and blocks in the same folder."""
        left = list(steps)
        while left:
            index = Index(self.folder)
            index.open()
            try:
                await self._until_restart(index, left)
            finally:
                index.close()

    async def _until_restart(self, index: Index, left: list[tuple[Any, ...]]) -> None:
        blobs = BlobStore(index, Evictor(index, 1 << 30))
        async with trio.open_nursery() as loads:
            bodies = PartedBodies(loads, Blocks(blobs, 3 * MIB))
            body, expected = self._opened(bodies)
            while left:
                step, *words = left.pop(0)
                if step == "restart":
                    break
                if step in ("close", "change") or body.error is not None:
                    if step == "change":
                        self.versions += 1
                        self.server.body, self.server.etag = version_of(self.versions), f'"{self.versions}"'
                    if step == "close" or body.error is not None:
                        bodies.release("body", body)
                        body, expected = self._opened(bodies)
                await self._step(step, words, body, expected)
                self._disk(step)
                index.write(Changes(bodies_gone=blobs.changes(Changes()).bodies_gone))
            loads.cancel_scope.cancel()

    def _opened(self, bodies: PartedBodies) -> tuple[PartedBody, bytes]:
        key_of = lambda etag, number: ("body", etag, number)  # noqa: E731
        body = bodies.open("body", len(self.server.body), self.server.etag, key_of, self.server.ask)
        return body, self.server.body

    async def _step(self, step: str, words: list[Any], body: PartedBody, expected: bytes) -> None:
        if step == "read":
            await self._read(body, expected, *words)
        elif step == "read on":
            for _ in range(words[0]):
                await self._read(body, expected, self.position, 128 << 10)
        elif step == "several":
            async with trio.open_nursery() as readers:
                for offset in words[0]:
                    readers.start_soon(self._read, body, expected, offset, 300_000)
        elif step == "break":
            self.server.breaks = words[0]
        elif step == "ranges":
            self.server.ranges = words[0]
        elif step == "wait":
            await trio.sleep(60)

    async def _read(self, body: PartedBody, expected: bytes, offset: int, length: int) -> None:
        try:
            found = body.read_nowait(offset, length)
            found = await body.read(offset, length) if found is None else found
        except (Stale, Unreachable):
            return
        assert found == expected[offset : offset + length]
        self.position = offset + len(found)

    def _disk(self, step: str) -> None:
        """Evicts half of the blocks, or damages one, behind everybody's back."""
        files = sorted(path for path in (self.folder / FOLDER).rglob("*") if path.is_file())
        if step == "evict":
            for path in files[::2]:
                path.unlink()
        if step == "damage" and files:
            with files[0].open("r+b") as file:
                file.seek(1000)
                file.write(b"damage")


def version_of(number: int) -> bytes:
    """All versions have the same size, and no byte of one is that of the next."""
    body = content(11 * MIB + 77)
    return body if number % 2 else body.translate(FLIPPED)


FLIPPED = bytes(255 - byte for byte in range(256))


@pytest.mark.parametrize("bounded", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.one_of(READ, READ, READ_ON, SEVERAL, BREAK, REST), min_size=3, max_size=25))
def test_a_reader_never_gets_a_wrong_byte(tmp_path_factory: pytest.TempPathFactory, bounded: bool, steps: Any) -> None:
    """Whatever breaks, is evicted, damaged, changed or restarted meanwhile."""
    world = World(tmp_path_factory.mktemp("cache"), bounded)
    trio.run(world.run, steps, clock=trio.testing.MockClock(autojump_threshold=0.05))
