"""Metrics: sources that Comet answers for many experiments in one call, and for one alone.

A file has the same bytes whichever way it came. The batch (``experiments/multi-metric-chart``) is taken for experiments
that have ended and are not archived; an experiment is asked by itself where the batch could lose something:

- it is not in the answer, or has more than `charted_metrics.HEAVY` bytes of points
- a metric of it has 15,000 points or more, two at the same step and millisecond, or a value that is no number
- for last, least and greatest value: also where one is NaN
- for those with their steps: also where times and steps do not agree which was first, or last

The names that a batch asks for are those of ``project/column-names``. The prefetcher verifies a batch against what
single calls have answered before. Not here: when a batch is asked for (prefetch.py, readahead.py), and parameters
(parameters.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import trio

from cometfs.comet.answers.predicates import has_metric
from cometfs.comet.answers.series import LoggedPoint
from cometfs.comet.api import API
from cometfs.errors import NO_OTHER_WAY, AnswerTooLarge, CometFSError, NotFound, Unsupported
from cometfs.lease import FINISHED, LISTING
from cometfs.render import points, spreads
from cometfs.vfs.schema.declaration import Batch, Context, Found, Known, Needs, Resolver, Row, Source, Within
from cometfs.vfs.sources import chart_calls, experiment
from cometfs.vfs.sources.chart_calls import Charted
from cometfs.vfs.sources.charted_metrics import Parsed, Unpacked
from cometfs.vfs.sources.experiment import about_experiment, free, key, listing_lease, patiently, sealed_lease
from cometfs.vfs.sources.parameters import COLUMNS, column_names, has_words, of_project, words_of
from cometfs.vfs.sources.queries import experiments_with

log = logging.getLogger(__name__)

T = TypeVar("T")

IN_THREAD = 20_000
"""Points from which on an answer is put into its normal form in a thread (about 30 ms of work)."""

# -- Metrics -----------------------------------------------------------------------------------------------------------


def _all_needs(known: Known, at: Context) -> Needs:
    return Needs(1, weighs=[chart_calls.weighs(known, at, 1)])


EVERY_POINT = about_experiment(
    experiment.EVERY_POINT, API.experiment_every_point, sealed_lease, kept=False, needs=_all_needs
)
"""Not kept on disk: the sheets are that are made of it."""


async def _points(asker: Resolver, at: Context) -> Any:
    try:
        return await patiently(lambda: asker.answer(EVERY_POINT, at))
    except (*NO_OTHER_WAY, AnswerTooLarge):
        raise
    except CometFSError:
        names = [row["name"] for row in await asker.answer(experiment.SUMMARY, at)]
        rows = await experiment.each_of(names, lambda name: asker.api.experiment_metric_points(key(at), name))
        return [point for of_one in rows for point in of_one]


POINTS = Source("points of all metrics", _points, sealed_lease, kept=False, of=(EVERY_POINT, experiment.SUMMARY))
"""1 call; where that fails, as on servers before 3.20.60, one for each metric."""


async def _names(asker: Resolver, at: Context) -> list[str]:
    return sorted(await asker.answer(SPREADS, at))


async def _sheet(asker: Resolver, at: Context) -> bytes:
    """One metric as CSV: alone, or with all others of its experiment, where several are wanted."""
    whole = experiment.of_experiment(at)
    if not asker.wants_all(SHEETS, whole) or asker.agreement(TOGETHER, whole) is False:
        return await _one_sheet(asker, at)
    try:
        sheets = await _all_sheets(asker, whole)
    except NO_OTHER_WAY:
        raise
    except CometFSError as error:
        alone = await _one_sheet(asker, at)
        _record_failure(asker, whole, error)
        return alone
    # One that was logged since, or that this answer leaves out, is asked for by itself: no sheet is empty by guess.
    return sheets[at.item] if at.item in sheets else await _one_sheet(asker, at)


TOGETHER = "all points of an experiment can be had in one answer"

FAILURES = "experiments of which experiment/metrics/get-all failed, one after the other"

MOST_FAILURES = 2
"""After so many a project is not asked for all points of an experiment any more."""


def _record_failure(asker: Resolver, whole: Context, error: CometFSError) -> None:
    """All points of an experiment cannot be had together, and alone they can: without a network neither is true."""
    log.debug("not asked together: %s", error)
    # Soon again of what runs, which is asked for again and again.
    asker.record_agreement(TOGETHER, whole, agrees=False, lease=FINISHED if whole.version else LISTING)
    project = of_project(whole)
    if asker.agreement(chart_calls.WORKING, whole) is False:
        chart_calls.record_failure(asker, project)
    if isinstance(error, NotFound | Unsupported):  # as the experiment is there, it is the endpoint that is not
        asker.record_count(FAILURES, project, MOST_FAILURES)
    elif not isinstance(error, AnswerTooLarge):
        asker.record_count(FAILURES, project, asker.count(FAILURES, project) + 1, FINISHED)


async def _all_sheets(asker: Resolver, whole: Context) -> dict[str, bytes]:
    """The sheets of an experiment, by whichever of two endpoints works. Raises what the first one does."""
    project = of_project(whole)
    failure: CometFSError = Unsupported("all points of an experiment together were not to be had before")
    if asker.count(FAILURES, project) < MOST_FAILURES:
        try:
            found: dict[str, bytes] = await patiently(lambda: asker.answer(SHEETS, whole))
        except (*NO_OTHER_WAY, AnswerTooLarge):
            raise
        except CometFSError as error:
            failure = error
        else:
            asker.record_count(FAILURES, project, 0)
            return found
    try:
        charted: dict[str, bytes] = await asker.answer(CHARTED, whole)
    except (*NO_OTHER_WAY, AnswerTooLarge):
        raise
    except CometFSError:
        asker.record_agreement(chart_calls.WORKING, whole, agrees=False, lease=LISTING)
        raise
    if not charted:
        raise failure
    _record_failure(asker, whole, failure)
    return charted


async def _one_sheet(asker: Resolver, at: Context) -> bytes:
    return points.sheet(points.of_points(await asker.api.experiment_metric_points(key(at), at.item)))


async def _sheets(asker: Resolver, at: Context) -> dict[str, bytes]:
    logged = await asker.api.experiment_logged_points(key(at))
    found: dict[str, bytes] = await _aside(_sheets_of, logged, count=sum(map(len, logged.values())))
    for name, sheet in found.items():
        asker.fill(METRIC, experiment.at_metric(at, name), sheet)
    return found


def _sheets_of(logged: dict[str, list[LoggedPoint]]) -> dict[str, bytes]:
    """Takes the points out of `logged`, so that both are never whole in memory."""
    return {name: points.sheet(points.of_logged(logged.pop(name))) for name in list(logged)}


SHEETS = Source("sheets of all metrics", _sheets, sealed_lease, kept=False, endpoint=EVERY_POINT.name, needs=_all_needs)
"""1 call. The same as for `EVERY_POINT`, whose rows take six times as much memory."""


async def _charted(asker: Resolver, at: Context) -> dict[str, bytes]:
    """Sheets of a server without `get-all`, as far as a chart tells them."""
    names = await asker.answer(METRIC_NAMES, at)
    row, project = at.experiment or {}, of_project(at)
    if len(names) <= 1 or not at.version or row["archived"]:
        return {}
    charted = await chart_calls.ask(asker, project, [at], names, Parsed.of)
    parsed = await believed(asker, [(at, one) for one in charted.values()])
    sheets = Unpacked.of(parsed[key(at)].packed()).sheets() if parsed else {}
    for name, sheet in sheets.items():
        asker.fill(METRIC, experiment.at_metric(at, name), sheet)
    return sheets


async def _spreads(asker: Resolver, at: Context) -> dict[str, list[Any]]:
    found = _spreads_of(await asker.answer(experiment.SUMMARY, at))
    packed = asker.answer_nowait(PACKED, at)
    if packed is not None:
        _learn_which_counts(asker, at, packed, found)
    return found


def _spreads_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {row["name"]: list(spreads.of_summary(row)) for row in rows}


async def _extents(asker: Resolver, at: Context) -> dict[str, list[Any]]:
    parsed = {name: spreads.Spread(*found) for name, found in (await asker.answer(SPREADS, at)).items()}
    return {name: [found.last, found.low, found.high] for name, found in parsed.items()}


async def believed(asker: Resolver, parsed: Sequence[tuple[Context, Parsed]]) -> dict[str, Parsed]:
    """What a batch says, by experiment, as far as it is believed (chart_calls.py)."""

    async def agrees(one: Charted) -> bool:
        sheet = asker.answer_nowait(METRIC, one.at)
        if sheet is None:
            sheet = await _one_sheet(asker, one.at)
            asker.fill(METRIC, one.at, sheet)
        return bool(sheet == one.points.sheet(one.at.item))

    def charted_of(at: Context, name: str, one: Parsed) -> Charted:
        place = experiment.at_metric(at, name)
        return Charted(place, one.lengths[name], one, asker.answer_nowait(METRIC, place) is not None)

    if not parsed:
        return {}
    project = of_project(parsed[0][0])
    known = asker.count(chart_calls.CHECKED, project)
    longer = [(at, name, one) for at, one in parsed for name, length in one.lengths.items() if length > known]
    longest = await chart_calls.whole_up_to(asker, project, [charted_of(*one) for one in longer], agrees)
    return {key(at): one.up_to(longest) for at, one in parsed}


async def _metrics_of_many(asker: Resolver, places: Sequence[Context]) -> list[Found]:
    names = await column_names(asker, places, "metrics")
    if not names:
        return []
    charted = await chart_calls.ask(asker, of_project(places[0]), places, names, Parsed.of)
    parsed = await believed(asker, [(at, charted[key(at)]) for at in places if key(at) in charted])
    found = {at.key: (at, parsed[key(at)]) for at in places if key(at) in parsed and parsed[key(at)].is_light}
    packed = [(at, one.packed()) for at, one in found.values()]
    await _ask_which_counts(asker, packed)
    if asker.agreement(FIRST_COUNTS, of_project(places[0])):
        packed = [(at, _with_first_counted(one)) for at, one in packed]
    return [Found(PACKED, at, one) for at, one in packed]


def _with_first_counted(packed: bytes) -> bytes:
    """With it stands that the first of equal values counts: a later mount may have no network to ask that."""
    return Parsed.unpacked(packed)._replace(first_counts=True).packed()


LOOKED_AT = "experiments in which equal values were looked for"

ENOUGH = 32
"""After so many of a project, where equal values are rare: the first reader of one asks then."""


async def _ask_which_counts(asker: Resolver, some: Sequence[tuple[Context, bytes]]) -> None:
    """Has known whether the summaries of a server show the first of equal values, as one experiment that has some says.

    Costs a call, once, unless the summary of one is at hand: a reader that goes through a project has asked for some.
    """
    if not some or asker.agreement(FIRST_COUNTS, project := of_project(some[0][0])) is not None:
        return
    looked_at = asker.count(LOOKED_AT, project)
    some = some[: ENOUGH - looked_at]
    asker.record_count(LOOKED_AT, project, looked_at + len(some))
    tied = [(at, one) for at, one in some if (found := Unpacked.of(one).spreads()) and found.tied]
    if tied:
        at, one = next((one for one in tied if asker.answer_nowait(experiment.SUMMARY, one[0]) is not None), tied[0])
        try:
            summary = await asker.answer(experiment.SUMMARY, at)
        except NotFound:  # deleted since the listing: the next batch decides
            return
        _learn_which_counts(asker, at, one, _spreads_of(summary))


def _learn_which_counts(asker: Resolver, at: Context, packed: bytes, summary: dict[str, list[Any]]) -> None:
    project, found = of_project(at), Unpacked.of(packed).spreads()
    if found is not None and found.tied and asker.agreement(FIRST_COUNTS, project) is None:
        known = all(summary.get(name) == spread for name, spread in found.by_name.items())
        asker.record_agreement(FIRST_COUNTS, project, agrees=known)


async def _aside(work: Any, *arguments: Any, count: int) -> Any:
    """What `work` returns, done in a thread where it takes long."""
    if count < IN_THREAD:
        return work(*arguments)
    return await trio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


async def _nothing_yet(_asker: Resolver, _at: Context) -> bytes:
    await trio.lowlevel.checkpoint()
    return Parsed([], {}, {}).packed()


def _apart(at: Context, packed: bytes) -> list[Found]:
    unpacked = Unpacked.of(packed)
    found = [Found(METRIC_NAMES, at, unpacked.names)]
    found += [Found(METRIC, experiment.at_metric(at, name), sheet) for name, sheet in unpacked.sheets().items()]
    return found


PACKED = Source("metrics of an experiment in a chart", _nothing_yet, sealed_lease, needs=free, apart=_apart)
"""What a chart of many says of one, which tells all of the below: one value on disk instead of one for each metric.
Comes with batches alone."""


def _told_spreads(asker: Resolver, packed: bytes, at: Context) -> dict[str, list[Any]] | None:
    unpacked = Unpacked.of(packed)
    found = unpacked.spreads()
    if found is None:
        return None
    if found.tied and not unpacked.first_counts:
        if not asker.agreement(FIRST_COUNTS, of_project(at)):
            return None
        asker.recall(PACKED, at)  # as old as that, and for no longer
        asker.fill(PACKED, at, _with_first_counted(packed))
    return found.by_name


def _told(what: Callable[[bytes, Context], Any]) -> Within:
    return Within(PACKED, experiment.of_experiment, lambda _asker, packed, at: what(packed, at))


METRICS_OF_MANY = Batch(
    "experiments/multi-metric-chart of metrics",
    _metrics_of_many,
    first=16,
    brings=lambda known, project: has_words("metrics", known, project),
    checks=1,
    weighs=chart_calls.weighs_charted,
    loses=chart_calls.loses,
    into=PACKED,
)

SPREADS = Source(
    "experiment/metrics/summary by name",
    _spreads,
    sealed_lease,
    METRICS_OF_MANY,
    of=(experiment.SUMMARY, PACKED),
    within=Within(PACKED, experiment.of_experiment, _told_spreads),
)
"""Metric -> `spreads.Spread`. Alone 1 call, the summary, which the listing of `metrics/` shares."""

FIRST_COUNTS = "the first of equal values is the least or the greatest"
"""In which batches must agree with summaries."""

FEW = 24
"""Metrics of a project of which each is worth a query: which experiments have it."""


async def _logged_by(asker: Resolver, at: Context) -> dict[str, list[str]]:
    words = words_of("metrics", await asker.answer(COLUMNS, at))
    if len(words) > FEW or at.project is None:
        raise Unsupported(f"the names of metrics are asked by queries where there are up to {FEW}")

    async def logged(word: str) -> list[str]:
        keys = await experiments_with(asker, at, has_metric(word))
        if keys is None:
            raise Unsupported("queries do not work here")
        return keys

    # The first alone: a server without queries lacks them for all.
    keys = [await logged(word) for word in words[:1]]
    keys += await experiment.each_of(words[1:], logged)
    found: dict[str, list[str]] = {}
    for word, one in zip(words, keys, strict=True):
        for of_one in one:
            found.setdefault(of_one, []).append(word)
    return found


LOGGED_BY = Source("project/query by metric", _logged_by, listing_lease, of=(COLUMNS,))
"""Experiment's key -> the names of its metrics, sorted. 1 call for each metric of a project, of any number of
experiments. Unsupported, without one, in a project of many metrics, and where the server has no queries."""


async def _names_of_many(asker: Resolver, places: Sequence[Context]) -> list[Found]:
    """Names cost no points, where that takes few calls."""
    try:
        logged_by = await asker.answer(LOGGED_BY, of_project(places[0]))
    except Unsupported:
        found = await _metrics_of_many(asker, places)
        return [*found, *(Found(METRIC_NAMES, one.at, Parsed.unpacked(one.answer).names) for one in found)]
    # One that no metric finds is asked by itself: that it has none is not to be concluded from what is left out.
    return [Found(METRIC_NAMES, at, logged_by[key(at)]) for at in places if key(at) in logged_by]


METRIC_NAMES = Source(
    "names of metrics",
    _names,
    sealed_lease,
    Batch("project/query by metric, or what brings the points", _names_of_many, first=16),
    of=(SPREADS, PACKED),
    within=_told(lambda packed, _at: Parsed.unpacked(packed).names or None),
    told_by=(experiment.SUMMARY, lambda rows: sorted({row["name"] for row in rows})),
)
"""Sorted. Alone 1 call, the summary, which `metrics.json` shares."""


def _metric_needs(known: Known, at: Context) -> Needs:
    """All come together, where there are several."""
    whole = experiment.of_experiment(at)
    names = known.known(METRIC_NAMES, whole)
    return Needs(1) if names is not None and len(names) == 1 else Needs(0, [(SHEETS, whole)])


METRIC = Source(
    "experiment/metrics/get-metric",
    _sheet,
    sealed_lease,
    after=METRIC_NAMES,
    brought_by=SPREADS,
    of=(SHEETS, PACKED),
    grows=True,
    needs=_metric_needs,
    within=_told(lambda packed, at: Parsed.unpacked(packed).sheet(at.item)),
)
"""A metric's points as CSV: its normal form. 1 call for the first of an experiment, 1 for all others together."""


EXTENTS = Source(
    "last, least and greatest values of metrics",
    _extents,
    sealed_lease,
    METRICS_OF_MANY,
    of=(SPREADS, PACKED),
    within=_told(lambda packed, _at: Unpacked.of(packed).extents()),
)
"""Metric -> [last, least, greatest], as text. Alone 1 call, the summary, which `metrics.json` shares."""


CHARTED = Source("sheets of all metrics from a chart", _charted, sealed_lease, kept=False, of=(METRIC_NAMES,))
"""1 call; once in a project another, of a single metric, which it is verified against."""


class Plotted(NamedTuple):
    """A metric's name and points, for its picture."""

    name: str
    sheet: bytes


async def _plotted(asker: Resolver, at: Context) -> Plotted:
    return Plotted(at.item, await asker.answer(METRIC, at))


PLOTTED = Source(
    "a metric with its name", _plotted, sealed_lease, after=METRIC_NAMES, brought_by=SPREADS, kept=False, of=(METRIC,)
)
