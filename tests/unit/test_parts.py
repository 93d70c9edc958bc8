"""Big bodies: which parts are asked for, and that every byte is right whatever the server does.

The server is a function here, so that each request can be looked at and fail when it shall.
"""

from __future__ import annotations

import errno
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.cache.downloads import parts
from cometfs.cache.downloads.blocks import BLOCK, Blocks
from cometfs.cache.downloads.fetch import Slots
from cometfs.cache.downloads.parted import PartedBodies
from cometfs.cache.downloads.parts import TRIES, PartedBody, backoff
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.rows import Changes
from cometfs.cache.persistent.stored_blocks import Summed
from cometfs.caller import AHEAD, CALLER
from cometfs.errors import DeadlineExceeded, Stale, Unreachable, Withheld
from cometfs.host.buffers import Block, Give, joined
from cometfs.mountstate.limits import RequestLimiter

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
    rest: Callable[[int], bytes] | None = None
    """What a thread may receive of it, so many bytes at once."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks

    async def blocks(self, begun: Sequence[Block], count: int, give: Give) -> int:
        return 0 if self.rest is None else await trio.to_thread.run_sync(_give, self.rest, begun, count, give)


def _give(rest: Callable[[int], bytes], begun: Sequence[Block], count: int, give: Give) -> int:
    come = 0
    for missing in [MIB - sum(map(len, begun)), *[MIB] * (count - 1)]:
        chunk = rest(missing)
        if not chunk:
            break
        wants = give(joined([*begun, chunk]))
        begun, come = (), come + missing
        if not wants:
            break
    return come


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
    pace: float = 0.0
    """Seconds before each chunk."""
    fast: bool = False
    """Whether blocks come by way of a thread, but for some: those are late."""

    @asynccontextmanager
    async def ask(self, start: int, stop: int, etag: str) -> AsyncIterator[Sent]:
        await trio.lowlevel.checkpoint()
        self.asked.append((start, stop))
        if etag and self.etag and etag != self.etag:
            raise Stale("it has changed")
        begin = start if self.ranges else 0
        end = stop if self.bounded and self.ranges else len(self.body)
        line = Line(self, self.body, begin, end, self.breaks.pop(0) if self.breaks else None)
        chunks = self.chunks(line)
        rest = line.at_once if self.fast else None
        try:
            yield Sent(begin, len(self.body), self.etag, self.bounded and self.ranges, chunks, end - begin, rest=rest)
        finally:
            await chunks.aclose()

    async def chunks(self, line: Line):  # type: ignore[no-untyped-def]
        while line.at < line.stop:
            await trio.sleep(self.pace)
            if line.is_broken:
                raise Unreachable("the connection broke")
            yield line.take(CHUNK)


@dataclass
class Line:
    """What is left to send of a part."""

    server: Server
    body: bytes
    start: int
    stop: int
    breaks: int | None
    at: int = -1

    def __post_init__(self) -> None:
        self.at = self.start

    @property
    def is_broken(self) -> bool:
        return self.breaks is not None and self.at - self.start >= self.breaks

    def take(self, size: int) -> bytes:
        chunk = self.body[self.at : min(self.at + size, self.stop)]
        self.at += len(chunk)
        self.server.sent += len(chunk)
        return chunk

    def at_once(self, size: int) -> bytes:
        """Nothing of every seventh block, and of one before whose end the connection breaks."""
        ends = self.stop if self.breaks is None else min(self.stop, self.start + self.breaks)
        return b"" if self.at // MIB % 7 == 3 or self.at + size > ends else self.take(size)


def key_of(body: str | int, etag: str, number: int) -> Hashable:
    """Where a block is kept."""
    return ("body", str(body), etag, number)


@asynccontextmanager
async def opened(server: Server, folder: Path, size: int = 1 << 30) -> AsyncIterator[PartedBody]:
    index = Index(folder)
    index.open()
    blobs = BlobStore(index, Evictor(index, size))
    async with trio.open_nursery() as loads:
        blocks, slots = Blocks(blobs, loads, 4 * MIB), Slots(16)
        yield PartedBody(len(server.body), server.etag, partial(key_of, "body"), server.ask, blocks, loads, slots)
        loads.cancel_scope.cancel()
    index.close()


async def test_the_end_of_a_big_body_costs_a_request_and_a_block(tmp_path: Path) -> None:
    server = Server(content(100 * MIB + 5000))
    async with opened(server, tmp_path) as body:
        assert await body.read(body.size - 4096, 4096) == server.body[-4096:]
    assert len(server.asked) == 1
    assert server.sent <= MIB + 5000


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("breaks", [[], [3 * MIB, 0, MIB, CHUNK, CHUNK]])
async def test_a_body_read_in_order_is_whole(tmp_path: Path, bounded: bool, breaks: list[int], fast: bool) -> None:
    server = Server(content(40 * MIB + 5), bounded, breaks=[2 * MIB, *breaks] if breaks else [], fast=fast)
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


async def test_random_reads_of_a_mib_fetch_the_blocks_that_they_touch(tmp_path: Path) -> None:
    """Although the kernel splits them, so that each looks like a program that reads on."""
    server = Server(content(64 * MIB))
    part = 256 << 10
    async with opened(server, tmp_path) as body:
        for place in random.Random(1).sample(range(2, 60, 4), 12):
            begin = place * MIB + 5000
            found = [await body.read(offset, part) for offset in range(begin, begin + MIB, part)]
            assert b"".join(found) == server.body[begin : begin + MIB]
    assert server.sent <= 12 * 2 * MIB


async def test_a_slow_body_is_read_and_a_silent_one_is_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The deadline counts silence: a block that takes 160 s arrives, as long as something comes every 10 s."""
    limiter, server = RequestLimiter(30.0, 1), Server(content(9 * MIB), pace=10.0)
    async with opened(server, tmp_path) as body:
        with limiter.limit(0):
            assert await body.read(0, 4096) == server.body[:4096]
        server.pace = 1000.0
        with pytest.raises(DeadlineExceeded), limiter.limit(0):
            await body.read(8 * MIB, 4096)


async def test_a_body_that_changes_is_stale(tmp_path: Path) -> None:
    server = Server(content(30 * MIB))
    async with opened(server, tmp_path) as body:
        server.etag = '"2"'
        with pytest.raises(Stale):
            await body.read(20 * MIB, 10)


# -- calls, and what several readers have of each other ----------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 50 * MIB])
async def test_a_reader_far_from_another_costs_one_more_call(tmp_path: Path, first: int) -> None:
    """Of a server each of whose answers is a call, and goes on to the end: not one for each block."""
    server = Server(content(64 * MIB), bounded=False)
    async with opened(server, tmp_path) as body:
        await body.read(first, 4096)
        got = [await body.read(offset, 128 << 10) for offset in range(20 * MIB, 44 * MIB, 128 << 10)]
        assert b"".join(got) == server.body[20 * MIB : 44 * MIB]
    assert len(server.asked) <= 2


async def test_a_body_with_gaps_is_read_on_in_few_calls(tmp_path: Path) -> None:
    """A call for each block that is missing would be a call for each that was read before; a long part that is at hand
    does not come again."""
    server = Server(content(64 * MIB))
    async with opened(server, tmp_path) as body:
        for block in (3, 6, 9, *range(20, 50)):
            await body.read(block * MIB, 4096)
        server.bounded = False
        server.asked.clear()
        server.sent = 0
        got = [await body.read(offset, 128 << 10) for offset in range(0, body.size, 128 << 10)]
        assert b"".join(got) == server.body
    assert len(server.asked) <= 2
    assert server.sent < 48 * MIB


async def test_a_connection_pauses_whatever_others_are_like(tmp_path: Path) -> None:
    """One of Comet itself, while the storage answers again."""
    server = Server(content(64 * MIB), bounded=False)
    async with opened(server, tmp_path) as body:
        await body.read(0, 4096)
        server.bounded = True
        await body.read(50 * MIB, 4096)
        await body.read(MIB, 4096)
        await body.read(2 * MIB, 4096)
        await body.read(3 * MIB, 4096)
        await trio.testing.wait_all_tasks_blocked(0.5)
    assert server.sent < 20 * MIB


async def test_readers_that_pause_keep_nothing_from_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their connections are given up where all places are taken."""
    monkeypatch.setattr(parts, "PAUSE", math.inf)
    index = Index(tmp_path)
    index.open()
    async with trio.open_nursery() as loads:
        bodies = PartedBodies(loads, Blocks(BlobStore(index, Evictor(index, 1 << 30)), loads, 4 * MIB))
        with trio.fail_after(30):
            for number in range(25):
                server = Server(content(20 * MIB), bounded=False)
                body = bodies.open(number, len(server.body), "", partial(key_of, number), server.ask)
                assert await body.read(0, 4096) == server.body[:4096]
        loads.cancel_scope.cancel()
    index.close()


async def test_a_part_that_pauses_gives_its_place_up() -> None:
    """To what wants it already, and to what comes."""
    slots, pausing = Slots(1), trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as tasks:

            async def pause() -> None:
                async with slots:
                    with slots.paused(math.inf):
                        pausing.set()
                        await trio.sleep_forever()

            tasks.start_soon(pause)
            await pausing.wait()
            async with slots:
                tasks.start_soon(pause)
                tasks.start_soon(pause)
                await trio.testing.wait_all_tasks_blocked()
            async with slots:
                pass


async def test_a_reader_that_waits_asks_itself_for_what_was_put_off(tmp_path: Path) -> None:
    """Being only ahead of its readers. Which of them began it is an accident."""
    server = Server(content(20 * MIB))
    ask, put_off, waiting = server.ask, [], trio.Event()

    @asynccontextmanager
    async def asking(start: int, stop: int, etag: str) -> AsyncIterator[Sent]:
        if not CALLER.get().waits:
            put_off.append(start)
            await waiting.wait()
            await trio.testing.wait_all_tasks_blocked()
            raise Withheld("few calls are left", 60.0)
        async with ask(start, stop, etag) as part:
            yield part

    server.ask = asking  # type: ignore[method-assign]

    async def ahead() -> None:
        CALLER.set(AHEAD)
        with pytest.raises(Withheld):
            await body.read(0, 4096)

    async with opened(server, tmp_path) as body, trio.open_nursery() as readers:
        readers.start_soon(ahead)
        await trio.testing.wait_all_tasks_blocked()
        waiting.set()
        assert await body.read(0, 4096) == server.body[:4096]
    assert put_off == [0]


async def test_a_deadline_counts_silence(tmp_path: Path) -> None:
    """A seek in a body that comes as one stream takes as long as that, and is given up where nothing comes."""
    server = Server(content(12 * MIB), ranges=False)
    chunks, limiter = server.chunks, RequestLimiter(2.0, 10)

    async def slow(line: Line):  # type: ignore[no-untyped-def]
        async with aclosing(chunks(line)) as coming:
            async for chunk in coming:
                await trio.sleep(math.inf if server.sent > 10 * MIB else 0.025)
                yield chunk

    server.chunks = slow  # type: ignore[method-assign]
    async with opened(server, tmp_path) as body:
        began = trio.current_time()
        with limiter.limit(0):
            assert await body.read(8 * MIB, 10) == server.body[8 * MIB :][:10]
        assert trio.current_time() - began > 2
        with pytest.raises(DeadlineExceeded), limiter.limit(0):
            await body.read(11 * MIB, 10)


async def test_the_end_of_a_mount_is_an_error_for_readers(tmp_path: Path) -> None:
    """They do not ask again and again for what nothing brings any more."""
    server = Server(content(20 * MIB))

    @asynccontextmanager
    async def never(_start: int, _stop: int, _etag: str) -> AsyncIterator[Sent]:
        async with trio.open_nursery() as nothing:
            nothing.start_soon(trio.sleep_forever)
        yield Sent(0, None, "", False, server.chunks(Line(server, b"", 0, 0, None)))

    server.ask = never  # type: ignore[method-assign, assignment]
    failed: list[bool] = []

    async def read() -> None:
        with pytest.raises(Unreachable):
            await body.read(0, 4096)
        failed.append(True)

    async with trio.open_nursery() as readers, opened(server, tmp_path) as body:
        readers.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
    assert failed


async def test_connections_that_bring_next_to_nothing_end_in_an_error(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drip is given up again and again: its reader must not wait for ever, though something comes each time."""
    monkeypatch.setattr("tests.unit.test_parts.CHUNK", 100)
    server = Server(content(10 * MIB), breaks=[100] * 60)
    async with opened(server, tmp_path) as body:
        with pytest.raises(Unreachable):
            await body.read(0, 4096)
        assert len(server.asked) == TRIES
        server.breaks.clear()
        assert await body.read(0, 4096) == server.body[:4096]


async def test_connections_that_bring_little_are_not_made_in_a_row(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Each of them may be a call."""
    server = Server(content(10 * MIB), bounded=False, breaks=[CHUNK] * 60)
    async with opened(server, tmp_path) as body:
        assert await body.read(0, 4 * MIB) == server.body[: 4 * MIB]
    assert trio.current_time() > 50
    assert [backoff(poor) for poor in (0, 1, 2, 50)] == [0, 0.1, 0.2, 1]


@pytest.mark.logs("bug in writing blocks to the cache")
async def test_a_bug_in_writing_a_block_reaches_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the loads of others; what comes next is kept."""
    server, lay, broken = Server(content(40 * MIB)), BlobStore.lay, iter([True])

    def laid(blobs: BlobStore, blocks: Mapping[Hashable, Summed]) -> bool:
        if next(broken, False):
            raise RuntimeError("a bug")
        return lay(blobs, blocks)

    monkeypatch.setattr(BlobStore, "lay", laid)
    async with opened(server, tmp_path) as body:
        with trio.fail_after(60):
            assert b"".join([await body.read(place, MIB) for place in range(0, body.size, MIB)]) == server.body
            asked = len(server.asked)
            await body.read(30 * MIB, MIB)
    assert len(server.asked) == asked


@pytest.mark.logs("The cache has no room for what is read of big files")
async def test_a_full_disk_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And readers go on, also where it takes every other block, or fails at making way."""
    takes = iter([False, False, True] * 100)

    def lay(*_arguments: object) -> bool:
        return next(takes)

    def make_way(_self: BlobStore, _wanted: int) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(BlobStore, "lay", lay)
    monkeypatch.setattr(BlobStore, "make_way", make_way)
    server = Server(content(20 * MIB))
    async with opened(server, tmp_path) as body:
        got = [await body.read(offset, MIB) for offset in range(0, body.size, MIB)]
        assert b"".join(got) == server.body
    assert len(caplog.records) == 1


# -- anything, in any order --------------------------------------------------------------------------------------------

READ = st.tuples(st.just("read"), st.integers(0, 12 * MIB), st.integers(1, 2 * MIB))
READ_ON = st.tuples(st.just("read on"), st.integers(1, 40))
BREAK = st.tuples(st.just("break"), st.lists(st.integers(0, 2 * MIB), min_size=1, max_size=4))
SEVERAL = st.tuples(st.just("several"), st.lists(st.integers(0, 12 * MIB), min_size=2, max_size=5))
REST = st.sampled_from(
    [
        *[("evict",), ("damage",), ("restart",), ("change",), ("close",), ("wait",)],
        *[("set", word, value) for word in ("ranges", "bounded", "fast") for value in (True, False)],
    ]
)


class World:
    """A server, a cache folder, and what a reader may see: bytes of the version that it has opened, or an error."""

    def __init__(self, folder: Path, bounded: bool) -> None:
        self.versions = 1
        self.server = Server(version_of(1), bounded, fast=True)
        self.folder = folder
        self.position = 0
        self.seen = deque[tuple[bytes | memoryview, bytes]](maxlen=200)
        """What readers have got: nothing that is used again may be beneath it."""

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
        assert all(found == expected for found, expected in self.seen)

    async def _until_restart(self, index: Index, left: list[tuple[Any, ...]]) -> None:
        blobs = BlobStore(index, Evictor(index, 1 << 30))
        async with trio.open_nursery() as loads:
            bodies = PartedBodies(loads, Blocks(blobs, loads, 3 * MIB))
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
        body = bodies.open("body", len(self.server.body), self.server.etag, partial(key_of, "body"), self.server.ask)
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
        elif step == "set":
            setattr(self.server, *words)
        elif step == "wait":
            await trio.sleep(60)

    async def _read(self, body: PartedBody, expected: bytes, offset: int, length: int) -> None:
        try:
            found = body.read_nowait(offset, length)
            found = await body.read(offset, length) if found is None else found
        except (Stale, Unreachable):
            return
        assert found == expected[offset : offset + length]
        self.seen.append((found, expected[offset : offset + length]))
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
