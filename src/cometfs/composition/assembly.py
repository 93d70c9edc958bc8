"""Puts client, cache, budget of calls and tree together: a mounted Comet without a face.

Not here: what it shows of itself (mount_status.py), mounting it, and ending it by a signal (app.py).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trio

from cometfs.cache.downloads.blocks import Blocks
from cometfs.cache.downloads.downloads import Bodies
from cometfs.cache.downloads.of_others import BodiesOfOthers
from cometfs.cache.downloads.parted import PartedBodies
from cometfs.cache.memory import Memory
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.writebehind import WriteBehind
from cometfs.cache.singleflight import Flights
from cometfs.cache.store import Store
from cometfs.caller import Urgency
from cometfs.comet.api import API
from cometfs.composition import measured
from cometfs.composition.mount_status import MountStatus
from cometfs.connectivity import Connectivity
from cometfs.lease import RUNNING, Lease
from cometfs.quota.limiter import Budget
from cometfs.quota.sqlite_bucket import SQLiteBucket
from cometfs.telemetry.gauges import Gauges, of_process
from cometfs.telemetry.metrics import Meters
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.error_log import with_warnings
from cometfs.vfs.keys import owner_of
from cometfs.vfs.layout import tree

if TYPE_CHECKING:  # its library is an extra
    from cometfs.shared.opening import Shared

MEMORY = 128 << 20
"""Bytes of answers and rendered files that are kept in memory."""

SPOOL = 1 << 30
"""Bytes of downloaded assets that are kept for the next reader."""


class Cache(NamedTuple):
    """Where what was fetched from one account lasts, and how many bytes of it."""

    folder: Path
    size: int


@asynccontextmanager
async def open_vfs(
    api: API,
    workspaces: Sequence[str] = (),
    *,
    rw: bool = False,
    allow_delete: bool = False,
    live: Lease = RUNNING,
    cache: Cache | None = None,
    budget: Budget | None = None,
    singles: bool = True,
    shared: Shared | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[Vfs]:
    """A mounted Comet without a kernel, in this process, as an async context manager that gives a `Vfs`.

    - `api`: an open `API`; it stays open when the block ends
    - `workspaces`: names of those at the root; by default all that the API key can see
    - `rw`: whether what can be changed at Comet is writable: the key-value store, tags, others, names, places
    - `allow_delete`: whether experiments can be removed then; they are archived, and can be restored
    - `live`: how long answers hold about an experiment that may be running (5 s)
    - `cache`: the directory and the bytes for answers and assets that last; None keeps them until the block ends
    - `budget`: the calls of `api`, from `open_budget`; None does not count them
    - `singles`: whether questions are asked ahead of a reader that one call for many does not answer, too: that saves
      time and no calls, and several processes that share a cache would all ask them
    - `shared`: what other machines have, from `shared.opening`; None asks for everything
    - `wall`: the clock by which what lasts is dated, in seconds since 1970

    Nothing is asked of Comet until something is looked at:

        >>> async with open_vfs(api) as vfs:
        ...     (workspaces, _lease) = await vfs.listings.children(vfs.root)
        ...     sorted(workspaces.nodes)
        ['.api', '.cometfs', 'README.md', 'tabular', 'vision-lab']

    Raises nothing by itself: a cache that cannot be used is logged as a warning. What is looked at raises the errors of
    every call of `API`, NoSuchEntry, NotADirectory and IsADirectory for names, and OutOfSpace for a download without
    room. Loads that are under way end with the block.
    """
    gauges, meters = of_process(), Meters()
    with ExitStack() as ending:
        async with trio.open_nursery() as writing, trio.open_nursery() as loads:
            ending.enter_context(api.probing(loads))
            disk = await _opened_disk(cache, wall, ending) if cache else _NO_DISK
            if disk.writebehind is not None:
                writing.start_soon(disk.writebehind.run)
            bodies = Bodies(loads, SPOOL, cache.folder if cache else None, disk.blobs)
            ending.callback(bodies.close)
            parted = PartedBodies(loads, Blocks(disk.blobs, loads)) if disk.blobs else None
            try:
                if shared is not None:
                    writing.start_soon(shared.answers.run)
                store = _store(api, loads, disk.writebehind, shared, gauges, wall)
                of_others = BodiesOfOthers(shared.answers) if shared else None
                answers = AnswerResolver(api, store, bodies, parted, of_others=of_others)
                answers.status = MountStatus(api, answers, workspaces, budget, disk.index, gauges, shared, wall()).now
                meters |= measured.at_hand(api, disk.index, disk.blobs, gauges) | measured.of_lookups(answers, parted)
                answers.metrics = partial(measured.text, meters, budget, disk.index)
                spare = partial(_may_prefetch, api.connectivity, budget)
                answers.ahead = prefetcher = Prefetcher(answers, loads, spare, singles=singles)
                ending.enter_context(with_warnings(answers.error_log))
                yield Vfs(
                    answers,
                    prefetcher,
                    tree(workspaces),
                    rw=rw,
                    allow_delete=allow_delete,
                    live=live,
                    gauges=gauges,
                    meters=meters,
                    wall=wall,
                )
            finally:
                loads.cancel_scope.cancel()
                writing.cancel_scope.cancel()


@dataclass(frozen=True)
class _Disk:
    """What keeps answers and bodies on disk."""

    index: Index | None
    blobs: BlobStore | None
    writebehind: WriteBehind | None


_NO_DISK = _Disk(None, None, None)


async def _opened_disk(cache: Cache, wall: Callable[[], float], ending: ExitStack) -> _Disk:
    index = Index(cache.folder, wall)
    ending.callback(index.close)
    await trio.to_thread.run_sync(index.open)
    evictor = Evictor(index, cache.size)
    blobs = BlobStore(index, evictor)
    return _Disk(index, blobs, WriteBehind(index, evictor, blobs, wall))


def _store(
    api: API,
    loads: trio.Nursery,
    writebehind: WriteBehind | None,
    shared: Shared | None,
    gauges: Gauges,
    wall: Callable[[], float],
) -> Store:
    flights, memory = Flights(loads), Memory(MEMORY, owner=owner_of)
    gauges["loads"] = flights.count
    return Store(memory, flights, writebehind, wall, api.connectivity, shared.answers if shared else None)


@asynccontextmanager
async def open_budget(folder: Path, rate: float, shared: Shared | None = None) -> AsyncIterator[Budget]:
    """The calls of the account whose cache is in `folder`; `rate` an hour; `shared`: where they are counted instead."""
    budget = Budget(shared.bucket, pauses=shared.pauses) if shared else Budget(SQLiteBucket(folder, rate))
    async with trio.open_nursery() as writing:
        writing.start_soon(budget.run)
        try:
            yield budget
        finally:
            writing.cancel_scope.cancel()


def _may_prefetch(connectivity: Connectivity, budget: Budget | None, urgency: Urgency) -> bool:
    return not connectivity.away and (budget is None or budget.spare(urgency))
