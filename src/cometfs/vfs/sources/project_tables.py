"""The sources of a whole project, made of as few calls as Comet offers, and what each costs.

Not here: sources of one experiment (experiment.py) and what is shown of the answers (layout/).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cometfs.comet.answers.predicates import tagged
from cometfs.times import in_utc
from cometfs.vfs.schema.declaration import Context, Resolver, Row, Source
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.experiment import Named, each_of, listing_lease
from cometfs.vfs.sources.logged_others import others_of
from cometfs.vfs.sources.metrics import COLUMNS, EXTENTS, PARAMS, of_project, words_of

TOGETHER = 100
"""Experiments in one call for charts: Comet documents no limit, its own clients ask for few."""


def at_word(at: Context, word: str) -> Context:
    """The place of a name within a project: a metric's, a tag's."""
    return Context(at.web, at.modified_ms, (*at.key, word), at.workspace, at.project, None, word, live=at.live)


async def _by_directory(asker: Resolver, at: Context) -> list[Named]:
    return sorted(await asker.answer(experiment.NAMED, of_project(at)))


async def _tagged(asker: Resolver, at: Context) -> list[Named]:
    name = at.project["projectName"] if at.project else ""
    keys = set(await asker.api.query_experiments(at.workspace, name, tagged(at.item)))
    return [one for one in await _by_directory(asker, at) if one.row["experimentKey"] in keys]


TAGGED = Source("project/query by tag", _tagged, listing_lease, kept=False, of=(experiment.NAMED,))
"""One call a tag, whatever the number of experiments."""


class ProjectChart(NamedTuple):
    """One metric of all experiments of a project, by directory; None for one that has no such metric.

    From disk it comes as a plain list of the same, so a renderer makes a `ProjectChart` of it first.
    """

    metric: str
    lines: list[tuple[str, Mapping[str, Any] | None]]


async def _chart(asker: Resolver, at: Context) -> ProjectChart:
    named = await _by_directory(asker, at)
    found: dict[str, Any] = {}
    for answer in await each_of(list(_batches(named)), lambda keys: _charted(asker, keys, [at.item], ())):
        found |= answer
    lines = [(one.directory, _metric(found.get(one.row["experimentKey"]))) for one in named]
    return ProjectChart(at.item, lines)


CHART = Source("experiments/multi-metric-chart", _chart, listing_lease, of=(experiment.NAMED,))
"""One call for every 100 experiments."""


async def _charted(
    asker: Resolver, keys: list[str], metrics: Sequence[str], params: Sequence[str]
) -> Mapping[str, Any]:
    return await asker.api.experiment_metrics_for_chart(keys, metrics, params)


def _metric(chart: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    metrics = chart["metrics"] if chart else []
    return metrics[0] if metrics else None


def _batches(named: Sequence[Named]) -> Iterator[list[str]]:
    for start in range(0, len(named), TOGETHER):
        yield [one.row["experimentKey"] for one in named[start : start + TOGETHER]]


async def _best(asker: Resolver, at: Context) -> dict[str, str]:
    chart = ProjectChart(*await asker.answer(CHART, at))
    spans = [(_span(metric), directory) for directory, metric in chart.lines if metric and _span(metric)]
    if not spans:
        return {}
    least = min(spans, key=lambda pair: (pair[0][0], pair[1]))[1]
    greatest = min(spans, key=lambda pair: (-pair[0][1], pair[1]))[1]
    return {"max": greatest, "min": least}


BEST = Source("experiments/multi-metric-chart for the best", _best, listing_lease, kept=False, of=(CHART,))
"""The directories of the experiments with the greatest ("max") and the least value ("min") of a metric, of equals the
first by name; {} where no experiment has a number of it. The chart's calls, which the chart's own file shares."""


def _span(metric: Mapping[str, Any]) -> tuple[float, ...]:
    """Least and greatest finite value; empty where there is none."""
    values = [value for value in metric["values"] if isinstance(value, int | float) and math.isfinite(value)]
    return (min(values), max(values)) if values else ()


class ExperimentRecord(NamedTuple):
    """All of an experiment that a table of its project shows."""

    named: Named
    tags: list[str]
    params: Mapping[str, Any]
    others: Mapping[str, Any]
    metrics: Mapping[str, Sequence[Any]]
    """Last, least and greatest value of each, as text."""


async def _records(asker: Resolver, at: Context) -> list[ExperimentRecord]:
    states = sorted(await asker.answer(experiment.STATES, at))
    columns = await asker.answer(COLUMNS, at)
    places = [experiment.at_experiment(at, one.row) for one in states]
    params, metrics = await asker.answers(PARAMS, places), await asker.answers(EXTENTS, places)
    others = await others_of(asker, at, places, columns)
    tags = await _tags(asker, at, words_of("tag", columns))
    # One that was deleted since the listing is missing somewhere: its row goes, not the table.
    return [
        ExperimentRecord(one, tags.get(str(place.key[0]), []), params[place.key], others[place.key], metrics[place.key])
        for one, place in zip(states, places, strict=True)
        if place.key in params and place.key in metrics and place.key in others
    ]


RECORDS = Source(
    "experiments, with parameters, others and metrics",
    _records,
    listing_lease,
    kept=False,
    # A batch of metrics asks for the summary of one experiment, to learn which of equal values counts.
    of=(experiment.STATES, COLUMNS, PARAMS, EXTENTS, experiment.SUMMARY, experiment.OTHERS, TAGGED),
)
"""One call for the columns, one a tag, batches for parameters and metrics (metrics.py), and what logged_others.py says.
In a project of a few, and of what is running, one for each experiment and question, which their own files share."""


class Overview(NamedTuple):
    """A project at a glance: itself, its experiments and the names of their metrics."""

    project: Row
    records: list[ExperimentRecord]
    metrics: list[str]


async def _overview(asker: Resolver, at: Context) -> Overview:
    records = await asker.answer(RECORDS, at)
    return Overview(at.project or {}, records, words_of("metrics", await asker.answer(COLUMNS, at)))


OVERVIEW = Source("what experiments.csv is made of", _overview, listing_lease, kept=False, of=(RECORDS, COLUMNS))
"""Costs what the table costs, which shares the answers."""


async def _tags(asker: Resolver, at: Context, tags: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag, named in zip(tags, await each_of(tags, lambda tag: asker.answer(TAGGED, at_word(at, tag))), strict=True):
        for one in named:
            found.setdefault(one.row["experimentKey"], []).append(tag)
    return found


def table_row(record: ExperimentRecord) -> dict[str, Any]:
    """A record as a row of experiments.csv and experiments.jsonl: column name to value."""
    row = record.named.row
    found: dict[str, Any] = {
        "key": row["experimentKey"],
        "name": row["experimentName"],
        "directory": record.named.directory,
        "state": record.named.state,
        "user": row["userName"],
        "start": _moment(row["startTimeMillis"]),
        "end": _moment(row["endTimeMillis"]),
        "duration_s": None if row["durationMillis"] is None else row["durationMillis"] / 1000,
        "tags": record.tags,
    }
    found |= {f"param.{name}": value for name, value in record.params.items()}
    found |= {f"other.{name}": value for name, value in record.others.items()}
    for name, extent in record.metrics.items():
        found |= {f"metric.{name}.{word}": value for word, value in zip(("last", "min", "max"), extent, strict=True)}
    return found


_YEAR_9999 = 253_370_764_800_000
"""Milliseconds: what lies beyond, or before 1970, is no time of an experiment."""


def _moment(ms: float | None) -> str | None:
    """ISO 8601, in UTC without saying so: a zone would make DuckDB want another package to show it."""
    if ms is None or not 0 <= ms < _YEAR_9999:
        return None
    return in_utc(ms, "milliseconds")
