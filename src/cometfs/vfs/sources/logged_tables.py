"""The sources of logged curves, confusion matrices and histograms, which are assets of some types.

Each is shown as a table, `<name>.csv`, from its row in the list of assets alone. Where its bytes turn out to be none
they are shown as they are, and from the next listing on under the asset's own name (`NO_TABLES`). Not here: what makes
a table (render/logged.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import trio

from cometfs.errors import NotFound, Unintelligible
from cometfs.render import logged
from cometfs.render.logged import NoTable
from cometfs.vfs.schema.declaration import Context, Known, Needs, Resolver, Row, Source
from cometfs.vfs.sources.experiment import (
    ASSET,
    ASSETS,
    at_asset,
    each_of,
    experiment_lease,
    free,
    key,
    of_experiment,
    sealed_lease,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

TABLE_BYTES = 64 << 20
"""The biggest asset that is made into a table: it is held whole."""

IN_THREAD = 1 << 20
"""Bytes from which on an asset is parsed in a thread."""

OWN_BYTES = "own bytes"
"""The field, beside those of its row, of an asset that is shown as it is."""

PIECES = "pieces"
"""The field of a histogram that has the rows of all its assets."""

COMBINED, PIECE = "histogram_combined_3d", "histogram3d"
"""Comet makes one asset of the first type of all those of the second that have one name; some servers list only
those."""


async def _none_yet(_asker: Resolver, _at: Context) -> list[str]:
    await trio.lowlevel.checkpoint()
    return []


NO_TABLES = Source("assets that are no tables", _none_yet, sealed_lease, needs=free)
"""Their ids, as far as reading has shown. Costs no call. On disk, because bodies of assets do not change: a refresh of
one does not drop it, either."""


async def _record_no_table(asker: Resolver, at: Context) -> None:
    whole = of_experiment(at)
    await asker.answer(NO_TABLES, whole)  # from disk into memory
    # Not what was answered before the wait: others, which are read at the same time, have recorded theirs meanwhile.
    known = asker.answer_nowait(NO_TABLES, whole) or []
    asker.fill(NO_TABLES, whole, sorted({*known, at.item["assetId"]}))


def _is_own(row: Row, no_tables: Collection[str]) -> bool:
    return row["assetId"] in no_tables or (row["fileSize"] or 0) > TABLE_BYTES


def of_kind(kind: str) -> Callable[..., list[Row]]:
    """Picks assets of a type from their list; each knows whether it is shown as a table or as it is."""

    def rows_of(rows: Sequence[Row], no_tables: Collection[str] = ()) -> list[Row]:
        here = [row for row in rows if row["type"] == kind]
        return [{**row, OWN_BYTES: True} if _is_own(row, no_tables) else row for row in here]

    return rows_of


async def _body(asker: Resolver, at: Context) -> bytes:
    """All of an asset. Raises NoTable for one that is too big to be held, of which the listing did not say so."""
    body = await asker.body(ASSET, at, TABLE_BYTES + 1)
    if len(body) > TABLE_BYTES:
        raise NoTable(f"it has more than {TABLE_BYTES:,} bytes")
    return body


async def _aside(work: Callable[[], T], size: int) -> T:
    """What `work` returns, done in a thread where it takes long."""
    return work() if size < IN_THREAD else await trio.to_thread.run_sync(work, abandon_on_cancel=True)


async def _table_or_bytes(asker: Resolver, at: Context, table: Callable[[bytes], bytes]) -> bytes:
    """What `table` makes of the asset at a place; the asset itself where it raises NoTable, which is recorded."""
    body = None
    try:
        body = await _body(asker, at)
        return await _aside(partial(table, body), len(body))
    except NoTable as error:
        what = f"the asset {at.item['fileName']!r} of experiment {key(at)}"
        await _record_no_table(asker, at)
        if body is None:
            raise Unintelligible(f"{what} is no table: {error}; its bytes are in assets/") from error
        log.info("%s is shown as it is: %s", what, error)
        return body


def _table(name: str, table: Callable[[Any], bytes]) -> Source:
    async def ask(asker: Resolver, at: Context) -> bytes:
        return await _table_or_bytes(asker, at, lambda body: table(logged.parsed(body)))

    return Source(name, ask, sealed_lease, kept=False, of=(ASSET,))


CURVE = _table("experiment/asset/get-asset as a curve", logged.curve)
MATRIX = _table("experiment/asset/get-asset as a confusion matrix", logged.confusion_matrix)


# -- Histograms --------------------------------------------------------------------------------------------------------


def histogram_rows(rows: Sequence[Row], no_tables: Collection[str] = ()) -> list[Row]:
    """A row for each histogram: of a combined asset, else of all pieces that have its name and context. What lies
    elsewhere has a row each."""
    here = [row for row in rows if not row["remote"]]
    elsewhere = [row for row in rows if row["remote"] and row["type"] in (COMBINED, PIECE)]
    combined = [row for row in here if row["type"] == COMBINED]
    names = {row["fileName"] for row in combined}
    joined: dict[Any, list[Row]] = {}
    for row in here:
        if row["type"] == PIECE and row["fileName"] not in names:
            joined.setdefault((row["fileName"], row["runContext"]), []).append(row)
    alone = [[row] for row in (*combined, *elsewhere)]
    return [_histogram_row(pieces, no_tables) for pieces in [*alone, *joined.values()]]


def _histogram_row(pieces: Sequence[Row], no_tables: Collection[str]) -> Row:
    first = pieces[0]
    own = len(pieces) == 1 and (first["remote"] or _is_own(first, no_tables))
    created = max((row["createdAt"] for row in pieces if row["createdAt"] is not None), default=None)
    step = first["step"] if own else None
    return {**first, "step": step, "createdAt": created, PIECES: pieces, **({OWN_BYTES: True} if own else {})}


def at_histogram(at: Context, row: Row) -> Context:
    """The place of a histogram: an asset's own, or that of all pieces of its name, however many come."""
    if len(row[PIECES]) == 1 and (row.get(OWN_BYTES) or row["remote"] or row["type"] == COMBINED):
        return at_asset(at, row)
    place = (*at.key, row["fileName"] or "", row["runContext"] or "")
    item = {name: value for name, value in row.items() if name != "assetId" or len(row[PIECES]) == 1}
    return replace(at, key=place, modified_ms=row["createdAt"] or at.modified_ms, item=item)


async def _histogram(asker: Resolver, at: Context) -> bytes:
    whole = of_experiment(at)
    found = histogram_rows(await asker.answer(ASSETS, whole))
    pieces: Sequence[Row] = next((row[PIECES] for row in found if at_histogram(whole, row).key == at.key), [])
    if not pieces:
        raise NotFound(f"the histogram {at.item['fileName']!r} of experiment {key(at)} is gone")
    if len(pieces) == 1:
        return await _table_or_bytes(asker, at_asset(whole, pieces[0]), partial(_only_table, pieces[0]["step"]))
    steps = await each_of(pieces, lambda row: _piece(asker, at_asset(whole, row)))
    return logged.in_steps([one for several in steps for one in several])


def _only_table(step: Any, body: bytes) -> bytes:
    """The table of one asset, at least one step of which can be read."""
    steps = list(_steps(body, step))
    if steps and not any(readable for _, _, readable in steps):
        raise NoTable("no histogram")
    return logged.in_steps([(at_step, written) for at_step, written, _ in steps])


async def _piece(asker: Resolver, at: Context) -> list[tuple[Any, bytes]]:
    """The steps of a piece, mostly one; of one that is gone, or holds something else, its step with empty cells."""
    row = at.item
    try:
        body = await _body(asker, at)
        steps = await _aside(lambda: list(_steps(body, row["step"])), len(body))
        return [(step, written) for step, written, _ in steps]
    except (NotFound, NoTable) as error:
        log.info("step %s of the histogram %r of %s is empty: %s", row["step"], row["fileName"], key(at), error)
        return [(row["step"], logged.unreadable(row["step"]))]


def _steps(body: bytes, step: Any) -> Iterator[tuple[Any, bytes, bool]]:
    """Step, rows of the table, and whether it was readable."""
    for at_step, found in logged.histogram_steps(body, step):
        try:
            yield at_step, logged.histogram(found, at_step), True
        except NoTable:
            yield at_step, logged.unreadable(at_step), False


def _histogram_needs(_known: Known, at: Context) -> Needs:
    whole = of_experiment(at)
    return Needs(0, [(ASSET, at_asset(whole, row)) for row in at.item[PIECES]])


HISTOGRAM = Source(
    "experiment/asset/get-asset as a histogram",
    _histogram,
    sealed_lease,
    kept=False,
    of=(ASSETS, ASSET),
    needs=_histogram_needs,
)
"""Of pieces, 1 call for each that is not at hand, 8 abreast."""


# -- As the SDK answers them -------------------------------------------------------------------------------------------


async def _curves(asker: Resolver, at: Context) -> list[Any]:
    async def one(row: Row) -> Any:
        found = await _curve_fields(asker, at_asset(at, row))
        return {**found, "step": row["step"], "assetId": row["assetId"]}

    here = [row for row in await asker.answer(ASSETS, at) if row["type"] == "curve" and not row["remote"]]
    return await each_of(here, one)


async def _curve_fields(asker: Resolver, at: Context) -> Row:
    """What a curve's asset says; of one that is gone, or holds something else, the name, and null for its points."""
    try:
        body = await _body(asker, at)
        found = await _aside(partial(logged.parsed, body), len(body))
    except (NotFound, NoTable):
        found = None
    return found if isinstance(found, dict) else {"name": at.item["fileName"], "x": None, "y": None}


CURVES = Source("curves", _curves, experiment_lease, kept=False, of=(ASSETS, ASSET))
