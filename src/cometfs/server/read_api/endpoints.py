"""One function per question of Comet's REST API, version 2: from a `Request` to the value that becomes the
answer's JSON.

``IN_MEMORY`` holds what the catalog alone answers, ``FROM_DISK`` what reads archives and so runs in a thread,
``POSTED`` what comes with a body. An endpoint is added by adding its line.

Not here: HTTP and keys (`http`), requests (`server.request`); bytes of assets (`downloads`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.errors import ApiError
from cometfs.server.read_api import artifacts, full_metrics, histograms, query, registry, serializers
from cometfs.server.read_api.charts import ChartQuestion, chart
from cometfs.server.read_api.columns import columns
from cometfs.server.request import Endpoint, Request
from cometfs.server.runs import content
from cometfs.server.runs.record import LoggedAsset

PAGE_SIZE = 100
"""How many experiments a page has when a client asks for a page and not for a size."""


def _account(request: Request) -> Any:
    return {"userName": serializers.LOCAL_USER, "defaultWorkspaceName": request.index.default_workspace()}


def _projects(request: Request) -> Any:
    return {
        "projects": [serializers.project_row(project) for project in request.index.projects_of(request.workspace())]
    }


def _experiments(request: Request) -> Any:
    """Without ``archived`` only live ones; without ``page`` and ``size`` all of them in one answer."""
    archived = request.flag("archived", False)
    found = [one for one in request.project().experiments if one.record.archived == archived]
    rows = [serializers.experiment_row(one) for one in _page(request, _sorted(request, found))]
    return {"experiments": rows}


def _sorted(request: Request, found: list[ServedExperiment]) -> list[ServedExperiment]:
    """By start unless ``sortBy`` says ``endTime``; ascending unless ``sortOrder`` says ``desc``."""
    by = request.query.get("sortBy", "startTime")
    if by not in ("startTime", "endTime"):
        raise ApiError(400, f"sortBy must be startTime or endTime, not {by!r}")

    def time_of(experiment: ServedExperiment) -> int:
        return (experiment.record.end if by == "endTime" else experiment.record.start) or 0

    return sorted(found, key=time_of, reverse=request.query.get("sortOrder", "asc").lower() == "desc")


def _page(request: Request, found: list[ServedExperiment]) -> list[ServedExperiment]:
    page, size = request.number("page", None), request.number("size", None)
    if page is None and size is None:
        return found
    page, size = page or 1, size or PAGE_SIZE
    return found[(page - 1) * size : page * size]


def _points(request: Request) -> Any:
    # comet_ml logs, and lists, a metric whose name is the empty text; missing is only a name that is not there.
    name = "" if request.query.get("metricName") == "" else request.text("metricName")
    return {"metrics": content.points(request.record(), name)}


def _all_points(request: Request) -> Any:
    record = request.record()
    return {"metrics": [point for name in record.metrics for point in content.points(record, name)]}


def _assets(request: Request) -> Any:
    wanted = request.query.get("type") or "all"
    if wanted == full_metrics.TYPE:
        return {"assets": full_metrics.rows(request.experiment(), request.base_url)}
    wanted = "image" if wanted == "visualization" else wanted
    return _asset_rows(request, histograms.all_assets(request.experiment(), wanted))


def _assets_by_name(request: Request) -> Any:
    name, kind = request.text("assetName"), request.query.get("type") or "all"
    found = histograms.all_assets(request.experiment(), kind)
    return _asset_rows(request, (asset for asset in found if asset.name == name))


def _asset_rows(request: Request, assets: Iterable[LoggedAsset]) -> Any:
    experiment = request.experiment()
    return {"assets": [serializers.asset_row(experiment, asset, request.base_url, request.api_key) for asset in assets]}


def _system_details(request: Request) -> Any:
    experiment = request.experiment()
    return {"experimentKey": experiment.key} | content.system_details(experiment.record)


def _query(request: Request) -> Any:
    asked: query.Query = request.json(query.Query)
    found = _found(request.about(asked.place()).project(), asked.tree(), asked.archived)
    return {"experimentKeys": [one.key for one in found]}


def _search(request: Request) -> Any:
    asked: query.Search = request.json(query.Search)
    project = request.about({"projectId": asked.project_id or ""}).project()
    found = _found(project, asked.rules_tree or query.Rule(rules=[]), bool(asked.deleted))
    size, page = asked.limit or PAGE_SIZE, asked.page or 1
    rows = found[(page - 1) * size : page * size]
    return {"experiments": [serializers.experiment_row(one) | query.columns_of(one) for one in rows]}


def _found(project: ServedProject, tree: query.Rule, archived: bool) -> list[ServedExperiment]:
    try:
        return query.found(project, tree, archived)
    except query.Unknown as exc:
        raise ApiError(400, str(exc)) from exc


class _StoreText(msgspec.Struct):
    store: str


def _save_store(request: Request) -> Any:
    request.panels.save(request.json(_StoreText).store)
    return {"msg": "Stored"}


IN_MEMORY: dict[str, Endpoint] = {
    "account-details": _account,
    "workspaces": lambda request: {"workspaceNames": request.index.workspaces()},
    "projects": _projects,
    "project": lambda request: serializers.project_row(request.project()),
    "project/notes": lambda request: {"notes": request.project().about.notes},
    "project/column-names": lambda request: {"columns": columns(request.project(), request.flag("archived", False))},
    "experiments": _experiments,
    "experiment/metadata": lambda request: serializers.experiment_row(request.experiment()),
    "experiment/tags": lambda request: {"tags": sorted(request.record().tags)},
    "experiment/parameters": lambda request: {"values": serializers.parameter_rows(request.record())},
    "experiment/metrics/summary": lambda request: {"values": serializers.summary_rows(request.record())},
    "experiment/log-other": lambda request: {"values": serializers.other_rows(request.experiment())},
    "experiment/asset/list": _assets,
    "experiment/asset/get-by-name": _assets_by_name,
    "experiment/model": registry.models,
    "experiment/model/asset/list": registry.assets,
    "registry-model": registry.registered,
    "registry-model/count": registry.count,
    "registry-model/details": registry.details,
    "registry-model/compact-details": registry.compact,
    "registry-model/items": registry.items,
    "registry-model/item/details": registry.item_details,
    "registry-model/item/download-instructions": registry.instructions,
    "registry-model/item/{item}/metadata": registry.item_metadata,
    "registry-model/latest_version": registry.latest,
    "registry-model/notes": registry.notes,
    "registry-model/allowed_status_values": lambda _: {"allowedStatus": registry.ALLOWED_STATUS},
    "artifacts/get-all": artifacts.all_of_workspace,
    "artifacts/get": artifacts.details,
    "artifacts/version": artifacts.version,
    "artifacts/version/files": artifacts.files,
    "get/artifacts": artifacts.lineage,
    "panel/store": lambda request: {"store": request.panels.load()},
}

FROM_DISK: dict[str, Endpoint] = {
    "experiment/html": lambda request: {"html": content.html(request.record())},
    "experiment/code": lambda request: {"code": content.code(request.record())},
    "experiment/output": lambda request: {"output": content.output(request.record())},
    "experiment/graph": lambda request: {"graph": content.graph(request.record())},
    "experiment/system-details": _system_details,
    "experiment/git/metadata": lambda request: content.git_metadata(request.record()),
    "experiment/metrics/get-metric": _points,
    "experiment/metrics/get-all": _all_points,
}

POSTED: dict[str, Endpoint] = {
    "project/query": _query,
    "experiments/search": _search,
    "experiments/multi-metric-chart": lambda request: chart(request.index, request.json(ChartQuestion)),
    "write/panel/store": _save_store,
}
