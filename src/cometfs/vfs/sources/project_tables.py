"""The sources of a whole project, made of as few calls as Comet offers, and what each costs.

Not here: sources of one experiment (experiment.py) and what is shown of the answers (layout/).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

from cometfs.cache.values import decoded, encoded
from cometfs.comet.answers.predicates import tagged
from cometfs.errors import TooBig
from cometfs.render.series import Series
from cometfs.text.numbers import number_of
from cometfs.text.printable import printable
from cometfs.text.times import in_utc
from cometfs.vfs.keys import Place
from cometfs.vfs.schema.declaration import SAMPLE, Context, Failed, Known, Needs, Resolver, Row, Source
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.chart_series import SERIES, gather
from cometfs.vfs.sources.chart_series import needs as chart_needs
from cometfs.vfs.sources.experiment import Named, each_of, listing_lease
from cometfs.vfs.sources.logged_columns import OTHERS_BY_NAME, PAGE, TAG_NAMES, tags_of
from cometfs.vfs.sources.metrics import EXTENTS
from cometfs.vfs.sources.parameters import COLUMNS, PARAMS, TAGS, of_project, words_of
from cometfs.vfs.sources.queries import experiments_with

log = logging.getLogger(__name__)

MOST = 64 << 20
"""Bytes of points of a chart at most, which are in memory together: some 5 million points."""


def at_word(at: Context, word: str) -> Context:
    """The place of a name within a project: a metric's, a tag's."""
    return Context(at.web, at.modified_ms, (*at.key, word), at.workspace, at.project, None, word, live=at.live)


async def _by_directory(asker: Resolver, at: Context) -> list[Named]:
    return sorted(await asker.answer(experiment.NAMED, of_project(at)))


async def _tagged(asker: Resolver, at: Context) -> list[Named]:
    named = await _by_directory(asker, at)
    keys = await experiments_with(asker, of_project(at), tagged(at.item))
    if keys is None:
        tags = await asker.answers(TAG_NAMES, _places(at, named))
        keys = [str(place[0]) for place, of_one in tags.items() if at.item in of_one]
    found = set(keys)
    return [one for one in named if one.row["experimentKey"] in found]


TAGGED = Source(
    "project/query by tag",
    _tagged,
    listing_lease,
    kept=False,
    of=(experiment.NAMED, TAG_NAMES, TAGS),
    needs=lambda _known, at: Needs(1, [(experiment.NAMED, of_project(at))]),
)
"""One call a tag, whatever the number of experiments; where queries fail, one for each experiment, which its own
`tags.txt` shares."""


class ProjectChart(NamedTuple):
    """One metric of all experiments of a project, by directory: its points, packed; nothing for one that has none."""

    metric: str
    lines: list[tuple[str, bytes]]
    is_whole: bool = True
    """False where there are more points than fit in memory: then there are no lines."""
    errors: Mapping[str, str] = {}
    """By directory why the points of an experiment could not be had."""

    def series(self) -> list[tuple[str, Series | None]]:
        """The lines to draw. Raises TooBig where there are too many points."""
        if not self.is_whole:
            raise TooBig(
                f"metric {self.metric!r} of all experiments has more than {MOST >> 20} MiB of points: "
                "read metrics/ of single experiments"
            )
        return [(name, Series(packed) if packed else None) for name, packed in self.lines]


async def _chart(asker: Resolver, at: Context) -> ProjectChart:
    named = await _by_directory(asker, at)
    found: dict[Any, bytes] = {}
    total = 0

    def take(place: Context, _metric: str, packed: bytes) -> None:
        nonlocal total
        found[place.key[0]] = packed
        total += len(packed)

    failed: Failed = {}
    await gather(asker, _places(at, named), [at.item], take, lambda: total > MOST, failed)
    if total > MOST:
        return ProjectChart(at.item, [], is_whole=False)
    _check_any(failed, f"a chart of {at.item!r} lacks", any_found=bool(found))
    keys = [(one.directory, one.row["experimentKey"]) for one in named]
    errors = {name: printable(str(failed[(key,)])) for name, key in keys if (key,) in failed}
    return ProjectChart(at.item, [(name, found.get(key, b"")) for name, key in keys], errors=errors)


def _places(at: Context, named: Sequence[Named]) -> list[Context]:
    project = of_project(at)
    return [experiment.at_experiment(project, one.row) for one in named]


async def _charts(asker: Resolver, at: Context) -> int:
    """All metrics of all experiments, as far as they fit in memory; returns how many metrics."""
    metrics = words_of("metrics", await asker.answer(COLUMNS, at))
    total = 0

    def take(_place: Context, _metric: str, packed: bytes) -> None:
        nonlocal total
        total += len(packed)

    named = await _by_directory(asker, at)
    await gather(asker, _places(at, named), metrics, take, lambda: total > MOST, failed={})
    return len(metrics)


CHARTS = Source(
    "experiments/multi-metric-chart of all metrics",
    _charts,
    listing_lease,
    kept=False,
    of=(experiment.NAMED, COLUMNS, SERIES),
)
"""One call for every 100 experiments, more where they have many points."""


def _lacking(known: Known, source: Source, at: Context) -> list[Context]:
    """The experiments of a project of which `source` must be asked; `at`: the project's place, or one in it."""
    project = of_project(at)
    places = [experiment.at_experiment(project, row) for row in known.known(experiment.EXPERIMENTS, project) or ()]
    return [place for place in places if not known.comes(source, replace(place, key=(*place.key, *at.key[1:])))]


def _charted(known: Known, at: Context) -> Needs:
    return chart_needs(known, of_project(at), _lacking(known, SERIES, at), at.item)


CHART = Source(
    "experiments/multi-metric-chart of one metric",
    _chart,
    listing_lease,
    kept=False,
    of=(experiment.NAMED, SERIES),
    needs=_charted,
    together=CHARTS,
)
"""The same."""


async def _best(asker: Resolver, at: Context) -> dict[str, str]:
    named = {one.row["experimentKey"]: one for one in await _by_directory(asker, at)}
    spans: list[tuple[float, float, str]] = []

    def take(place: Context, _metric: str, packed: bytes) -> None:
        span = Series(packed).span() if packed else None
        if span is not None:
            spans.append((*span, named[str(place.key[0])].directory))

    failed: Failed = {}
    await gather(asker, _places(at, list(named.values())), [at.item], take, failed=failed)
    spans += await _summarised(asker, at, [named[str(place[0])] for place in failed], bool(spans))
    if not spans:
        return {}
    least = min(spans, key=lambda found: (found[0], found[2]))
    greatest = min(spans, key=lambda found: (-found[1], found[2]))
    return {"max": greatest[2], "min": least[2]}


async def _summarised(
    asker: Resolver, at: Context, lacking: Sequence[Named], any_found: bool
) -> list[tuple[float, float, str]]:
    """The same of experiments whose points could not be had, by what Comet says of each; logs which are unknown."""
    if not lacking:
        return []
    failed: Failed = {}
    places = _places(at, lacking)
    found = await asker.answers(EXTENTS, places, failed)
    _check_any(failed, f"the best by {at.item!r} is known but for", any_found=any_found or bool(found))
    spans = []
    for one, place in zip(lacking, places, strict=True):
        _, least, greatest = found.get(place.key, {}).get(at.item, (None,) * 3)
        low, high = number_of(least), number_of(greatest)
        if low is not None and high is not None and not math.isnan(low + high):
            spans.append((low, high, one.directory))
    return spans


BEST = Source(
    "experiments/multi-metric-chart for the best",
    _best,
    listing_lease,
    kept=False,
    of=(experiment.NAMED, SERIES, EXTENTS),
    needs=lambda _known, at: Needs(0, [(CHART, at)]),
)
"""The directories of the experiments with the greatest ("max") and the least value ("min") of a metric, of equals the
first by name; {} where no experiment has a number of it. The chart's calls, which share the answers."""


@dataclass(slots=True)
class ExperimentRecord:
    """All of an experiment that a table of its project shows; of what could not be had nothing."""

    named: Named
    tags: Sequence[str]
    logged: tuple[Any, Any, Any]
    """What `params`, `others` and `metrics` are unpacked from: a project has millions of values, of which a table is
    made row by row."""
    error: str = ""
    """Why something of it could not be had."""

    @property
    def params(self) -> Mapping[str, Any]:
        return unpacked(self.logged[0])

    @property
    def others(self) -> Mapping[str, Any]:
        return unpacked(self.logged[1])

    @property
    def metrics(self) -> Mapping[str, Sequence[Any]]:
        """Last, least and greatest value of each, as text."""
        return unpacked(self.logged[2])


def packed(answer: Mapping[str, Any]) -> Any:
    """An answer in a tenth of its memory; itself where it cannot be written so."""
    written = encoded(answer)
    return answer if written is None else written


def unpacked(written: Any) -> Mapping[str, Any]:
    """The inverse of `packed`."""
    found: Mapping[str, Any] = decoded(written) if isinstance(written, bytes) else written
    return found


class Records(Sequence[ExperimentRecord]):
    """The experiments of a project, by directory."""

    def __init__(self, records: Sequence[ExperimentRecord]) -> None:
        self._records = records
        self.weight = sum(RECORD + sum(map(len, one.logged)) for one in records)
        """Bytes in memory, about."""

    @overload
    def __getitem__(self, index: int) -> ExperimentRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ExperimentRecord]: ...

    def __getitem__(self, index: int | slice) -> ExperimentRecord | Sequence[ExperimentRecord]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)


RECORD = 300
"""Bytes of an `ExperimentRecord` beside what was logged."""


class _Brought(NamedTuple):
    """What a question has brought of the experiments of a project, and of which it failed."""

    found: Mapping[Place, Any]
    failed: Failed

    def says_of(self, key: Place) -> bool:
        """Whether there is one, of an experiment: of one that was deleted since the listing there is neither."""
        return key in self.found or key in self.failed


async def _asked(
    asker: Resolver, source: Source, places: Sequence[Context], make: Callable[[Any], Any] = packed
) -> _Brought:
    failed: Failed = {}
    return _Brought(await asker.answers(source, places, failed, make), failed)


async def _records(asker: Resolver, at: Context) -> Records:
    named = sorted(await asker.answer(experiment.NAMED, at))
    columns = await asker.answer(COLUMNS, at)
    rows = await _asked(
        asker,
        experiment.METADATA,
        [experiment.at_experiment(at, one.row) for one in named if one.row["running"] is None],
        make=lambda row: row,
    )
    states = [Named(one.directory, rows.found.get((one.row["experimentKey"],), one.row)) for one in named]
    places = [experiment.at_experiment(at, one.row) for one in states]
    # At the same time, each with its own bound; a search that tells others may tell tags by the way.
    params, metrics, others = await each_of(
        (PARAMS, EXTENTS, OTHERS_BY_NAME), lambda source: _asked(asker, source, places)
    )
    untagged: Failed = {}
    tags = _Brought(await tags_of(asker, places, columns, untagged) if places else {}, untagged)
    brought = (rows, tags, params, others, metrics)
    failed = {key: error for of_one in reversed(brought) for key, error in of_one.failed.items()}
    _check_any(failed, "a table has empty cells for", any_found=any(of_one.found for of_one in brought[2:]))
    # One that was deleted since the listing is missing somewhere: its row goes, not the table.
    return Records(
        [
            _record(one, at.key, brought)
            for one, at in zip(states, places, strict=True)
            if all(of_one.says_of(at.key) for of_one in brought[1:])
        ]
    )


def _record(one: Named, key: Place, brought: Sequence[_Brought]) -> ExperimentRecord:
    _, tags, params, others, metrics = (of_one.found for of_one in brought)
    errors = [of_one.failed[key] for of_one in brought if key in of_one.failed]
    sentences = dict.fromkeys(printable(str(error)) for error in errors)
    logged = (params.get(key, {}), others.get(key, {}), metrics.get(key, {}))
    return ExperimentRecord(one, tags.get(key, []), logged, "; ".join(sentences))


def _check_any(failed: Failed, lacking: str, *, any_found: bool) -> None:
    """Raises the first error where nothing at all was answered, and logs it where something was."""
    if failed:
        first = next(iter(failed.values()))
        if not any_found:
            raise first
        log.warning("%s %s experiments, such as: %s", lacking, len(failed), first)


def _record_needs(known: Known, at: Context) -> Needs:
    """What batches tell is reckoned with them; others come by a search, where there are more than a few."""
    places = _lacking(known, OTHERS_BY_NAME, at)
    each = [(source, place) for source in (PARAMS, EXTENTS) for place in places]
    searched = len(places) > FEW
    others = () if searched else [(OTHERS_BY_NAME, place) for place in places]
    tags = 0 if searched else len(words_of("tag", known.known(COLUMNS, at) or ()))
    return Needs(math.ceil(len(places) / PAGE) + tags if places else 0, [(COLUMNS, at), *each, *others])


FEW = 2 * SAMPLE
"""Experiments up to which each is asked for its others by itself."""

RECORDS = Source(
    "experiments, with parameters, others and metrics",
    _records,
    listing_lease,
    kept=False,
    # A batch of metrics asks for the summary of one experiment, to learn which of equal values counts; a search is
    # compared with what some experiments answer by themselves.
    of=(
        experiment.NAMED,
        experiment.METADATA,
        COLUMNS,
        PARAMS,
        EXTENTS,
        experiment.SUMMARY,
        OTHERS_BY_NAME,
        TAG_NAMES,
        experiment.OTHERS,
        TAGS,
    ),
    needs=_record_needs,
    endpoint="experiments/search",
)
"""One call for the columns, batches for parameters (parameters.py) and metrics (metrics.py), and what
logged_columns.py says.
In a project of a few, and of what is running, one for each experiment and question, which their own files share."""


class Overview(NamedTuple):
    """A project at a glance: itself, its experiments and the names of their metrics."""

    project: Row
    records: Records
    metrics: list[str]


async def _overview(asker: Resolver, at: Context) -> Overview:
    records = await asker.answer(RECORDS, at)
    return Overview(at.project or {}, records, words_of("metrics", await asker.answer(COLUMNS, at)))


OVERVIEW = Source("what experiments.csv is made of", _overview, listing_lease, kept=False, of=(RECORDS, COLUMNS))
"""Costs what the table costs, which shares the answers."""


class TableRows:
    """The rows of a table, which are made each time that it is gone through."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(table_row, self._records)


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
    return found | {"error": record.error or None}


_YEAR_9999 = 253_370_764_800_000
"""Milliseconds: what lies beyond, or before 1970, is no time of an experiment."""


def _moment(ms: float | None) -> str | None:
    """ISO 8601, in UTC without saying so: a zone would make DuckDB want another package to show it."""
    if ms is None or not 0 <= ms < _YEAR_9999:
        return None
    return in_utc(ms, "milliseconds")
