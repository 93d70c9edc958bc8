"""What a table of a big project takes beside its calls: work is counted, never timed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.writebehind import WriteBehind
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs import nodes
from cometfs.vfs.answers import batches
from cometfs.vfs.engine import listings
from cometfs.vfs.keys import Key
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import ForEach, Row
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.metrics import PACKED
from tests.inprocess.conftest import Wire, at, mounted, names, read

COPIES = 60
PROJECT = "vision-lab/digits"
TABLE = f"{PROJECT}/summary/experiments.csv"


class Tasks(trio.abc.Instrument):
    """Counts tasks that begin."""

    def __init__(self) -> None:
        self.begun = 0

    def task_spawned(self, _task: trio.lowlevel.Task) -> None:
        self.begun += 1


@pytest.fixture(scope="module")
def many() -> Catalog:
    return open_directory(sample_directory(), COPIES)


async def test_a_table_takes_no_task_for_each_experiment(many: Catalog, tmp_path: Path) -> None:
    """A task of each question and experiment took more than the questions themselves, and all were there at once."""
    wire, tasks = Wire(many), Tasks()
    async with mounted(wire, tmp_path) as vfs:
        listed = await names(vfs, PROJECT)
        wire.asked.clear()
        trio.lowlevel.add_instrument(tasks)
        written = await read(vfs, TABLE)
        trio.lowlevel.remove_instrument(tasks)
    experiments = written.count(b"\n") - 1
    assert experiments >= 5 * COPIES
    assert len(listed) > experiments
    assert tasks.begun < experiments


async def test_a_table_keeps_few_answers_of_an_experiment(many: Catalog, tmp_path: Path) -> None:
    """And all of its metrics as one: a row of the index for each took more than asking for them."""
    wire = Wire(many)
    async with mounted(wire, tmp_path) as vfs:
        written = (await read(vfs, TABLE)).decode().splitlines()
        wire.asked.clear()
        directory = f"{PROJECT}/{written[COPIES].split(',')[2]}"
        files = await names(vfs, f"{directory}/metrics")
        first = await read(vfs, f"{directory}/metrics/{files[0]}")
        charted = await read(vfs, f"{PROJECT}/charts/{files[0]}")
        await vfs.settle()
    assert wire.asked == []
    assert len(files) > 3
    async with mounted(Wire(many), tmp_path / "alone") as alone:
        assert await read(alone, f"{PROJECT}/charts/{files[0]}") == charted
    kept = Index(tmp_path).totals().answers
    assert kept < 6 * (len(written) - 1)
    async with mounted(wire, tmp_path) as vfs:
        assert await read(vfs, f"{directory}/metrics/{files[0]}") == first
        assert await names(vfs, f"{directory}/metrics") == files
    assert wire.asked == []


async def test_a_big_table_leaves_the_answers_of_others_in_memory(
    many: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has taken is on disk: held in memory, too, it pushed out all else, and then itself."""
    monkeypatch.setattr(batches, "HELD", 1 << 10)
    wire = Wire(many)
    async with mounted(wire, tmp_path) as vfs:
        written = (await read(vfs, TABLE)).decode().splitlines()
        held = [key for key in vfs._answers.store.all_keys() if isinstance(key, Key) and key.of == PACKED.name]
        # Those with 20,000 points, of which a chart may lack some: each was asked by itself after all.
        assert len(held) <= COPIES + 2
        wire.asked.clear()
        for line in written[1::10]:
            assert await names(vfs, f"{PROJECT}/{line.split(',')[2]}/metrics")
    assert wire.asked == []


async def test_a_table_looks_at_the_disk_once_for_each_answer(
    many: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it asks for what is not there; what has come is in memory."""
    looks: list[object] = []
    recall = WriteBehind.recall

    def counted(behind: WriteBehind, key: object) -> object:
        looks.append(key)
        return recall(behind, key)

    monkeypatch.setattr(WriteBehind, "recall", counted)
    async with mounted(Wire(many), tmp_path) as vfs:
        experiments = (await read(vfs, TABLE)).count(b"\n") - 1
    assert len(looks) < 7 * experiments


async def test_so_many_at_once_are_asked_in_order() -> None:
    """Each item once, and what came in the order of the items."""
    busy, most = 0, 0

    async def ask(item: int) -> int:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await trio.lowlevel.checkpoint()
        busy -= 1
        return -item

    tasks = Tasks()
    trio.lowlevel.add_instrument(tasks)
    assert await experiment.each_of(range(100), ask, 3) == [-item for item in range(100)]
    trio.lowlevel.remove_instrument(tasks)
    assert most == tasks.begun == 3


async def test_a_long_listing_is_made_once_for_all_that_wait(
    many: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file of a project that was looked up when a listing had just run out made one of its own."""
    async with mounted(Wire(many), tmp_path) as vfs:
        project = await at(vfs, PROJECT)
        made: list[int] = []

        def build(node: Node, each: ForEach, rows: Sequence[Row]) -> object:
            made.append(len(rows))
            return nodes.build(node, each, rows)

        monkeypatch.setattr(listings, "_MANY", 1)
        monkeypatch.setattr(listings, "build", build)
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(vfs.listings.children, project)
        assert len([count for count in made if count > 40]) == 1


async def test_a_listing_after_a_refresh_is_not_one_from_before_it(
    many: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that is still being made: its reader waits for no other."""
    begun, go_on = threading.Event(), threading.Event()
    wire = Wire(many)

    def build(node: Node, each: ForEach, rows: Sequence[Row]) -> object:
        if len(rows) > 40 and not begun.is_set():
            begun.set()
            go_on.wait()
        return nodes.build(node, each, rows)

    async with mounted(wire, tmp_path) as vfs:
        project = await at(vfs, PROJECT)
        monkeypatch.setattr(listings, "_MANY", 1)
        monkeypatch.setattr(listings, "build", build)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(vfs.listings.children, project)
            try:
                await trio.to_thread.run_sync(begun.wait)
                wire.asked.clear()
                await vfs.refresh(project, above=())
                with trio.fail_after(60):
                    await vfs.listings.children(project)
                assert "experiments" in wire.asked
            finally:
                go_on.set()
