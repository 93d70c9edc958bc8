"""What the parts of a mount have counted, under the names of its metrics.

Not here: the names (metrics.py), and what the kernel has asked (fuse/operations.py adds that itself).
"""

from __future__ import annotations

from functools import partial

import trio

from cometfs._version import __version__
from cometfs.cache.downloads.parted import PartedBodies
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.index import Index
from cometfs.comet.api import API
from cometfs.quota.limiter import Budget
from cometfs.telemetry import metrics
from cometfs.telemetry.gauges import Gauges, Lookups
from cometfs.telemetry.metrics import Meters, Samples
from cometfs.vfs.answers.resolver import AnswerResolver


def at_hand(api: API, index: Index | None, blobs: BlobStore | None, gauges: Gauges) -> Meters:
    """Calls, bytes, hosts, and the gauges of the status. No label is a name of what an account has, or a secret."""
    return {
        metrics.INFO: lambda: {(__version__, api.root): 1},
        metrics.CALLS: lambda: api.traffic.outcomes,
        metrics.RECEIVED: lambda: {(): api.traffic.bytes},
        metrics.ANSWERING: lambda: {(host,): int(answers) for host, answers in api.answering.items()},
        metrics.DISK_READ: partial(_disk_read, index, blobs),
        **{metric: partial(_gauge, gauges, name) for name, metric in metrics.GAUGES.items()},
    }


def _gauge(gauges: Gauges, name: str) -> Samples:
    """Without a face there is none of some."""
    return {(): gauges[name]()} if name in gauges else {}


def _disk_read(index: Index | None, blobs: BlobStore | None) -> Samples:
    found = {("answer",): index.view.bytes_read} if index else {}
    return found | {(kind,): size for kind, size in (blobs.bytes_read if blobs else {}).items()}


def of_lookups(answers: AnswerResolver, parted: PartedBodies | None) -> Meters:
    """What readers wanted of the cache."""

    def lookups() -> Lookups:
        return Lookups(answers.lookups + (parted.lookups if parted else Lookups()))

    return {
        metrics.HITS: lambda: {at: count for at, count in lookups().items() if at[1] != "asked"},
        metrics.MISSES: lambda: {(kind,): count for (kind, where), count in lookups().items() if where == "asked"},
    }


async def text(meters: Meters, budget: Budget | None, index: Index | None) -> str:
    """All metrics, in Prometheus's format. What takes time is done in threads."""
    found: dict[metrics.Metric, Samples] = {}
    if budget is not None:
        status = await budget.status()
        found |= {metrics.CALLS_LEFT: {(): status.left}, metrics.CALLS_USED: {(): status.used}}
    if index is not None:
        totals = await trio.to_thread.run_sync(index.totals)
        found[metrics.CACHE_BYTES] = {("answer",): totals.answer_bytes, ("body",): totals.body_bytes}
    # A thread must not go through what changes meanwhile.
    found |= {metric: dict(samples()) for metric, samples in meters.items()}
    return (await trio.to_thread.run_sync(metrics.text, list(found.items()))).decode()
