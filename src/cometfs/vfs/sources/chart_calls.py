"""Calls about the points of many experiments (``experiments/multi-metric-chart``): what is believed of them, and what
becomes of those that fail.

A server may ignore that all points are wanted, and answer a sample. So a chart is believed up to the longest series
that was compared with what the metric says by itself; longer ones are asked for alone. Not here: which experiments are
asked about together (chart_series.py for charts, answers/prefetch.py for their own files).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from cometfs.comet.answers.models import Chart
from cometfs.errors import NO_OTHER_WAY, CometFSError, NotFound, Unsupported
from cometfs.lease import FINISHED
from cometfs.render.points import CHART_LIMIT
from cometfs.vfs.schema.declaration import Context, Known, Resolver, Weighs
from cometfs.vfs.sources.charted_metrics import HEAVY
from cometfs.vfs.sources.experiment import EVERY_POINT, SUMMARY, key, of_experiment, patiently

log = logging.getLogger(__name__)

T = TypeVar("T")

OF_SINGLE = 0.42
"""How much the points of an experiment weigh in a chart, as a part of what they weigh by themselves (measured)."""

ALONE = 3.0
"""How much a metric weighs alone, as a part of what it weighs among all of its experiment (measured)."""

SHEET_LINE = 45
"""Bytes of a point as CSV, about: by which it is reckoned what is `HEAVY`."""

SMALL = 16
"""Experiments in a call that a server answers in time if it answers any."""

CHECKED = "points of a metric up to which charts have all"

CUT = "points of a metric from which on charts lose some"

CHECKS = 3
"""Series of one answer that are compared at most."""

FAILURES = "charts of one experiment that failed"

MOST_FAILURES = 2

WORKING = "experiments/multi-metric-chart works"


async def ask(
    asker: Resolver,
    project: Context,
    places: Sequence[Context],
    metrics: Sequence[str],
    make: Callable[[Chart], T],
    params: Sequence[str] = (),
) -> dict[str, T]:
    """What `make` makes of the chart of each experiment, by key. Raises what the call raises, and soon."""
    if asker.agreement(WORKING, project) is False:
        raise Unsupported("no chart of several experiments was to be had before")
    keys = [key(at) for at in places]
    return await patiently(lambda: asker.api.experiment_metrics_for_chart_as(keys, metrics, make, params))


def points_of(known: Known, at: Context) -> dict[str, float] | None:
    """Metric -> how many points it has, as its summary lets expect: one a step. None where that is not at hand, or
    steps tell nothing."""
    rows = known.known(SUMMARY, of_experiment(at))
    if rows is None:
        return None
    fields = ("stepMax", "stepMin", "stepCurrent")
    found = {str(row["name"]): 1.0 + max(row[field] or 0 for field in fields) for row in rows}
    return found if not found or max(found.values()) > FEW else None


FEW = 2
"""Points up to which a summary is not believed to tell how many there are: runs that log no steps look so."""


def weighs(known: Known, at: Context, times: float) -> Weighs:
    """What the points of an experiment weigh."""
    found = points_of(known, at)
    return Weighs(times, EVERY_POINT, grows=True, amount=None if found is None else sum(found.values()))


def needs_of(known: Known, places: Sequence[Context], metric: str, metrics: int) -> tuple[list[Weighs], Weighs]:
    """What a chart of one metric weighs, one of `metrics` of a project; and what it may be compared with."""
    each = [points_of(known, at) for at in places]
    share = OF_SINGLE / max(metrics, 1)
    weighs = [
        Weighs(share, EVERY_POINT, grows=True)
        if found is None
        else Weighs(OF_SINGLE, EVERY_POINT, grows=True, amount=found.get(metric, 0))
        for found in each
    ]
    own = max((found.get(metric, 0) for found in each if found), default=0)
    return weighs, Weighs(ALONE, EVERY_POINT, grows=True, amount=own)


def weighs_charted(known: Known, at: Context) -> Weighs:
    """The same as one of a chart of several."""
    return weighs(known, at, OF_SINGLE)


def loses(known: Known, at: Context) -> float:
    """Whether a chart of several has too much of an experiment, so that this is asked by itself, too. Of points without
    steps it may lose some."""
    found = points_of(known, at)
    if found is None:
        return 0.5 if known.known(SUMMARY, of_experiment(at)) else 0
    return max(found.values(), default=0) >= CHART_LIMIT or sum(found.values()) * SHEET_LINE > HEAVY


def give_up(asker: Resolver, project: Context) -> None:
    """For an hour no chart of that project is asked for."""
    asker.record_agreement(WORKING, project, agrees=False, lease=FINISHED)


def record_failure(asker: Resolver, project: Context) -> None:
    """The chart of one experiment failed, and its metrics alone can be had: after two charts are given up."""
    failures = asker.count(FAILURES, project) + 1
    asker.record_count(FAILURES, project, failures, FINISHED)
    if failures >= MOST_FAILURES:
        give_up(asker, project)


class Charted(NamedTuple):
    """A metric of an experiment in a chart: its place, its number of points, and what compares them."""

    at: Context
    length: int
    points: Any = None
    at_hand: bool = False
    """Whether to compare it costs nothing."""


async def whole_up_to(
    asker: Resolver, project: Context, charted: Iterable[Charted], agrees: Callable[[Charted], Awaitable[bool]]
) -> int:
    """The number of points up to which charts are believed, after a look at the longest of `charted` where that is
    longer than all before; `agrees` asks about one metric alone."""
    known, cut = asker.count(CHECKED, project), asker.count(CUT, project) or math.inf
    # Of what has ended, which is the same however often it is asked for.
    left = sorted(
        (one for one in charted if one.length > known),
        key=lambda one: (bool(one.at.version), one.length, one.at_hand),
    )
    for _ in range(CHECKS):
        left = [one for one in left if known < one.length < cut]
        if not left:
            break
        longest = left.pop()
        try:
            agreed = await agrees(longest)
        except NO_OTHER_WAY:
            raise
        except NotFound:  # deleted since the listing
            continue
        except CometFSError as error:  # alone it cannot be had at all: the chart is the better of the two
            log.debug("a chart is believed unseen: %s", error)
            return longest.length
        known, cut = (longest.length, cut) if agreed else (known, longest.length)
    _record(asker, project, CHECKED, known)
    _record(asker, project, CUT, 0 if math.isinf(cut) else int(cut))
    return known


def _record(asker: Resolver, project: Context, subject: str, count: int) -> None:
    if count != asker.count(subject, project):
        asker.record_count(subject, project, count)
