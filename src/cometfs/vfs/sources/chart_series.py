"""Metrics of many experiments, asked together for the charts of their project, in batches of bounded size.

What came is kept for each experiment and metric: of what has ended it holds on, and the next chart asks only for what
may have changed. Not here: charts themselves (project_tables.py), and metrics as one experiment's own files show them
(metrics.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from cometfs.comet.answers.models import Chart
from cometfs.errors import AnswerTooLarge
from cometfs.lease import LISTING, Lease
from cometfs.render.series import pack
from cometfs.vfs.schema.declaration import Context, Resolver, Source
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.experiment import each_of, key, sealed_lease

TOGETHER = 100
"""Experiments in one call at most: Comet documents no limit, its own clients ask for few."""

FIRST = 16
"""Experiments in the first call for several metrics, when it is not known how much they bring."""

TARGET = 4 << 20
"""Packed bytes that a call shall bring: some 12 MB of JSON, which take some 60 MB while they are read."""

ABREAST = 8
"""Calls at once that bring little; such as bring `TARGET` go two by two."""

UNTIL = 50
"""Experiments that are looked up before others get their turn."""

Take = Callable[[Context, str, bytes], None]
"""Is given the points of an experiment's metric, as `series.pack` packs them; nothing where it has none."""


Packed = Mapping[str, bytes]
"""The metrics of an experiment."""


def _packed(chart: Chart) -> Packed:
    return {metric["metricName"]: pack(metric) for metric in chart["metrics"]}


async def _alone(asker: Resolver, at: Context) -> bytes:
    found = await asker.api.experiment_metrics_for_chart_as([key(at)], [at.item], _packed)
    return found.get(key(at), {}).get(at.item, b"")


def _lease(at: Context) -> Lease:
    """Of what may be running as long as all that a project shows of its experiments."""
    return Lease(max(sealed_lease(at), LISTING))


SERIES = Source("a metric of one experiment in charts", _alone, _lease, of_each=True)


async def gather(
    asker: Resolver,
    places: Sequence[Context],
    metrics: Sequence[str],
    take: Take,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Gives `take` each of those metrics of each experiment, asking for what is not at hand, until it is `enough`.

    Raises AnswerTooLarge where one metric of one experiment is more than an answer can be.
    """
    missing, names = [], set()
    for count, at in enumerate(places, 1):
        lacking = [name for name in metrics if not _at_hand(asker, at, name, take)]
        if lacking:
            missing.append(at)
            names.update(lacking)
        if count % UNTIL == 0:
            await trio.lowlevel.checkpoint()
        if enough():
            return
    await _ask(asker, missing, sorted(names), take, enough)


def _at_hand(asker: Resolver, at: Context, name: str, take: Take) -> bool:
    found = asker.recall(SERIES, experiment.at_metric(at, name))
    if found is not None:
        take(at, name, found)
    return found is not None


async def _ask(
    asker: Resolver, places: Sequence[Context], metrics: Sequence[str], take: Take, enough: Callable[[], bool]
) -> None:
    left = deque(places)
    size, abreast = TOGETHER if len(metrics) == 1 else FIRST, 1
    while left and not enough():
        batches: list[list[Context]] = []
        while left and len(batches) < abreast:
            batches.append([left.popleft() for _ in range(min(size, len(left)))])
        brought = await each_of(batches, lambda batch: _together(asker, batch, metrics, take))
        of_one = sum(brought) / sum(map(len, batches)) + 1
        size = max(1, min(TOGETHER, int(TARGET / of_one)))
        abreast = max(1, min(ABREAST, int(2 * TARGET / (of_one * size))))


async def _together(asker: Resolver, places: Sequence[Context], metrics: Sequence[str], take: Take) -> int:
    """Asks for all in one call, in two where their answer is too big for one. Returns the bytes that came."""
    try:
        found = await asker.api.experiment_metrics_for_chart_as(list(map(key, places)), metrics, _packed)
    except AnswerTooLarge:
        if len(places) == len(metrics) == 1:
            raise
        halves = _halved(places) if len(places) > 1 else [places]
        named = [metrics] if len(places) > 1 else _halved(metrics)
        return sum([await _together(asker, some, names, take) for some in halves for names in named])
    for at in places:
        of_one = found.get(key(at), {})
        for name in metrics:
            packed = of_one.get(name, b"")
            asker.keep(SERIES, experiment.at_metric(at, name), packed)
            take(at, name, packed)
        await trio.lowlevel.checkpoint()
    return sum(len(packed) for of_one in found.values() for packed in of_one.values())


def _halved(items: Sequence[Any]) -> list[Sequence[Any]]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]
