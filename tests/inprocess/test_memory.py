"""What a walk through a big project costs in memory, counted by tracemalloc: no mount, no clock, always the same."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition import assembly as composition
from cometfs.mountstate.inodes import BYTES, Inode, Inodes
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import Wire, at

COPIES = 40
PROJECT = "vision-lab/digits"


@pytest.fixture
def allocated() -> Iterator[Callable[[], int]]:
    """The bytes that were allocated since the first look and are still held."""
    yield _look
    tracemalloc.stop()


def _look() -> int:
    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


async def told(vfs: Vfs, inodes: Inodes, parent: Inode) -> list[Inode]:
    """The inodes of a directory, as the kernel is told of them when somebody lists it."""
    listing, _ = await vfs.listings.children(parent.node)
    vfs.listed(parent.node)
    found = []
    for node in listing.nodes.values():
        inode = inodes.child(parent, node)
        vfs.glance(node)
        inodes.remember(inode)
        found.append(inode)
    return found


@pytest.fixture
def wire() -> Wire:
    return Wire(open_directory(sample_directory(), COPIES))


@pytest.mark.parametrize(
    ("budget", "most", "left", "listed"),
    [(composition.MEMORY, BYTES + 115, 210, 0), (64 << 10, BYTES, 25, 250)],
    ids=["cached", "not cached"],
)
async def test_an_inode_costs_no_more_than_stated_and_nothing_once_forgotten(
    budget: int,
    most: int,
    left: int,
    listed: int,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    allocated: Callable[[], int],
) -> None:
    """`find` over the experiments of a project, then the kernel drops its caches: what is left is the cache's, and of
    each directory, for so many bytes, what its listing left out."""
    monkeypatch.setattr(composition, "MEMORY", budget)
    async with API("key", "http://comet", transport=Transport(wire)) as api, composition.open_vfs(api) as vfs:
        inodes = Inodes(await at(vfs, PROJECT))
        experiments = [inode for inode in await told(vfs, inodes, inodes.root) if inode.node.at.experiment]
        # What is made once for all is not counted, nor what the project's own listing costs.
        await told(vfs, inodes, experiments.pop())
        allocated()
        files = [inode for experiment in experiments for inode in await told(vfs, inodes, experiment)]
        numbers = [(inode.number, 1) for inode in files]
        del files
        assert len(numbers) > 20 * len(experiments)
        assert allocated() / len(numbers) < most
        inodes.forget(numbers)
        count = len(numbers)
        del numbers
        assert allocated() < left * count + listed * len(experiments)
        assert all(experiment.children is None for experiment in experiments)


async def test_a_row_that_did_not_change_is_not_held_twice(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project is listed again every minute: who walks through it for hours holds one generation of its rows."""
    async with API("key", "http://comet", transport=Transport(wire)) as api, composition.open_vfs(api) as vfs:
        project = await at(vfs, PROJECT)
        before = [node.at.experiment for node in (await vfs.listings.children(project))[0].nodes.values()]
        now = vfs._store._memory.clock()
        monkeypatch.setattr(vfs._store._memory, "clock", lambda: now + 61)
        after = [node.at.experiment for node in (await vfs.listings.children(project))[0].nodes.values()]
        assert wire.asked.count("experiments") == 2
        assert len(after) > 5 * COPIES
        assert all(one is other for one, other in zip(before, after, strict=True))
