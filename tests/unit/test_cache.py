"""What the cache promises: asked once, shared by all, forgotten in time, and never a wrong byte."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cometfs.cache.downloads.downloads import NEARLY_DONE, Bodies
from cometfs.cache.memory import FEW, SWEEP, CacheEntry, Memory
from cometfs.cache.singleflight import Flights
from cometfs.cache.store import Store
from cometfs.cache.values import with_items_of
from cometfs.errors import NotFound, Stale, Unreachable
from cometfs.lease import MISSING, Lease


class Server:
    """A load that counts its calls and answers when told."""

    def __init__(self, answer: object = b"x", error: Exception | None = None) -> None:
        self.calls = 0
        self.gate = trio.Event()
        self.answer = answer
        self.error = error

    async def __call__(self) -> object:
        self.calls += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def store(nursery: trio.Nursery) -> Store:
    return Store(Memory(1 << 20), Flights(nursery))


async def test_a_hundred_who_ask_at_once_cost_one_load(store: Store) -> None:
    """The first one starts the load, the others wait for it."""
    server = Server()
    found: list[object] = []

    async def ask() -> None:
        found.append((await store.get("k", server, Lease(60))).value)

    async with trio.open_nursery() as readers:
        for _ in range(100):
            readers.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        server.gate.set()
    assert found == [b"x"] * 100
    assert server.calls == 1


async def test_a_caller_that_gives_up_leaves_the_load_to_the_others(store: Store) -> None:
    """The load belongs to nobody in particular, not even to the one who started it."""
    server = Server()
    async with trio.open_nursery() as readers:
        with trio.move_on_after(0) as first:
            await store.get("k", server, Lease(60))
        assert first.cancelled_caught
        readers.start_soon(store.get, "k", server, Lease(60))
        await trio.testing.wait_all_tasks_blocked()
        server.gate.set()
    assert server.calls == 1


async def test_an_answer_is_asked_again_when_its_lease_has_ended(
    store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    """Within the lease nobody asks, after it somebody does."""
    server = Server()
    server.gate.set()
    for pause, calls in ((0, 1), (59, 1), (2, 2)):
        await trio.sleep(pause)
        await store.get("k", server, Lease(60))
        assert server.calls == calls


async def test_a_definite_no_is_remembered_but_not_for_long(
    store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    """NotFound is an answer with a short lease of its own."""
    server = Server(error=NotFound("no such thing"))
    server.gate.set()
    for pause, calls in ((0, 1), (MISSING - 1, 1), (2, 2)):
        await trio.sleep(pause)
        with pytest.raises(NotFound):
            await store.get("k", server, Lease(600))
        assert server.calls == calls


async def test_a_failed_load_lets_go_of_what_it_had_in_hand(store: Store) -> None:
    """At once, not when the garbage collector comes: it may be all of a big answer."""

    class Body(list[bytes]):
        """Can be referred to weakly."""

    bodies: list[weakref.ref[Body]] = []

    async def load() -> object:
        body = Body([b"part"])
        bodies.append(weakref.ref(body))
        await trio.lowlevel.checkpoint()
        try:
            raise OSError("cut")
        except OSError as error:
            raise Unreachable(f"after {len(body)} parts") from error

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(Unreachable):
            await store.get("k", load, Lease(60))
        await trio.testing.wait_all_tasks_blocked()
        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()


async def test_a_failure_is_never_remembered(store: Store) -> None:
    """A lost network says nothing about what exists."""
    server = Server(error=Unreachable("no network"))
    server.gate.set()
    with pytest.raises(Unreachable):
        await store.get("k", server, Lease(600))
    server.error = None
    assert (await store.get("k", server, Lease(600))).value == b"x"


async def test_a_bug_in_a_load_reaches_its_callers_and_nobody_else(store: Store) -> None:
    """Not the nursery in which all loads live."""
    server = Server(error=KeyError("oops"))
    server.gate.set()
    with pytest.raises(KeyError):
        await store.get("k", server, Lease(60))


async def test_memory_stays_within_its_budget_and_drops_the_least_recently_used() -> None:
    """The one that was read again survives."""
    memory = Memory(300)
    for key in "abc":
        memory.put(key, CacheEntry(key, trio.current_time() + 60, 100))
    memory.get("a")
    memory.put("d", CacheEntry("d", trio.current_time() + 60, 100))
    assert [key for key in "abcd" if memory.get(key)] == ["a", "c", "d"]


async def test_what_is_dropped_of_one_owner_costs_no_look_at_what_is_of_others() -> None:
    """However many those are; what was pushed out is not found there, either."""
    memory, looked = Memory(300, owner=lambda key: str(key)[0]), list[str]()

    def which(key: Hashable) -> bool:
        looked.append(str(key))
        return key != "a3"

    for key in ("a1", "b1", "a2", "a3"):
        memory.put(key, CacheEntry(key, trio.current_time() + 60, 75))
    memory.put("c1", CacheEntry("c1", trio.current_time() + 60, 75))
    assert memory.get("a1") is None
    memory.drop_all(which, ["a", "d"])
    assert sorted(looked) == ["a2", "a3"]
    assert set(memory.all_keys()) == {"a3", "b1", "c1"}
    memory.drop_all(which)
    assert memory.all_keys() == ["a3"]


async def test_all_that_is_of_one_owner_is_found_however_much_it_is() -> None:
    """And nothing is left of him when it has gone."""
    memory = Memory(1 << 20, owner=lambda key: str(key)[0])
    for key in ("b1", *(f"a{number}" for number in range(3 * FEW))):
        memory.put(key, CacheEntry(key, trio.current_time() + 60, 1))
    memory.drop("a1")
    memory.drop_all(lambda _key: True, ["a"])
    assert memory.all_keys() == ["b1"]
    assert set(memory._held._of) == {"b"}


async def test_memory_lets_go_of_what_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    """It is not given any more at once, and takes no room soon after: a mount that nobody uses is small again."""
    memory = Memory(1000)
    for key in "ab":
        memory.put(key, CacheEntry(key, trio.current_time() + 60, 400))
    await trio.sleep(61)
    assert memory.get("a") is None
    assert memory.last("a") is not None
    await trio.sleep(2 * SWEEP)
    memory.put("c", CacheEntry("c", trio.current_time() + 60, 1))
    assert memory.last("a") is memory.last("b") is None
    assert memory.get("c") is not None


ROWS = [{"key": key} for key in range(9)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ROWS, ROWS),
        (ROWS, [*ROWS[:4], {"key": "new"}, *ROWS[4:]]),
        (ROWS, [*ROWS[:4], *ROWS[5:]]),
        (ROWS, [*ROWS[:4], {"key": "changed"}, *ROWS[5:]]),
        (ROWS, ROWS[2:]),
        (ROWS, [*ROWS, *ROWS]),
        (ROWS, []),
        ([], ROWS),
        ([1, 1, 1], [1, 1]),
        ([1, 1], [1, 1, 1]),
    ],
)
def test_an_answer_keeps_the_items_that_stayed_as_they_were(before: list[object], after: list[object]) -> None:
    """It is the new answer in every case, of old objects where those are equal."""
    fresh = copy.deepcopy(after)
    found = with_items_of(before, fresh)
    assert found == after
    unknown = [item for item in fresh if item not in before]
    assert all(any(item is known for known in (*before, *unknown)) for item in found[: len(before)])


class Download:
    """A body that comes in pieces, when told."""

    def __init__(self, *pieces: bytes, size: int | None = None, error: Exception | None = None) -> None:
        self.size = size
        self.begun = 0
        self.ended = 0
        self.pieces = pieces
        self.error = error
        self.gates = [trio.Event() for _ in pieces]

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Download]:
        self.begun += 1
        try:
            yield self
        finally:
            self.ended += 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece, gate in zip(self.pieces, self.gates, strict=True):
            await gate.wait()
            yield piece
        if self.error is not None:
            raise self.error

    def let_all(self) -> None:
        for gate in self.gates:
            gate.set()


@pytest.fixture
def bodies(nursery: trio.Nursery, tmp_path: Path) -> Iterator[Bodies]:
    kept = Bodies(nursery, budget=10, folder=tmp_path)
    yield kept
    kept.close()


async def test_a_body_is_downloaded_once_and_read_anywhere(bodies: Bodies, tmp_path: Path) -> None:
    """Two readers, two offsets, one download, and no file with a name."""
    source = Download(b"hello ", b"world", size=11)
    source.let_all()
    first = await bodies.open("k", source.begin)
    second = await bodies.open("k", source.begin)
    assert await first.read(6, 100) == b"world"
    assert await second.read(0, 5) == b"hello"
    assert await second.read(11, 5) == b""
    assert source.begun == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_reader_waits_only_for_the_bytes_it_wants(bodies: Bodies) -> None:
    """The beginning is readable while the rest is on its way."""
    source = Download(b"hello ", b"world", size=11)
    source.gates[0].set()
    body = await bodies.open("k", source.begin)
    assert await body.read(0, 6) == b"hello "
    with trio.move_on_after(0) as waiting:
        await body.read(0, 7)
    assert waiting.cancelled_caught


async def test_a_body_without_a_told_size_has_the_size_that_arrived(bodies: Bodies) -> None:
    """Opening waits for the end then."""
    source = Download(b"abc", b"def")
    source.let_all()
    assert (await bodies.open("k", source.begin)).size == 6


async def test_a_broken_download_is_an_error_and_never_a_short_read(bodies: Bodies) -> None:
    """What arrived is readable, what did not raises, and the next open asks again."""
    source = Download(b"hello ", size=11, error=Unreachable("cut"))
    source.let_all()
    body = await bodies.open("k", source.begin)
    assert await body.read(0, 6) == b"hello "
    with pytest.raises(Unreachable):
        await body.read(0, 11)
    bodies.release("k", body)
    whole = Download(b"hello world", size=11)
    whole.let_all()
    assert await (await bodies.open("k", whole.begin)).read(0, 11) == b"hello world"


BIG = bytes(range(256)) * 4096


@pytest.mark.parametrize("content", [b"hello world", BIG], ids=["in memory", "in a file"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_download_that_breaks_once_is_whole(bodies: Bodies, content: bytes, known: bool) -> None:
    """Its readers notice nothing; what breaks again is an error."""
    size = len(content) if known else None
    cut = Download(content[:5], content[5:7], size=size, error=Unreachable("cut"))
    begun = iter([cut, Download(content[:6], content[6:], size=size)])

    def begin() -> AbstractAsyncContextManager[Download]:
        source = next(begun)
        source.let_all()
        return source.begin()

    body = await bodies.open("k", begin)
    assert await body.read(0, len(content)) == content
    assert (body.complete, body.size) == (True, len(content))


@pytest.mark.parametrize("size", [11, len(BIG)])
async def test_a_download_that_breaks_never_mixes_two_versions(bodies: Bodies, size: int) -> None:
    cut = Download(b"hello ", size=size, error=Unreachable("cut"))
    begun = iter([cut, Download(b"hallo world".ljust(size), size=size)])

    def begin() -> AbstractAsyncContextManager[Download]:
        source = next(begun)
        source.let_all()
        return source.begin()

    body = await bodies.open("k", begin)
    with pytest.raises(Stale):
        await body.read(0, size)


async def test_a_big_download_that_nobody_waits_for_is_given_up(bodies: Bodies) -> None:
    """Its connection ends, and opening it again starts anew."""
    source = Download(b"x", b"y", size=NEARLY_DONE + 3)
    source.gates[0].set()
    body = await bodies.open("k", source.begin)
    await body.read(0, 1)
    bodies.release("k", body)
    await trio.testing.wait_all_tasks_blocked()
    assert source.ended == 1
    assert bodies.peek("k") is None


async def test_a_drip_that_nobody_waits_for_is_given_up(bodies: Bodies, autojump_clock: trio.testing.MockClock) -> None:
    """However little is left of it: the next reader begins anew, at a server that may be well again."""
    source = Download(b"x", b"y", b"z" * 1000, size=1002)
    source.gates[0].set()
    body = await bodies.open("k", source.begin)
    await trio.sleep(30)
    bodies.release("k", body)
    await trio.testing.wait_all_tasks_blocked()
    assert source.ended == 1
    well = Download(b"w" * 1002, size=1002)
    well.let_all()
    assert await (await bodies.open("k", well.begin)).read(0, 5) == b"wwwww"


async def test_complete_bodies_are_kept_within_the_budget(bodies: Bodies) -> None:
    """Of 6 + 6 bytes in a budget of 10 the older goes; an open one never does."""
    for key in "ab":
        source = Download(b"sixsix", size=6)
        source.let_all()
        body = await bodies.open(key, source.begin)
        await body.read(0, 6)
        await trio.testing.wait_all_tasks_blocked()
        bodies.release(key, body)
    assert bodies.peek("a") is None
    assert bodies.peek("b") is not None
