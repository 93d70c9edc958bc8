"""What is asked again now: what was known is gone, and nothing that was asked before brings it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from cometfs.cache.downloads.downloads import Bodies
from cometfs.cache.memory import Memory
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.writebehind import DROPS, WriteBehind
from cometfs.cache.singleflight import Flights
from cometfs.cache.store import Store
from cometfs.errors import NotFound
from cometfs.lease import Lease

HOUR = Lease(3600.0)

BIG = 1 << 20
"""Times a word that is more than memory takes."""


class Comet:
    """Answers with what it has at the moment when it is told to."""

    def __init__(self, answer: object = "old") -> None:
        self.answer = answer
        self.calls = 0
        self.gates: list[trio.Event] = []

    async def slowly(self) -> object:
        self.calls += 1
        answer, gate = self.answer, trio.Event()
        self.gates.append(gate)
        await gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def now(self) -> object:
        await trio.lowlevel.checkpoint()
        self.calls += 1
        return self.answer


@pytest.fixture
def store(nursery: trio.Nursery) -> Store:
    return Store(Memory(1 << 20), Flights(nursery))


def only(*keys: Hashable) -> Callable[[Hashable], bool]:
    return lambda key: key in keys


async def test_what_was_dropped_is_asked_again_and_nothing_else(store: Store) -> None:
    """By a predicate over the keys."""
    comet = Comet()
    for key in "ab":
        await store.get(key, comet.now, HOUR)
    await store.drop_all(only("a"))
    comet.answer = "new"
    assert [(await store.get(key, comet.now, HOUR)).value for key in "ab"] == ["new", "old"]
    assert comet.calls == 3


@pytest.mark.parametrize("answer", ["old", "old" * BIG, NotFound("no such thing")], ids=["answer", "big", "none"])
async def test_a_load_under_way_tells_who_waits_and_is_not_kept(
    answer: object, store: Store, nursery: trio.Nursery
) -> None:
    """Who asks after the drop does not join it, whichever of the two ends last."""
    comet, found = Comet(answer), []

    async def ask() -> None:
        try:
            found.append((await store.get("k", comet.slowly, HOUR)).value)
        except NotFound:
            found.append("none")

    nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    await store.drop_all(only("k"))
    comet.answer = "new"
    nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    assert comet.calls == 2
    comet.gates[1].set()
    await trio.testing.wait_all_tasks_blocked()
    comet.gates[0].set()
    await trio.testing.wait_all_tasks_blocked()
    assert found == ["new", answer if isinstance(answer, str) else "none"]
    assert (await store.get("k", comet.now, HOUR)).value == "new"
    assert comet.calls == 2


async def test_what_is_made_of_a_dropped_answer_holds_no_longer(store: Store) -> None:
    """Somebody had it in hand when it was dropped."""
    held = await store.get("k", Comet().now, HOUR)
    await store.drop_all(only("k"))
    assert store.remaining(held) == 0
    store.keep("made", "of it", Lease(store.remaining(held)))
    assert store.peek("made") is None


async def test_a_batch_under_way_fills_no_key_that_was_dropped_meanwhile(store: Store) -> None:
    """It fills the others."""
    with store.loading():
        await store.drop_all(only("a"))
        for key in "ab":
            store.keep(key, "old", HOUR)
    assert store.peek("a") is None
    assert store.peek("b") is not None
    store.keep("a", "new", HOUR)
    assert store.peek("a") is not None


async def test_a_renewal_under_way_does_not_bring_it_back(store: Store, nursery: trio.Nursery) -> None:
    """Nor does one that finds that nothing has changed."""
    comet = Comet()
    await store.get("k", comet.now, HOUR)
    nursery.start_soon(store.renew, "k", comet.slowly, HOUR)
    await trio.testing.wait_all_tasks_blocked()
    await store.drop_all(lambda key: key in ("k", ("renewal", "k")))
    comet.gates[0].set()
    await trio.testing.wait_all_tasks_blocked()
    assert store.peek("k") is None


async def test_a_task_that_a_load_has_left_behind_is_a_load_of_its_own(store: Store, nursery: trio.Nursery) -> None:
    """What is dropped later concerns it, too."""
    begun, go = trio.Event(), trio.Event()

    async def behind() -> None:
        with store.loading():
            begun.set()
            await go.wait()
            store.keep("k", "old", HOUR)

    async def load() -> None:
        nursery.start_soon(behind)
        await trio.lowlevel.checkpoint()

    await store.once("other", load)
    await begun.wait()
    await store.drop_all(only("k"))
    go.set()
    await trio.testing.wait_all_tasks_blocked()
    assert store.peek("k") is None


# -- On disk -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[tuple[Store, Bodies, Index]]:
    """A mount's hands on the cache of an account."""
    index = Index(folder)
    index.open()
    room = Evictor(index, 1 << 30)
    blobs = BlobStore(index, room)
    writebehind = WriteBehind(index, room, blobs)
    async with trio.open_nursery() as writing, trio.open_nursery() as loads:
        writing.start_soon(writebehind.run)
        bodies = Bodies(loads, 1 << 20, folder, blobs)
        yield Store(Memory(1 << 20), Flights(loads), writebehind), bodies, index
        loads.cancel_scope.cancel()
        writing.cancel_scope.cancel()
    bodies.close()
    index.close()


class ByteStream:
    """A body on its way, that ends when it is told to."""

    def __init__(self, content: bytes, gate: trio.Event) -> None:
        self.size = len(content)
        self._content = content
        self._gate = gate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content[:1]
        await self._gate.wait()
        yield self._content[1:]


def begin(content: bytes, gate: trio.Event | None = None) -> Callable[[], object]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[ByteStream]:
        await trio.lowlevel.checkpoint()
        if gate is None:
            (ended := trio.Event()).set()
            yield ByteStream(content, ended)
        else:
            yield ByteStream(content, gate)

    return opened


async def fetch(bodies: Bodies, key: Hashable, content: bytes) -> bytes:
    body = await bodies.open(key, begin(content))  # type: ignore[arg-type]
    try:
        return await body.read(0, 100)
    finally:
        bodies.release(key, body)


async def until(met: Callable[[], bool]) -> None:
    """What the thread that writes has done is seen in its file alone."""
    with trio.fail_after(60):
        while not met():  # noqa: ASYNC110
            await trio.sleep(0.02)


KEY, OTHER = ("source", "", "mine"), ("source", "", "theirs")


def mine(key: Hashable) -> bool:
    return isinstance(key, tuple) and key[-1] == "mine"


@pytest.mark.parametrize("among", [None, ["mine"]], ids=["any", "few"])
@pytest.mark.parametrize("written", [True, False], ids=["written", "still due"])
async def test_it_does_not_come_back_from_disk(written: bool, among: list[Hashable] | None, tmp_path: Path) -> None:
    """Neither to this process nor to the next one, whether or not it had been written; others do."""
    async with process(tmp_path) as (store, _, index):
        for key in (KEY, OTHER):
            store.keep(key, "old", HOUR, lasting=True)
        if written:
            await until(lambda: index.totals().answers == 2)
    async with process(tmp_path) as (store, _, index):
        assert index.totals().answers == 2
        if not written:
            store.keep(KEY, "newer", HOUR, lasting=True)
        await store.drop_all(mine, among)
        assert store.recall(KEY) is None
        assert store.last(KEY) is None
        assert index.totals().answers == 1
    async with process(tmp_path) as (store, _, _):
        assert store.recall(KEY) is None
        assert store.recall(OTHER) is not None


async def test_it_counts_as_gone_while_another_process_keeps_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes when that has done; a fresh answer is kept."""
    async with process(tmp_path) as (store, _, index):
        store.keep(KEY, "old", HOUR, lasting=True)
        await until(lambda: index.totals().answers == 1)
        stuck, drop_all = [True], index.drop_all

        def busy(which: Callable[[str], bool], among: Sequence[str] = ()) -> bool:
            return not stuck[0] and drop_all(which, among)

        monkeypatch.setattr(index, "drop_all", busy)
        await store.drop_all(mine)
        assert store.recall(KEY) is None
        stuck[0] = False
        store.keep(OTHER, "new", HOUR, lasting=True)
        await until(lambda: not index.view.dropped)
    async with process(tmp_path) as (store, _, _):
        assert store.recall(KEY) is None
        assert store.recall(OTHER) is not None


async def test_many_drops_of_a_file_that_cannot_be_written_are_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look costs no more after thousands; what is fresh is kept as soon as it can be."""
    async with process(tmp_path) as (store, _, index):
        store.keep(KEY, "old", HOUR, lasting=True)
        await until(lambda: index.totals().answers == 1)
        stuck, drop_all = [True], index.drop_all

        def full(which: Callable[[str], bool], among: Sequence[str] = ()) -> bool:
            return not stuck[0] and drop_all(which, among)

        monkeypatch.setattr(index, "drop_all", full)
        for _ in range(3 * DROPS):
            await store.drop_all(mine, ["mine"])
        assert len(index.view.dropped) <= DROPS
        assert store.recall(KEY) is None
        stuck[0] = False
        store.keep(OTHER, "new", HOUR, lasting=True)
        await until(lambda: not index.view.dropped)
    async with process(tmp_path) as (store, _, _):
        assert store.recall(KEY) is None
        assert store.recall(OTHER) is not None


async def test_what_is_dropped_while_it_is_written_is_not_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a moment: another mount, or the next one after a crash, would find it there."""
    async with process(tmp_path) as (store, _, index):
        write, found = index.write, list[int]()

        def late(*changes: Any) -> bool:
            if not found:
                trio.from_thread.run(store.drop_all, mine)
            done = write(*changes)
            found.append(index.totals().answers)
            return done

        monkeypatch.setattr(index, "write", late)
        for key in (KEY, OTHER):
            store.keep(key, "old", HOUR, lasting=True)
        await until(lambda: bool(found))
        assert found[0] == 1
        assert store.recall(OTHER) is not None


async def test_a_body_that_is_open_is_read_on_and_the_next_one_is_fetched(tmp_path: Path) -> None:
    """From memory, from disk, and while it arrives; what arrives too late is not laid on disk."""
    async with process(tmp_path) as (store, bodies, index):
        assert await fetch(bodies, KEY, b"old") == b"old"
        body = await bodies.open(KEY, begin(b"never"))  # type: ignore[arg-type]
        bodies.drop_all(mine)
        await store.drop_all(mine)
        assert await fetch(bodies, KEY, b"newer") == b"newer"
        assert await body.read(0, 100) == b"old"
        bodies.release(KEY, body)
        gate = trio.Event()
        bodies.drop_all(mine)
        await store.drop_all(mine)
        body = await bodies.open(KEY, begin(b"late", gate))  # type: ignore[arg-type]
        bodies.drop_all(mine)
        await store.drop_all(mine)
        gate.set()
        assert await body.read(0, 100) == b"late"
        while body.arriving:  # noqa: ASYNC110
            await trio.sleep(0.02)
        bodies.release(KEY, body)
        assert bodies.size(KEY) is None
        assert index.totals().bodies == 0
        assert await fetch(bodies, KEY, b"newest") == b"newest"
