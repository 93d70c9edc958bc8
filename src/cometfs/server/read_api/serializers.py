"""The shapes in which Comet answers about what the catalog has in memory.

Field names and their order are Comet's; what Comet has and archives do not (throttling, optimisations) is null or
false.

Not here: reading archives (`runs.content`), and requests (`endpoints`).
"""

from __future__ import annotations

from typing import Any

from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.runs.record import LoggedAsset, RunRecord
from cometfs.server.runs.values import Logged

LOCAL_USER = "local"
"""The user of this account: archives do not know Comet's users."""


def project_row(project: ServedProject) -> dict[str, Any]:
    """A project as in ``projects`` and ``project``."""
    return {
        "projectId": project.id,
        "projectName": project.name,
        "ownerUserName": LOCAL_USER,
        "projectDescription": project.about.description or "",
        "workspaceName": project.workspace,
        "numberOfExperiments": len(project.experiments),
        "lastUpdated": max((experiment.record.end or 0 for experiment in project.experiments), default=None),
        "public": project.about.public,
    }


def experiment_row(experiment: ServedExperiment) -> dict[str, Any]:
    """An experiment as in ``experiments`` and ``experiment/metadata``."""
    record, project = experiment.record, experiment.project
    path = record.file_path
    return {
        "experimentKey": experiment.key,
        "experimentName": experiment.name,
        "optimizationId": None,
        "userName": record.user or LOCAL_USER,
        "projectId": project.id,
        "projectName": project.name,
        "workspaceName": project.workspace,
        "filePath": path,
        "fileName": path.rsplit("/", 1)[-1] if path else None,
        "throttle": False,
        "throttleMessage": None,
        "throttleReasons": None,
        "durationMillis": max(0, (record.end or 0) - (record.start or record.end or 0)),
        "startTimeMillis": record.start,
        "endTimeMillis": record.end,
        "running": experiment.running,
        "hasCrashed": experiment.crashed,
        "archived": record.archived,
    }


def value_row(name: str, current: Logged, low: Logged, high: Logged) -> dict[str, Any]:
    """A parameter, an other or the summary of a metric."""
    row: dict[str, Any] = {"name": name}
    for suffix, value in (("Max", high), ("Min", low), ("Current", current)):
        row[f"value{suffix}"] = value.text
        row[f"timestamp{suffix}"] = value.timestamp
        row[f"runContext{suffix}"] = value.context
        row[f"step{suffix}"] = value.step
    return row | {"editable": False}


def parameter_rows(record: RunRecord) -> list[dict[str, Any]]:
    """The last value of every parameter, by name."""
    return [value_row(name, value, value, value) for name, value in sorted(record.parameters.items())]


def other_rows(experiment: ServedExperiment) -> list[dict[str, Any]]:
    """The last value of every other, by name; ``Name`` is the experiment's own, also for a replica."""
    rows = [value_row(name, value, value, value) for name, value in sorted(experiment.record.others.items())]
    for row in rows:
        if row["name"] == "Name" and experiment.name is not None:
            row.update(valueMax=experiment.name, valueMin=experiment.name, valueCurrent=experiment.name)
    return rows


def summary_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Last, least and greatest value of every metric, by name."""
    found = sorted((name, series.summary) for name, series in record.metrics.items())
    return [value_row(name, summary.current, summary.low, summary.high) for name, summary in found]


def asset_row(experiment: ServedExperiment, asset: LoggedAsset, base_url: str, key: str) -> dict[str, Any]:
    """An asset as in ``asset/list``; like Comet's own, `curlDownload` holds the API key of the request."""
    address = f"{base_url}api/rest/v2/experiment/asset/get-asset?experimentKey={experiment.key}&assetId={asset.id}"
    return {
        "fileName": asset.name,
        "fileSize": asset.size,
        "runContext": asset.context,
        "step": asset.step,
        "remote": asset.link is not None,
        "link": asset.link or address,
        "compressedAssetLink": None if asset.link else address,
        "s3Link": None,
        "createdAt": asset.created_at,
        "dir": _folder(asset),
        "canView": asset.type == "image",
        "audio": asset.type == "audio",
        "video": asset.type == "video",
        "histogram": asset.type.startswith("histogram"),
        "image": asset.type == "image",
        "type": asset.type,
        "metadata": asset.metadata,
        "assetId": asset.id,
        "tags": [],
        "curlDownload": f'curl "{asset.link or address}" -H "Authorization: {key}"',
        "experimentKey": experiment.key,
        "items": [item_row(experiment.record.assets[item]) for item in asset.items if item in experiment.record.assets],
        "etag": None,
    }


def item_row(asset: LoggedAsset) -> dict[str, Any]:
    """A member of a 3-D image, inside the image's own row."""
    return {"assetId": asset.id, "fileName": asset.name, "fileSize": asset.size, "type": asset.type}


def _folder(asset: LoggedAsset) -> str:
    """The folder in which Comet's pages show an asset; it is no part of its name."""
    if asset.model is not None:
        return f"models/{asset.model}"
    folders = {"image": "media", "audio": "media", "video": "media", "notebook": "notebooks"}
    return folders.get(asset.type, "others")
