"""The sources of the account and of single experiments: what each must know, and how long its answer holds.

A source is named after the endpoint that it costs. One that is made of others' answers costs nothing of its own, unless
it says so. Not here: what is shown of the answers (layout/).
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import trio

from cometfs import lease
from cometfs.caller import patience
from cometfs.comet.answers.models import image
from cometfs.comet.api import API
from cometfs.errors import NO_OTHER_WAY, CometFSError
from cometfs.lease import Lease
from cometfs.vfs.keys import Place
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Batch, Context, Failed, Known, Needs, Resolver, Row, Source, Stream
from cometfs.vfs.sources.provenance import state_of

T = TypeVar("T")

PROJECT_NAMES = frozenset(
    [
        ".api",
        "README.md",
        "archived",
        "charts",
        "experiments.csv",
        "experiments.jsonl",
        "notes.md",
        "overview.html",
        "project.json",
        "summary",
        "url.txt",
        "views",
    ]
)
"""Names in a project's directory that no experiment can have; a test holds them to the declaration."""

# -- How long answers hold ---------------------------------------------------------------------------------------------


def account_lease(_at: Context) -> Lease:
    return lease.ACCOUNT


def listing_lease(_at: Context) -> Lease:
    return lease.LISTING


def experiment_lease(at: Context) -> Lease:
    return _of_experiment(at, lease.FINISHED)


def sealed_lease(at: Context) -> Lease:
    """Of what only the run itself writes."""
    return _of_experiment(at, lease.SEALED)


def _of_experiment(at: Context, ended: Lease) -> Lease:
    row = at.experiment or {}
    return lease.of_experiment(row.get("running"), at.live, ended, ended_ago(row))


def ended_ago(row: Row) -> float:
    """Seconds since an experiment ended; infinitely many where the row does not say when."""
    ended: float | None = row.get("endTimeMillis")
    return math.inf if ended is None else time.time() - ended / 1000


# -- What is known at a place ------------------------------------------------------------------------------------------


def at_workspace(at: Context, name: str) -> Context:
    return Context(at.web, at.modified_ms, (name,), name, live=at.live)


def at_project(at: Context, row: Row) -> Context:
    modified_ms = row["lastUpdated"] or at.modified_ms
    return Context(at.web, modified_ms, (row["projectId"],), at.workspace, row, live=at.live)


def at_experiment(at: Context, row: Row) -> Context:
    ended = row["endTimeMillis"] or row["startTimeMillis"] or at.modified_ms
    version = version_of(row)
    return Context(at.web, ended, (row["experimentKey"],), at.workspace, at.project, row, version=version, live=at.live)


def version_of(row: Row) -> str:
    """Changes when the row of an ended experiment says that something about it did; "" for one that may be running.

    While it runs the row changes all the time, and its answers hold for seconds anyway.
    """
    if row["running"] is not False:
        return ""
    fields = [row[field] for field in ("startTimeMillis", "endTimeMillis", "durationMillis", "hasCrashed", "archived")]
    return f"{zlib.crc32(repr((fields, row['experimentName'], row['projectId'])).encode()):08x}"


def at_metric(at: Context, name: str) -> Context:
    return replace(at, key=(*at.key, name), item=name)


def of_experiment(at: Context) -> Context:
    """The place of the experiment in which `at` lies."""
    return replace(at, key=(key(at),), item=None)


def at_asset(at: Context, row: Row) -> Context:
    created = row["createdAt"] or at.modified_ms
    return replace(at, modified_ms=created, key=(*at.key, row["assetId"]), item=row)


def key(at: Context) -> str:
    """The experiment's key."""
    return str(at.experiment["experimentKey"]) if at.experiment else ""


def project_id(at: Context) -> str:
    return str(at.project["projectId"]) if at.project else ""


# -- The sources -------------------------------------------------------------------------------------------------------


def about_experiment(
    name: str, ask: Any, holds: Callable[[Context], Lease] = experiment_lease, batch: Batch | None = None, **more: Any
) -> Source:
    """A question about one experiment: `ask` is the method of API that takes its key; `more`: of a Source."""
    return Source(name, lambda asker, at: ask(asker.api, key(at)), holds, batch, **more)


def moment_lease(_at: Context) -> Lease:
    return lease.MOMENT


def free(_known: Known, _at: Context) -> Needs:
    """Of what costs no call."""
    return Needs()


STATUS = Source("the mount itself", lambda asker, _at: asker.status(), moment_lease, kept=False, needs=free)

METRICS = Source(
    "the metrics of the mount", lambda asker, _at: asker.metrics(), lambda _at: Lease(0.0), kept=False, needs=free
)


async def _failures(asker: Resolver, _at: Context) -> list[str]:
    return asker.failures()


FAILURES = Source("the failures of the mount", _failures, lambda _at: Lease(0.0), kept=False, needs=free)
OWN = (STATUS, FAILURES, METRICS)
"""Those about the mount itself."""

WORKSPACES = Source("workspaces", lambda asker, _at: asker.api.workspaces(), account_lease, renewed=True)
PROJECTS = Source("projects", lambda asker, at: asker.api.projects(at.workspace), listing_lease, renewed=True)
NOTES = Source("project/notes", lambda asker, at: asker.api.project_notes(project_id(at)), account_lease)


async def _experiments(asker: Resolver, at: Context) -> list[Any]:
    return in_order(await asker.api.experiments_by_project_id(project_id(at)))


def in_order(rows: Sequence[Any]) -> list[Any]:
    """Experiments by name: Comet promises no order, and a shell's `*` and `grep -r` then walk the same way."""
    return sorted(rows, key=lambda row: (row["experimentName"] or row["experimentKey"], row["experimentKey"]))


EXPERIMENTS = Source("experiments", _experiments, listing_lease, renewed=True)


def _row_tells_all(at: Context) -> bool:
    """Comet's own Python client takes an experiment's metadata from its row, too, where the listing has it all."""
    row = at.experiment or {}
    return bool(at.version) and row["hasCrashed"] is not None and row["userName"] is not None


def metadata_holds(at: Context) -> Lease:
    """What is taken from the row holds as long as the row: its key does not name all of it, and it costs no call."""
    return lease.LISTING if _row_tells_all(at) else experiment_lease(at)


async def _metadata(asker: Resolver, at: Context) -> Any:
    if at.experiment and _row_tells_all(at) and not asker.doubts(at):
        return dict(at.experiment)
    return await asker.api.experiment_metadata(key(at))


METADATA = Source(
    "experiment/metadata",
    _metadata,
    metadata_holds,
    needs=lambda _known, at: Needs(0 if at.experiment and _row_tells_all(at) else 1),
)
"""No call for an experiment that has ended, where the listing has all of it (since servers of 2020 or so) and is not
doubted."""
CODE = about_experiment("experiment/code", API.experiment_code, sealed_lease)
EVERY_POINT = "experiment/metrics/get-all"
"""The endpoint that has all points of an experiment."""
OUTPUT = about_experiment("experiment/output", API.experiment_output, sealed_lease, grows=True)
HTML = about_experiment("experiment/html", API.experiment_html)
GRAPH = about_experiment("experiment/graph", API.experiment_graph, sealed_lease)
SYSTEM = about_experiment("experiment/system-details", API.experiment_system_details, sealed_lease)
PARAMETERS = about_experiment("experiment/parameters", API.experiment_parameters, sealed_lease)
OTHERS = about_experiment("experiment/log-other", API.experiment_other)
SUMMARY = about_experiment("experiment/metrics/summary", API.experiment_metrics_summary, sealed_lease)
ASSETS = about_experiment("experiment/asset/list", API.experiment_assets)
ASSET = Stream(
    "experiment/asset/get-asset",
    lambda api, at: api.stream_asset(key(at), at.item["assetId"]),
    lambda at: at.item,
    (ASSETS,),
    parts=lambda api, at: api.asset_parts(key(at), at.item["assetId"]),
)
AHEAD_BYTES = 4 << 20
"""The biggest asset that is prefetched, in bytes."""


def at_namesake(at: Context) -> Context:
    """The place of all assets that are called as the one at `at`, of which each experiment has its own."""
    return replace(at, key=(key(at), at.item["fileName"]), item=at.item["fileName"])


async def _namesake(asker: Resolver, at: Context) -> None:
    whole = of_experiment(at)
    rows = [row for row in await asker.answer(ASSETS, whole) if row["fileName"] == at.item and not row["remote"]]
    for place in [at_asset(whole, row) for row in rows[:1]]:
        if (place.item["fileSize"] or 0) <= AHEAD_BYTES and not asker.has(ASSET, place):
            await asker.body(ASSET, place)


NAMESAKE = Source("an experiment's asset of that name", _namesake, experiment_lease, kept=False, of=(ASSETS, ASSET))
"""Only prefetched: a program that reads `*/assets/model.json` finds the next ones on disk. Costs the list, and the
asset."""
GIT = about_experiment("experiment/git/metadata", API.experiment_git_metadata, sealed_lease)
PATCH = about_experiment("experiment/git/patch", API.experiment_git_patch, sealed_lease)
PROJECT = Source("project", lambda asker, at: asker.api.project_metadata(project_id(at)), listing_lease)


async def _image_rows(asker: Resolver, at: Context) -> list[Any]:
    return [image(key(at), row) for row in await asker.answer(ASSETS, at) if row["type"] == "image"]


IMAGE_ROWS = Source("images among the assets", _image_rows, experiment_lease, kept=False, of=(ASSETS,))
"""Comet's own list of images is that of assets of this type: no call of its own."""


async def _archived(asker: Resolver, at: Context) -> list[Any]:
    return in_order(await asker.api.experiments_by_project_id(project_id(at), archived=True))


ARCHIVED = Source("experiments?archived=true", _archived, listing_lease)


async def _own_chart(asker: Resolver, at: Context) -> Any:
    summary = await asker.answer(SUMMARY, at)
    return await asker.api.experiment_metrics_for_chart([key(at)], [row["name"] for row in summary])


OWN_CHART = Source(
    "experiments/multi-metric-chart of one",
    _own_chart,
    sealed_lease,
    of=(SUMMARY,),
    needs=lambda _known, at: Needs(1, [(SUMMARY, at)]),
)


# -- Sources made of others --------------------------------------------------------------------------------------------


class Named(NamedTuple):
    """An experiment of a project, with the name of its directory."""

    directory: str
    row: Row

    @property
    def state(self) -> str | None:
        """See `state_of`."""
        return state_of(self.row)

    @property
    def beside(self) -> int:
        """Bytes that it takes beside the row, which its listing holds."""
        return 150


def directories(rows: Sequence[Row]) -> list[names.Path]:
    """The names of experiments' directories in their project."""
    found = names.of_keyed([(row["experimentName"] or "", row["experimentKey"]) for row in rows])
    return names.apart_from(PROJECT_NAMES.__contains__, found)


async def _named(asker: Resolver, at: Context) -> list[Named]:
    rows = await asker.answer(EXPERIMENTS, at)
    return [Named(path[0], row) for path, row in zip(directories(rows), rows, strict=True)]


NAMED = Source("experiments by directory", _named, listing_lease, kept=False, of=(EXPERIMENTS,))


async def _with_state(asker: Resolver, at: Context) -> list[Named]:
    async def known(one: Named) -> Named:
        if one.row["running"] is not None:
            return one
        return Named(one.directory, await asker.answer(METADATA, at_experiment(at, one.row)))

    return await each_of(await asker.answer(NAMED, at), known)


def _state_needs(known: Known, at: Context) -> Needs:
    unknown = [row for row in known.known(EXPERIMENTS, at) or () if row["running"] is None]
    return Needs(0, [(NAMED, at), *((METADATA, at_experiment(at, row)) for row in unknown)])


STATES = Source(
    "experiments with their state",
    _with_state,
    listing_lease,
    kept=False,
    of=(NAMED, METADATA),
    needs=_state_needs,
)
"""Costs nothing more than the listing where that tells the state; on older servers the metadata of each experiment."""


PATIENCE = 10.0
"""Seconds without a sign of an answer after which another question is tried: a third of a program's deadline."""


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, where there is another way that is better than to wait for longer."""
    with patience(PATIENCE):
        return await ask()


ABREAST = 8
"""Questions of one table that are asked at once: the other connections are for readers that wait for something else."""


TOLERATED = 16
"""Places of a table that may fail before it is looked whether more are answered: an outage is not waited for a thousand
times."""


def tolerate(failed: Failed | None, place: Place, error: CometFSError, answered: int) -> None:
    """Notes why a place could not be had, where so many others were. Raises `error` where none may fail, or where it is
    the server or the network, and not that place."""
    if failed is None or isinstance(error, NO_OTHER_WAY) or len(failed) >= max(TOLERATED, answered):
        raise error
    failed[place] = error


async def each_of(
    items: Iterable[Any], ask: Callable[[Any], Awaitable[Any]], abreast_at_most: int = ABREAST
) -> list[Any]:
    """What `ask` says of every item, in their order, so many at a time.

    The first error ends it all, and comes out as itself.
    """
    left = list(items)
    found: list[Any] = [None] * len(left)
    failed: list[CometFSError] = []
    turns = iter(range(len(left)))

    async def work() -> None:
        try:
            for index in turns:
                found[index] = await ask(left[index])
        except CometFSError as error:
            failed.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        # No task for each item: a project has tens of thousands of them.
        for _ in range(min(abreast_at_most, len(left))):
            nursery.start_soon(work)
    if failed:
        raise failed[0]
    return found
