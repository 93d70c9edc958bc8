"""Metrics of many experiments, asked together for the charts of their project, in batches of bounded size.

What came is kept for each experiment and metric: of what has ended it holds on, and the next chart asks only for what
may have changed. Not here: charts themselves (project_tables.py), and metrics as one experiment's own files show them
(metrics.py).
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from cometfs.comet.answers.models import Chart
from cometfs.errors import NO_OTHER_WAY, AnswerTooLarge, CometFSError, DeadlineExceeded, NotFound
from cometfs.lease import FINISHED, LISTING, Lease
from cometfs.render.series import Series, pack, pack_points
from cometfs.vfs.keys import Place
from cometfs.vfs.schema.declaration import Context, Failed, Known, Needs, Resolver, Source, Within
from cometfs.vfs.sources import chart_calls, experiment
from cometfs.vfs.sources.chart_calls import Charted
from cometfs.vfs.sources.charted_metrics import Parsed
from cometfs.vfs.sources.experiment import each_of, key, sealed_lease, tolerate
from cometfs.vfs.sources.metrics import PACKED
from cometfs.vfs.sources.parameters import COLUMNS, of_project, words_of

log = logging.getLogger(__name__)

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
    return pack_points(await asker.api.experiment_metric_points(key(at), at.item))


def _lease(at: Context) -> Lease:
    """Of what may be running as long as all that a project shows of its experiments."""
    return Lease(max(sealed_lease(at), LISTING))


SERIES = Source(
    "a metric of one experiment in charts",
    _alone,
    _lease,
    of=(PACKED,),
    of_each=True,
    within=Within(PACKED, experiment.of_experiment, lambda _asker, packed, at: Parsed.unpacked(packed).series(at.item)),
)


async def gather(
    asker: Resolver,
    places: Sequence[Context],
    metrics: Sequence[str],
    take: Take,
    enough: Callable[[], bool] = lambda: False,
    failed: Failed | None = None,
) -> None:
    """Gives `take` each of those metrics of each experiment, asking for what is not at hand, until it is `enough`.

    `failed`: as in `Resolver.answers`. Raises AnswerTooLarge where one metric of one experiment is more than an answer
    can be.
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
    await _ask(asker, missing, sorted(names), take, enough, failed)
    asker.lacks(list((failed or {}).values()))


def _at_hand(asker: Resolver, at: Context, name: str, take: Take) -> bool:
    found = asker.recall(SERIES, experiment.at_metric(at, name))
    if found is not None:
        take(at, name, found)
    return found is not None


async def _ask(
    asker: Resolver,
    places: Sequence[Context],
    metrics: Sequence[str],
    take: Take,
    enough: Callable[[], bool],
    failed: Failed | None,
) -> None:
    left, calls = deque(places), _Calls(asker, metrics, take, failed)
    size, abreast = TOGETHER if len(metrics) == 1 else FIRST, 1
    if places and (known := asker.count(WEIGHT, of_project(places[0]))):
        size = _size_for(known * len(metrics))
    while left and not enough():
        batches: list[list[Context]] = []
        while left and len(batches) < abreast:
            most = min(size, calls.most(left[0]), len(left))
            batches.append([left.popleft() for _ in range(most)])
        brought = await each_of(batches, calls.together)
        of_one = sum(brought) / sum(map(len, batches)) + 1
        asker.record_count(WEIGHT, of_project(places[0]), math.ceil(of_one / len(metrics)))
        size = _size_for(of_one)
        abreast = max(1, min(ABREAST, int(2 * TARGET / (of_one * size))))


def needs(known: Known, project: Context, places: Sequence[Context], metric: str) -> Needs:
    """Of a chart of one metric of experiments, as far as it is not at hand."""
    metrics = len(words_of("metrics", known.known(COLUMNS, project) or ()))
    weighs, perhaps = chart_calls.needs_of(known, places, metric, metrics)
    calls = math.ceil(len(places) / TOGETHER)
    return Needs(calls, [(experiment.NAMED, project)], weighs, perhaps if calls else None)


def _size_for(of_one: float) -> int:
    return max(1, min(TOGETHER, int(TARGET / of_one)))


WEIGHT = "bytes that a metric of an experiment brings in a chart"

MOST = "experiments in a chart that does not fail"

STRIKES = 2
"""Calls about one experiment that fail, and calls that take too long, one after the other: then charts are given up."""


class _Calls:
    """The calls of one `gather`. What fails is halved, down to one experiment, of which each metric is asked alone."""

    def __init__(self, asker: Resolver, metrics: Sequence[str], take: Take, failed: Failed | None) -> None:
        self._asker = asker
        self._metrics = metrics
        self._take = take
        self._failed, self._answered = failed, 0
        self._strikes, self._struck_at = 0, 0.0
        self._too_many = TOGETHER + 1
        """Experiments of which a chart failed."""

    def most(self, at: Context) -> int:
        """Experiments in one call at most."""
        return self._asker.count(MOST, of_project(at)) or TOGETHER

    async def together(self, places: Sequence[Context]) -> int:
        """Asks in one call, in several where that fails, for what other machines do not bring. Returns how many bytes
        came."""
        wanted = [experiment.at_metric(at, name) for at in places for name in self._metrics]
        left, brought = {at.key for at in wanted}, 0

        async def ask(mine: Sequence[Context]) -> None:
            nonlocal brought
            whole = {at.key[:-1]: experiment.of_experiment(at) for at in mine}
            names = list(dict.fromkeys(at.item for at in mine))
            left.difference_update(experiment.at_metric(at, name).key for at in whole.values() for name in names)
            brought += await self._together(list(whole.values()), names, failed=False)

        def came(there: Sequence[Context]) -> None:
            nonlocal brought
            for at in there:
                packed = self._asker.recall(SERIES, at) if at.key in left else None
                if packed is not None:
                    self._take(experiment.of_experiment(at), at.item, packed)
                    left.discard(at.key)
                    brought += len(packed)

        await self._asker.in_turn(SERIES, wanted, ask, came)
        if lost := [at for at in wanted if at.key in left]:  # came, and had no place in memory
            await ask(lost)
        return brought

    async def _together(self, places: Sequence[Context], metrics: Sequence[str], *, failed: bool) -> int:
        """`failed`: a call about more of them has."""
        project = of_project(places[0])
        if self._strikes >= STRIKES or self._asker.agreement(chart_calls.WORKING, project) is False:
            return await self._alone(places, metrics)
        if len(places) >= self._too_many > 1:
            return await self._in_parts(places, metrics, failed=True)
        began = trio.current_time()
        try:
            found = await chart_calls.ask(self._asker, project, places, metrics, _packed)
        except AnswerTooLarge:
            if len(places) == len(metrics) == 1:
                raise
            return await self._in_parts(places, metrics, failed=failed)
        except NO_OTHER_WAY:
            raise
        except CometFSError as error:
            log.debug("a chart of %s experiments: %s", len(places), error)
            self._too_many = min(self._too_many, len(places))
            self._count_strike(project, len(places), began, slow=isinstance(error, DeadlineExceeded))
            enough = self._strikes >= STRIKES or len(places) == 1
            parts = self._alone(places, metrics) if enough else self._in_parts(places, metrics, failed=True)
            return await parts
        self._strikes = 0
        if failed:
            self._asker.record_count(MOST, project, len(places), FINISHED)
        return await self._taken(places, metrics, found)

    def _count_strike(self, project: Context, count: int, began: float, *, slow: bool) -> None:
        """Where charts were answered before, a call that takes too long meets a server with much to do, and counts when
        it is a small one. Those that were asked for at the same time count once."""
        works = self._asker.count(chart_calls.CHECKED, project) > 0
        if began >= self._struck_at and (count == 1 or (slow and (not works or count <= chart_calls.SMALL))):
            self._strikes += 1
            self._struck_at = trio.current_time()

    async def _in_parts(self, places: Sequence[Context], metrics: Sequence[str], *, failed: bool) -> int:
        halves = _halved(places) if len(places) > 1 else [places]
        named = [metrics] if len(places) > 1 else _halved(metrics)
        return sum([await self._together(some, names, failed=failed) for some in halves for names in named])

    async def _taken(self, places: Sequence[Context], metrics: Sequence[str], found: Mapping[str, Packed]) -> int:
        brought = [(at, name, found.get(key(at), {}).get(name, b"")) for at in places for name in metrics]
        doubtful = await _doubtful(self._asker, of_project(places[0]), brought)
        for at, name, packed in brought:
            if (at.key, name) not in doubtful:
                self._keep(at, name, packed)
            await trio.lowlevel.checkpoint()
        await each_of([(at, name) for at, name, _ in brought if (at.key, name) in doubtful], self._one)
        return sum(len(packed) for _, _, packed in brought)

    async def _alone(self, places: Sequence[Context], metrics: Sequence[str]) -> int:
        brought = await each_of([(at, name) for at in places for name in metrics], self._one)
        if self._strikes >= STRIKES:  # and only now: without a network this does not work either
            chart_calls.give_up(self._asker, of_project(places[0]))
        return sum(brought)

    async def _one(self, wanted: tuple[Context, str]) -> int:
        at, name = wanted
        try:
            packed = await _alone(self._asker, experiment.at_metric(at, name))
        except NotFound:  # deleted since the listing
            packed = b""
        except CometFSError as error:
            tolerate(self._failed, at.key, error, self._answered)
            return 0
        self._keep(at, name, packed)
        return len(packed)

    def _keep(self, at: Context, name: str, packed: bytes) -> None:
        self._answered += 1
        self._asker.keep(SERIES, experiment.at_metric(at, name), packed)
        self._take(at, name, packed)


async def _doubtful(
    asker: Resolver, project: Context, brought: Sequence[tuple[Context, str, bytes]]
) -> set[tuple[Place, str]]:
    """The experiments and metrics that have more points than charts are believed to have."""
    charted = [
        Charted(experiment.at_metric(at, name), len(Series(packed)), packed) for at, name, packed in brought if packed
    ]

    async def agrees(one: Charted) -> bool:
        packed = await _alone(asker, one.at)
        steps = Series(packed).steps.tolist() if packed else []
        # One that goes on may have more by now.
        whole = len(steps) == one.length or not one.at.version
        return whole and steps[: one.length] == Series(one.points).steps.tolist()

    known = await chart_calls.whole_up_to(asker, project, charted, agrees)
    return {(one.at.key[:-1], one.at.item) for one in charted if one.length > known}


def _halved(items: Sequence[Any]) -> list[Sequence[Any]]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]
