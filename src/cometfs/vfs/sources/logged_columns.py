"""What a table shows of others and tags, which Comet has no call for that is about several experiments.

Where the server has ``experiments/search``, a row of its answer may have the columns of an experiment beside its key.
What those rows are like is not documented, so they are believed only if they agree with what experiments answer by
themselves: two that the prefetcher asks, and those of which most could be lost (the longest text, the most tags, none).
Elsewhere an experiment with others costs a call, and tags cost the less of a call for each of them and one for each
experiment. Answers are kept for each experiment, so that another table asks about those that changed.

Not here: the table (project_tables.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from cometfs.comet.answers.predicates import tagged
from cometfs.comet.answers.shapes import as_text
from cometfs.errors import NotFound
from cometfs.vfs.keys import Place
from cometfs.vfs.schema.declaration import Batch, Context, Failed, Found, Needs, Resolver, Row, Source
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.experiment import each_of, experiment_lease, key, patiently
from cometfs.vfs.sources.parameters import COLUMNS, TAGS, of_project, words_of
from cometfs.vfs.sources.queries import experiments_with

PAGE = 1000
"""Experiments in one answer of a search; Comet's own clients ask for so many of a listing, "to avoid timeouts"."""

ALL = 1 << 20
"""Experiments in one batch: a search tells of all of a project."""


class _Logged(NamedTuple):
    """What the row of a search says of an experiment."""

    at: Context
    others: dict[str, Any]
    tags: list[str]


class _Fields(NamedTuple):
    """The fields of a search's row that are columns, and the column that each is: its source and name."""

    columns: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, columns: Sequence[Row]) -> _Fields:
        """A field is called by the column's id (``lr--params``), of which the server says what it is."""
        return cls({column["id"]: (column["source"], column["name"]) for column in columns if column["id"]})

    def logged(self, at: Context, row: Row) -> _Logged:
        others: dict[str, Any] = {}
        tags: list[str] = []
        for field, value in row.items():
            source, name = self.columns.get(field, ("", ""))
            if source == "log_other" and value is not None:
                others[name] = as_text(value)
            elif source == "tag" and as_text(value) not in (None, "false", "0", ""):
                tags.append(name)
        return _Logged(at, others, sorted(tags))


async def _searched(asker: Resolver, places: Sequence[Context]) -> list[Found]:
    fields = _Fields.of(await asker.answer(COLUMNS, of_project(places[0])))
    logged = await _rows(asker, of_project(places[0]), {key(at): at for at in places}, fields)
    if not any(one.others for one in logged):
        return []  # it has keys, and no columns
    await each_of(_doubtful(logged), lambda one: _ask_own(asker, one.at))
    found = [Found(OTHERS_BY_NAME, one.at, one.others) for one in logged]
    if any(one.tags for one in logged):
        found += [Found(TAG_NAMES, one.at, one.tags) for one in logged]
    return found


async def _rows(asker: Resolver, project: Context, wanted: Mapping[str, Context], fields: _Fields) -> list[_Logged]:
    """What rows tell of those experiments, in their order, as far as the server has them. No page is held beside it."""
    found: dict[str, _Logged | None] = {}
    for page in count(1):
        ask = partial(asker.api.search_experiments, str(project.key[0]), limit=PAGE, page=page)
        rows = await patiently(ask)
        # A page of none that is wanted says nothing of the next one; one that has come before is from a server that
        # has no pages.
        new = [row for row in rows if row["experimentKey"] not in found]
        for row in new:
            at = wanted.get(row["experimentKey"])
            found[row["experimentKey"]] = None if at is None else fields.logged(at, row)
        if len(rows) < PAGE or not new or found.keys() >= wanted.keys():
            break
    return [logged for one in wanted if (logged := found.get(one)) is not None]


def _doubtful(logged: Sequence[_Logged]) -> list[_Logged]:
    """Those that show best whether a row may lose something: the same ones, in whichever order they came."""
    longest = max(
        logged, key=lambda one: (max((len(text or "") for text in one.others.values()), default=0), key(one.at))
    )
    by_tags = sorted(logged, key=lambda one: (len(one.tags), key(one.at)))
    return list({one.at.key: one for one in (longest, by_tags[0], by_tags[-1])}.values())


async def _ask_own(asker: Resolver, at: Context) -> None:
    """Has at hand what an experiment says by itself, with which the prefetcher compares."""
    try:
        asker.fill(OTHERS_BY_NAME, at, await _others(asker, at))
        asker.fill(TAG_NAMES, at, await _tag_names(asker, at))
    except NotFound:
        return  # deleted since the listing


async def _others(asker: Resolver, at: Context) -> dict[str, Any]:
    return {row["name"]: row["valueCurrent"] for row in await asker.answer(experiment.OTHERS, at)}


async def _tag_names(asker: Resolver, at: Context) -> list[str]:
    return sorted(await asker.answer(TAGS, at))


OTHERS_BY_NAME = Source(
    "experiment/log-other by name",
    _others,
    experiment_lease,
    Batch("experiments/search", _searched, first=ALL, most=ALL, divides=False),
    of=(COLUMNS, experiment.OTHERS, TAGS),
    needs=lambda _known, at: Needs(0, [(experiment.OTHERS, at)]),
)
"""Other -> its text. Alone 1 call, which `others.json` shares."""

TAG_NAMES = Source("experiment/tags, sorted", _tag_names, experiment_lease, of=(TAGS,))
"""Alone 1 call, which `tags.txt` shares. A search may bring it, or queries for all tags of a project."""


async def tags_of(
    asker: Resolver, places: Sequence[Context], columns: Sequence[Row], failed: Failed
) -> Mapping[Place, list[str]]:
    """The tags of each experiment, by the keys of `places`; `columns`: those of their project, `failed`: as for
    `Resolver.answers`."""
    words = words_of("tag", columns)
    if not words:
        return {at.key: [] for at in places}
    missing = [at for at in places if asker.answer_nowait(TAG_NAMES, at) is None]

    async def ask(mine: Sequence[Context]) -> None:
        if len(mine) > len(words):
            await _query(asker, mine, words)

    await asker.in_turn(TAG_NAMES, missing, ask, lambda _places: None)
    return await asker.answers(TAG_NAMES, places, failed)


async def _query(asker: Resolver, places: Sequence[Context], words: Sequence[str]) -> None:
    """Has them at hand by one query for each tag, unless queries fail."""
    found: dict[str, list[str]] = {key(at): [] for at in places}
    project = of_project(places[0])

    async def one(word: str) -> list[str] | None:
        return await experiments_with(asker, project, tagged(word))

    # The first alone: a server without queries lacks them for all.
    keys = [await one(words[0])]
    keys += [] if keys[0] is None else await each_of(words[1:], one)
    for word, held_by in zip(words, keys, strict=False):
        if held_by is None:
            return
        for held in filter(found.__contains__, held_by):
            found[held].append(word)
    for at in places:
        asker.fill(TAG_NAMES, at, found[key(at)])
