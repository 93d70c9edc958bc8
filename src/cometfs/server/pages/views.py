"""Pages of what the catalog has: workspaces, projects, experiments. From things of the catalog to bytes of a page.

Everything may read archives and blocks. Not here: what asks, and whether it may (`site`), pictures and downloads
(`files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cometfs.render.pages.experiment import ShownAsset, ShownExperiment, ShownMetric, assets_html, experiment_html
from cometfs.render.pages.lists import ShownPlace, places_html
from cometfs.render.pages.overview import OverviewRow, served_overview
from cometfs.render.pages.template import Served
from cometfs.server import addresses
from cometfs.server.addresses import address
from cometfs.server.catalog.catalog import Catalog
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.pages import files
from cometfs.server.read_api import histograms, serializers
from cometfs.server.runs import content
from cometfs.server.runs.record import LoggedAsset, RunRecord

SOON, LATER = 10, 30
"""Seconds after which a page with running experiments is asked for again: of one of them, of many."""

UNHURRIED = 20
"""So many rows of a table make that a second longer: a table of thousands takes seconds to make."""

TAIL = 64 << 10
"""Letters of the output that a page has."""

LONGEST_CODE = 256 << 10
"""Letters of a script that is shown; of a longer one there is a link."""

Trail = Sequence[tuple[str, str]]

START = ("Workspaces", addresses.HOME)


def home(index: Catalog, logout: bool) -> bytes:
    """The workspaces."""
    found = {name: index.projects_of(name) for name in index.workspaces()}
    places = [
        _place(name, address(name), projects, ", ".join(one.name for one in projects[:9]))
        for name, projects in found.items()
    ]
    note = "" if index.projects else "Nothing is logged yet: what comet_ml logs to this address appears here."
    return places_html("Workspaces", "workspace", places, _served([], places, logout), note)


def workspace(index: Catalog, name: str, logout: bool) -> bytes:
    """The projects of a workspace."""
    found = index.projects_of(name)
    places = [_place(one.name, address(name, one.name), [one], one.about.description or "") for one in found]
    return places_html(name, "project", places, _served([START], places, logout))


def _served(trail: Trail, places: Iterable[ShownPlace], logout: bool) -> Served:
    return Served(trail, LATER * any(place.running for place in places), logout)


def _place(name: str, link: str, projects: Sequence[ServedProject], about: str) -> ShownPlace:
    found = [one for project in projects for one in project.experiments]
    updated = max((one.record.end or 0 for one in found), default=0)
    running = sum(one.running for one in found)
    return ShownPlace(name, link, about[:200], len(found), running, updated or None)


def project(found: ServedProject, logout: bool, *, archived: bool = False) -> bytes:
    """The experiments of a project, those that are archived or the others, the latest first."""
    home = address(found.workspace, found.name)
    shown = [one for one in reversed(list(found.experiments)) if one.record.archived == archived]
    trail = [START, (found.workspace, address(found.workspace)), *([(found.name, home)] if archived else [])]
    others = 0 if archived else sum(one.record.archived for one in list(found.experiments))
    more = [(f"{others:,} archived", address(found.workspace, found.name, addresses.ARCHIVED))] if others else []
    return served_overview(
        serializers.project_row(found),
        list(map(_row, shown)),
        [] if archived else files.charts_of(found),
        lambda key, file: address(found.workspace, found.name, key, *filter(None, [file])),
        Served(trail, (LATER + len(shown) // UNHURRIED) * any(one.running for one in shown), logout, more),
    )


def _row(one: ServedExperiment) -> OverviewRow:
    row, record = serializers.experiment_row(one), one.record
    return OverviewRow(
        one.name or one.key,
        one.key,
        one.key,
        state_of(one),
        record.start,
        row["durationMillis"],
        sorted(record.tags),
        {name: value.text for name, value in record.parameters.items()},
        {name: series.summary.current.text for name, series in record.metrics.items()},
        [files.OUTPUT] if record.lines.get("output") else [],
    )


def state_of(one: ServedExperiment) -> str:
    return "running" if one.running else "crashed" if one.crashed else "finished"


def experiment(one: ServedExperiment, logout: bool) -> bytes:
    """All of an experiment, of its output the end."""
    served = Served(_trail(one), SOON * one.running, logout)
    return experiment_html(_shown(one), served)


def assets(one: ServedExperiment, logout: bool) -> bytes:
    """All its assets."""
    return assets_html(_shown(one), Served([*_trail(one), (one.name or one.key, address_of(one))], 0, logout))


def address_of(one: ServedExperiment, *names: str) -> str:
    return address(one.project.workspace, one.project.name, one.key, *names)


def _trail(one: ServedExperiment) -> Trail:
    place = one.project
    return [
        START,
        (place.workspace, address(place.workspace)),
        (place.name, address(place.workspace, place.name)),
    ]


def _shown(one: ServedExperiment) -> ShownExperiment:
    record = one.record
    row = serializers.experiment_row(one)
    output, is_cut = content.output_tail(record, TAIL)
    code = content.code(record) or ""
    return ShownExperiment(
        one.name or "",
        one.key,
        state_of(one),
        address_of(one),
        record.start,
        row["durationMillis"],
        record.archived,
        sorted(record.tags),
        list(_facts(row, record)),
        list(_metrics(one, record)),
        [(name, value.text) for name, value in sorted(record.parameters.items())],
        [(name, value.text) for name, value in sorted(record.others.items()) if name != "Name"],
        output,
        is_cut,
        code if len(code) <= LONGEST_CODE else "",
        [(name, address_of(one, name)) for name in files.texts_of(record)],
        [_asset(one, asset) for asset in histograms.all_assets(one)],
    )


def _facts(row: dict[str, Any], record: RunRecord) -> Iterator[tuple[str, str]]:
    system, git = content.system_details(record), content.git_metadata(record)
    found = {
        "key": row["experimentKey"],
        "user": row["userName"],
        "file": record.file_path,
        "machine": system["hostname"],
        "system": system["os"],
        "Python": system["pythonVersion"],
        "branch": git["branch"],
        "commit": git["parent"],
    }
    return ((name, str(value)) for name, value in found.items() if value)


def _metrics(one: ServedExperiment, record: RunRecord) -> Iterator[ShownMetric]:
    for name, series in sorted(record.metrics.items()):
        current = series.summary.current
        step = "" if current.step is None else str(current.step)
        picture = files.plot_address(one, name)
        yield ShownMetric(name, current.text, series.summary.low.text, series.summary.high.text, step, picture)


def _asset(one: ServedExperiment, asset: LoggedAsset) -> ShownAsset:
    step = "" if asset.step is None else str(asset.step)
    name = asset.name or asset.id
    if asset.link is not None:
        is_web = asset.link.lower().startswith(("https://", "http://"))
        return ShownAsset(name, asset.link if is_web else "", asset.type, 0, step, asset.link)
    link = address_of(one, "assets", asset.id, asset.name.rpartition("/")[2] or asset.id)
    return ShownAsset(name, link, asset.type, asset.size, step, image=files.is_picture(asset))
