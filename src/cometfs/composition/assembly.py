"""Puts client, cache, budget of calls and tree together: a mounted Comet without a face.

Not here: mounting it, and ending it by a signal (app.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

from cometfs._version import __version__
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
from cometfs.connectivity import Connectivity
from cometfs.lease import RUNNING, Lease
from cometfs.quota.limiter import Budget
from cometfs.quota.sqlite_bucket import SQLiteBucket
from cometfs.telemetry.gauges import Gauges, of_process
from cometfs.telemetry.metrics import Meters
from cometfs.telemetry.traffic import Waiting
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.error_log import with_warnings
from cometfs.vfs.keys import owner_of
from cometfs.vfs.layout import tree
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.experiment import WORKSPACES

if TYPE_CHECKING:  # its library is an extra
    from cometfs.shared.opening import Shared

MEMORY = 128 << 20
"""Bytes of answers and rendered files that are kept in memory."""

SHOWN = 20
"""Requests on their way, and errors, that the status shows at most."""

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
            index, blobs, writebehind = await _opened_disk(cache, wall, ending) if cache else _NO_DISK
            if writebehind is not None:
                writing.start_soon(writebehind.run)
            bodies = Bodies(loads, SPOOL, cache.folder if cache else None, blobs)
            ending.callback(bodies.close)
            parted = PartedBodies(loads, Blocks(blobs, loads)) if cache and blobs else None
            try:
                flights, connectivity = Flights(loads), api.connectivity
                if shared is not None:
                    writing.start_soon(shared.answers.run)
                gauges["loads"] = flights.count
                memory, others = Memory(MEMORY, owner=owner_of), shared.answers if shared else None
                store = Store(memory, flights, writebehind, wall, connectivity, others)
                of_others = BodiesOfOthers(others) if others else None
                answers = AnswerResolver(api, store, bodies, parted, of_others=of_others)
                answers.status = _Status(api, answers, workspaces, budget, index, gauges, shared, wall()).now
                meters |= measured.at_hand(api, index, blobs, gauges) | measured.of_lookups(answers, parted)
                answers.metrics = partial(measured.text, meters, budget, index)
                answers.ahead = prefetcher = Prefetcher(
                    answers, loads, partial(_may_prefetch, connectivity, budget), singles=singles
                )
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


_NO_DISK: tuple[Index | None, BlobStore | None, WriteBehind | None] = (None, None, None)


async def _opened_disk(
    cache: Cache, wall: Callable[[], float], ending: ExitStack
) -> tuple[Index, BlobStore, WriteBehind]:
    """What keeps answers and bodies on disk."""
    index = Index(cache.folder, wall)
    ending.callback(index.close)
    await trio.to_thread.run_sync(index.open)
    evictor = Evictor(index, cache.size)
    blobs = BlobStore(index, evictor)
    return index, blobs, WriteBehind(index, evictor, blobs, wall)


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


@dataclass(frozen=True)
class _Status:
    """What `.cometfs/status.json` shows."""

    api: API
    answers: AnswerResolver
    named: Sequence[str]
    budget: Budget | None
    index: Index | None
    gauges: Gauges
    shared: Shared | None
    since: float

    async def now(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "server": self.api.root,
            "workspaces": self._workspaces(),
            "pid": os.getpid(),
            "since": round(self.since, 3),
            "network": self.api.connectivity.as_object(),
            "calls": (await self.budget.status()).as_object() if self.budget else None,
            "shared": self.shared.as_object() if self.shared else None,
            "reads": {where: self.answers.lookups.at(where, "answer", "body") for where in ("memory", "disk", "asked")},
            "fetching": [_on_its_way(one) for one in self.api.traffic.waiting()[:SHOWN]],
            "made_calls": self.api.traffic.calls.total(),
            "received_bytes": self.api.traffic.bytes,
            "cache": await self._cache(),
            "gauges": {name: gauge() for name, gauge in sorted(self.gauges.items())},
            "errors": self.answers.error_log.lines()[-SHOWN:],
        }

    def _workspaces(self) -> list[str]:
        """Those at the root, as far as that is known."""
        held = self.answers.peek(WORKSPACES, Context(self.api.root, 0.0))
        return list(self.named or (held and held.value) or ())

    async def _cache(self) -> dict[str, Any] | None:
        if self.index is None:
            return None
        totals = await trio.to_thread.run_sync(self.index.totals)
        return totals.as_object() | {"folder": str(self.index.folder)}


def _on_its_way(request: Waiting) -> dict[str, Any]:
    return {"what": request.what, "for_s": round(request.seconds, 1), "bytes": request.bytes}
