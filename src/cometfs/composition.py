"""Puts client, cache, budget of calls and tree together: a mounted Comet without a face.

Not here: mounting it, and ending it by a signal (app.py).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio

from cometfs._version import __version__
from cometfs.cache.downloads.blocks import Blocks
from cometfs.cache.downloads.downloads import Bodies
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
from cometfs.connectivity import Connectivity
from cometfs.gauges import Gauges, of_process
from cometfs.lease import RUNNING, Lease
from cometfs.quota.limiter import Budget
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.error_log import with_warnings
from cometfs.vfs.keys import owner_of
from cometfs.vfs.layout import tree

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
    live: Lease = RUNNING,
    cache: Cache | None = None,
    budget: Budget | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[Vfs]:
    """A mounted Comet without a kernel, in this process, as an async context manager that gives a `Vfs`.

    - `api`: an open `API`; it stays open when the block ends
    - `workspaces`: names of those at the root; by default all that the API key can see
    - `rw`: whether the files of Comet's key-value store are writable
    - `live`: how long answers hold about an experiment that may be running (5 s)
    - `cache`: the directory and the bytes for answers and assets that last; None keeps them until the block ends
    - `budget`: the calls of `api`, from `open_budget`; None does not count them
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
    gauges = of_process()
    with ExitStack() as ending:
        async with trio.open_nursery() as writing, trio.open_nursery() as loads:
            ending.enter_context(api.probing(loads))
            index = blobs = writebehind = None
            if cache is not None:
                index = Index(cache.folder, wall)
                ending.callback(index.close)
                await trio.to_thread.run_sync(index.open)
                evictor = Evictor(index, cache.size)
                blobs = BlobStore(index, evictor)
                writebehind = WriteBehind(index, evictor, blobs, wall)
                writing.start_soon(writebehind.run)
            bodies = Bodies(loads, SPOOL, cache.folder if cache else None, blobs)
            ending.callback(bodies.close)
            parted = PartedBodies(loads, Blocks(blobs, loads)) if cache and blobs else None
            try:
                flights, connectivity = Flights(loads), api.connectivity
                gauges["loads"] = flights.count
                store = Store(Memory(MEMORY, owner=owner_of), flights, writebehind, wall, connectivity)
                answers = AnswerResolver(api, store, bodies, parted, partial(_status, api, budget, index, gauges))
                answers.ahead = prefetcher = Prefetcher(answers, loads, partial(_may_prefetch, connectivity, budget))
                ending.enter_context(with_warnings(answers.error_log))
                yield Vfs(answers, prefetcher, tree(workspaces), rw=rw, live=live, gauges=gauges, wall=wall)
            finally:
                loads.cancel_scope.cancel()
                writing.cancel_scope.cancel()


@asynccontextmanager
async def open_budget(folder: Path, rate: float) -> AsyncIterator[Budget]:
    """The calls of the account whose cache is in `folder`; `rate` an hour."""
    budget = Budget(folder, rate)
    async with trio.open_nursery() as writing:
        writing.start_soon(budget.run)
        try:
            yield budget
        finally:
            writing.cancel_scope.cancel()


def _may_prefetch(connectivity: Connectivity, budget: Budget | None, urgency: Urgency) -> bool:
    return not connectivity.away and (budget is None or budget.spare(urgency))


async def _status(api: API, budget: Budget | None, index: Index | None, gauges: Gauges) -> dict[str, Any]:
    """What `.cometfs/status.json` shows."""
    return {
        "version": __version__,
        "server": api.root,
        "network": api.connectivity.as_object(),
        "calls": (await budget.status()).as_object() if budget else None,
        "cache": (await trio.to_thread.run_sync(index.totals)).as_object() if index else None,
        "gauges": {name: gauge() for name, gauge in sorted(gauges.items())},
    }
