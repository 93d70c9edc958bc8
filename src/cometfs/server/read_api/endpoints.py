"""One function per question of Comet's REST API, version 2: from an `Ask` to the value that becomes the answer's JSON.

``IN_MEMORY`` holds what the index alone answers, ``FROM_DISK`` what reads archives and so runs in a thread,
``POSTED`` what comes with a body. An endpoint is added by adding its line.

Not here: HTTP, keys, errors' shapes (`app`, `request`); bytes of assets (`downloads`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from cometfs.server.catalog.project import Experiment, Project
from cometfs.server.errors import Refusal
from cometfs.server.read_api import artifacts, full_metrics, query, registry, serializers
from cometfs.server.read_api.charts import ChartQuestion, chart
from cometfs.server.read_api.columns import columns
from cometfs.server.read_api.comparing import Unknown
from cometfs.server.read_api.request import Ask
from cometfs.server.runs import content
from cometfs.server.runs.record import Asset

Endpoint = Callable[[Ask], Any]

PAGE_SIZE = 100
"""How many experiments a page has when a client asks for a page and not for a size."""


def _account(ask: Ask) -> Any:
    return {"userName": serializers.LOCAL_USER, "defaultWorkspaceName": ask.index.default_workspace()}


def _projects(ask: Ask) -> Any:
    return {"projects": [serializers.project_row(project) for project in ask.index.projects_of(ask.workspace())]}


def _experiments(ask: Ask) -> Any:
    """Without ``archived`` only live ones; without ``page`` and ``size`` all of them in one answer."""
    archived = ask.flag("archived", False)
    found = [one for one in ask.project().experiments if one.record.archived == archived]
    rows = [serializers.experiment_row(one) for one in _page(ask, _sorted(ask, found))]
    return {"experiments": rows}


def _sorted(ask: Ask, found: list[Experiment]) -> list[Experiment]:
    """By start unless ``sortBy`` says ``endTime``; ascending unless ``sortOrder`` says ``desc``."""
    by = ask.query.get("sortBy", "startTime")
    if by not in ("startTime", "endTime"):
        raise Refusal(400, f"sortBy must be startTime or endTime, not {by!r}")

    def time_of(experiment: Experiment) -> int:
        return (experiment.record.end if by == "endTime" else experiment.record.start) or 0

    return sorted(found, key=time_of, reverse=ask.query.get("sortOrder", "asc").lower() == "desc")


def _page(ask: Ask, found: list[Experiment]) -> list[Experiment]:
    page, size = ask.number("page", None), ask.number("size", None)
    if page is None and size is None:
        return found
    page, size = page or 1, size or PAGE_SIZE
    return found[(page - 1) * size : page * size]


def _points(ask: Ask) -> Any:
    # comet_ml logs, and lists, a metric whose name is the empty text; missing is only a name that is not there.
    name = "" if ask.query.get("metricName") == "" else ask.text("metricName")
    return {"metrics": content.points(ask.record(), name)}


def _all_points(ask: Ask) -> Any:
    record = ask.record()
    return {"metrics": [point for name in record.metrics for point in content.points(record, name)]}


def _assets(ask: Ask) -> Any:
    wanted = ask.query.get("type") or "all"
    if wanted == full_metrics.TYPE:
        return {"assets": full_metrics.rows(ask.experiment(), ask.base_url)}
    wanted = "image" if wanted == "visualization" else wanted
    found = ask.record().assets.values()
    return _asset_rows(ask, (asset for asset in found if wanted in ("all", asset.type)))


def _assets_by_name(ask: Ask) -> Any:
    name, kind = ask.text("assetName"), ask.query.get("type") or "all"
    found = ask.record().assets.values()
    return _asset_rows(ask, (asset for asset in found if asset.name == name and kind in ("all", asset.type)))


def _asset_rows(ask: Ask, assets: Iterable[Asset]) -> Any:
    experiment = ask.experiment()
    return {"assets": [serializers.asset_row(experiment, asset, ask.base_url, ask.key) for asset in assets]}


def _system_details(ask: Ask) -> Any:
    experiment = ask.experiment()
    return {"experimentKey": experiment.key} | content.system_details(experiment.record)


def _query(ask: Ask) -> Any:
    asked: query.Query = ask.json(query.Query)
    found = _found(ask.about(asked.place()).project(), asked.tree(), asked.archived)
    return {"experimentKeys": [one.key for one in found]}


def _search(ask: Ask) -> Any:
    asked: query.Search = ask.json(query.Search)
    project = ask.about({"projectId": asked.project_id or ""}).project()
    found = _found(project, asked.rules_tree or query.Rule(rules=[]), bool(asked.deleted))
    size, page = asked.limit or PAGE_SIZE, asked.page or 1
    return {"experiments": [serializers.experiment_row(one) for one in found[(page - 1) * size : page * size]]}


def _found(project: Project, tree: query.Rule, archived: bool) -> list[Experiment]:
    try:
        return query.found(project, tree, archived)
    except Unknown as exc:
        raise Refusal(400, str(exc)) from exc


class _StoreText(msgspec.Struct):
    store: str


def _save_store(ask: Ask) -> Any:
    text = ask.json(_StoreText).store
    try:
        ask.panels.save(text)
    except OSError as exc:
        raise Refusal(507, f"the store cannot be written: {exc.strerror}") from exc
    return {"msg": "Stored"}


IN_MEMORY: dict[str, Endpoint] = {
    "account-details": _account,
    "workspaces": lambda ask: {"workspaceNames": ask.index.workspaces()},
    "projects": _projects,
    "project": lambda ask: serializers.project_row(ask.project()),
    "project/notes": lambda ask: {"notes": ask.project().notes},
    "project/column-names": lambda ask: {"columns": columns(ask.project(), ask.flag("archived", False))},
    "experiments": _experiments,
    "experiment/metadata": lambda ask: serializers.experiment_row(ask.experiment()),
    "experiment/tags": lambda ask: {"tags": sorted(ask.record().tags)},
    "experiment/parameters": lambda ask: {"values": serializers.parameter_rows(ask.record())},
    "experiment/metrics/summary": lambda ask: {"values": serializers.summary_rows(ask.record())},
    "experiment/log-other": lambda ask: {"values": serializers.other_rows(ask.experiment())},
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
    "registry-model/latest_version": registry.latest,
    "registry-model/notes": registry.notes,
    "registry-model/allowed_status_values": lambda _: {"allowedStatus": registry.ALLOWED_STATUS},
    "artifacts/get-all": artifacts.all_of_workspace,
    "artifacts/get": artifacts.details,
    "artifacts/version": artifacts.version,
    "artifacts/version/files": artifacts.files,
    "get/artifacts": artifacts.lineage,
    "panel/store": lambda ask: {"store": ask.panels.load()},
}

FROM_DISK: dict[str, Endpoint] = {
    "experiment/html": lambda ask: {"html": content.html(ask.record())},
    "experiment/code": lambda ask: {"code": content.code(ask.record())},
    "experiment/output": lambda ask: {"output": content.output(ask.record())},
    "experiment/graph": lambda ask: {"graph": content.graph(ask.record())},
    "experiment/system-details": _system_details,
    "experiment/git/metadata": lambda ask: content.git_metadata(ask.record()),
    "experiment/metrics/get-metric": _points,
    "experiment/metrics/get-all": _all_points,
}

POSTED: dict[str, Endpoint] = {
    "project/query": _query,
    "experiments/search": _search,
    "experiments/multi-metric-chart": lambda ask: chart(ask.index, ask.json(ChartQuestion)),
    "write/panel/store": _save_store,
}
