"""A project's columns, tags and parameters: what few calls tell of many experiments, and one call of one.

Not here: metrics (metrics.py), and others (logged_columns.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cometfs.comet.api import API
from cometfs.vfs.schema.declaration import Batch, Context, Found, Known, Resolver, Row, Source, Weighs
from cometfs.vfs.sources import chart_calls, experiment
from cometfs.vfs.sources.experiment import about_experiment, listing_lease, project_id, sealed_lease

COLUMNS = Source(
    "project/column-names", lambda asker, at: asker.api.project_column_names(project_id(at)), listing_lease
)


def of_project(at: Context) -> Context:
    """The place of the project in which `at` lies."""
    return Context(at.web, at.modified_ms, (project_id(at),), at.workspace, at.project, live=at.live)


def words_of(source: str, columns: Sequence[Row]) -> list[str]:
    """The names of one source ("metrics", "params", "tag" ...) among a project's columns, sorted."""
    return sorted({column["name"] for column in columns if column["source"] == source})


async def column_names(asker: Resolver, places: Sequence[Context], source: str) -> list[str]:
    return words_of(source, await asker.answer(COLUMNS, of_project(places[0])))


def has_words(source: str, known: Known, project: Context) -> bool:
    """Whether a project has names of a source, where its columns are at hand; else it may."""
    columns = known.known(COLUMNS, project)
    return columns is None or bool(words_of(source, columns))


# -- Tags --------------------------------------------------------------------------------------------------------------


async def _untagged(asker: Resolver, places: Sequence[Context]) -> list[Found]:
    return [] if await column_names(asker, places, "tag") else [Found(TAGS, at, []) for at in places]


def _has_no_tag(known: Known, project: Context) -> bool:
    return not words_of("tag", known.known(COLUMNS, project) or ())


TAGS = about_experiment(
    "experiment/tags",
    API.experiment_tags,
    batch=Batch("no tag in the project", _untagged, 256, brings=_has_no_tag, calls=0),
)
"""Where no experiment of a project has a tag, the columns tell so of all; else 1 call for each."""

# -- Parameters --------------------------------------------------------------------------------------------------------


async def _params(asker: Resolver, at: Context) -> dict[str, Any]:
    return {row["name"]: row["valueCurrent"] for row in await asker.answer(experiment.PARAMETERS, at)}


async def _params_of_many(asker: Resolver, places: Sequence[Context]) -> list[Found]:
    names = await column_names(asker, places, "params")
    if not names:
        return []
    charts = await chart_calls.ask(asker, of_project(places[0]), places, (), lambda chart: chart["params"], names)
    return [Found(PARAMS, at, params) for at in places if is_certain(params := charts.get(experiment.key(at)))]


def is_certain(params: Mapping[str, Any] | None) -> bool:
    """Whether those are the parameters of an experiment: a null may be one that it lacks, and so may all."""
    return bool(params) and None not in (params or {}).values()


PARAMS = Source(
    "experiment/parameters by name",
    _params,
    sealed_lease,
    Batch(
        "experiments/multi-metric-chart of parameters",
        _params_of_many,
        first=64,
        brings=lambda known, project: has_words("params", known, project),
        weighs=lambda _known, _at: Weighs(0.5, experiment.PARAMETERS.name),
    ),
    of=(experiment.PARAMETERS,),
)
"""Parameter -> its text. Alone 1 call, which `.api/experiment_parameters.json` shares."""
