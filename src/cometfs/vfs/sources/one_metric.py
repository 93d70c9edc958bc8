"""One metric of many experiments, for readers that want nothing else of them: 1 call for every `MOST`.

Each gets the bytes of its own file. Not here: all metrics of some experiments (metrics.py), and tables and charts of a
whole project (project_tables.py, chart_series.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cometfs.comet.answers.predicates import has_metric
from cometfs.errors import NO_OTHER_WAY, AnswerTooLarge, CometFSError, NotFound
from cometfs.lease import is_settling
from cometfs.vfs.schema.declaration import Context, Resolver, Row
from cometfs.vfs.sources import chart_calls, experiment
from cometfs.vfs.sources.charted_metrics import Parsed
from cometfs.vfs.sources.experiment import each_of, key
from cometfs.vfs.sources.metrics import METRIC, believed
from cometfs.vfs.sources.parameters import of_project
from cometfs.vfs.sources.queries import experiments_with

log = logging.getLogger(__name__)

MOST = 100
"""Experiments in one call at most: Comet documents no limit, its own clients ask for few."""

ABREAST = 2
"""Such calls at once: each may bring some MB."""


async def logged_by(asker: Resolver, project: Context, name: str) -> list[Row]:
    """The experiments of a project that have logged it, in their order: 1 call beside their listing. All, where a
    server answers no such query."""
    rows = await asker.answer(experiment.EXPERIMENTS, project)
    found = await experiments_with(asker, project, has_metric(name))
    keys = None if found is None else frozenset(found)
    return [row for row in rows if keys is None or row["experimentKey"] in keys]


async def sheets(asker: Resolver, places: Sequence[Context]) -> dict[str, bytes]:
    """By experiment, its points as CSV; `places`: those of the metric in experiments of one project. Of what cannot be
    had together each is asked by itself; what is not there any more is left out."""
    held = {key(at): asker.answer_nowait(METRIC, at) for at in places}
    found: dict[str, bytes] = {one: sheet for one, sheet in held.items() if sheet is not None}
    together = [at for at in places if key(at) not in found and _is_sealed(at)]
    chunks = [together[start : start + MOST] for start in range(0, len(together), MOST)] if len(together) > 1 else []

    def came(there: Sequence[Context]) -> None:
        found.update({key(at): sheet for at in there if (sheet := asker.answer_nowait(METRIC, at)) is not None})

    async def ask(mine: Sequence[Context]) -> None:
        found.update(await _together(asker, mine))

    await each_of(chunks, lambda chunk: asker.in_turn(METRIC, chunk, ask, came), ABREAST)

    async def alone(at: Context) -> None:
        try:
            found[key(at)] = await asker.answer(METRIC, at)
        except NotFound:  # deleted since the listing
            return

    await each_of([at for at in places if key(at) not in found], alone)
    return found


def _is_sealed(at: Context) -> bool:
    """Whether nothing is added to it any more."""
    row = at.experiment or {}
    return bool(at.version) and not row["archived"] and not is_settling(experiment.ended_ago(row))


async def _together(asker: Resolver, places: Sequence[Context]) -> dict[str, bytes]:
    """What one call answers, several where its answer is too large; nothing where it fails."""
    name, project = places[0].item, of_project(places[0])
    wholes = {key(at): experiment.of_experiment(at) for at in places}
    try:
        charted = await chart_calls.ask(asker, project, list(wholes.values()), [name], Parsed.of)
        parsed = await believed(asker, [(wholes[one], charted[one]) for one in wholes.keys() & charted.keys()])
    except NO_OTHER_WAY:
        raise
    except AnswerTooLarge:
        half = len(places) // 2
        if not half:
            return {}
        return await _together(asker, places[:half]) | await _together(asker, places[half:])
    except CometFSError as error:
        log.debug("not asked together: %s", error)
        chart_calls.record_failure(asker, project)
        return {}
    sheets = {one: of_one.sheet(name) for one, of_one in parsed.items()}
    found = {one: sheet for one, sheet in sheets.items() if sheet is not None}
    for at in places:
        if key(at) in found:
            asker.fill(METRIC, at, found[key(at)])
    return found
