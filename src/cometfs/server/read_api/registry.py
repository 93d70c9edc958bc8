"""Questions about models: those of an experiment, and those of a workspace's registry.

Not here: what is registered (`catalog.registry`); zips of files (`downloads`).
"""

from __future__ import annotations

from typing import Any

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.catalog.registry import RegistryModel, RegistryVersion, model_assets
from cometfs.server.errors import NO_SUCH_MODEL, ApiError
from cometfs.server.read_api import serializers
from cometfs.server.request import Request
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.values import text_of

ALLOWED_STATUS = ["None", "Development", "Staging", "QA", "Production"]
"""Comet's own, unless a workspace says otherwise."""


# -- of an experiment --------------------------------------------------------------------------------------------------


def models(request: Request) -> Any:
    """``experiment/model``."""
    experiment = request.experiment()
    names = sorted({asset.model for asset in experiment.record.assets.values() if asset.model is not None})
    return {"models": [_model_row(request, experiment, name) for name in names]}


def assets(request: Request) -> Any:
    """``experiment/model/asset/list``."""
    experiment = request.experiment()
    found = model_assets(experiment.record, request.text("modelName"))
    return {"assets": [serializers.asset_row(experiment, asset, request.base_url, request.api_key) for asset in found]}


def _model_row(request: Request, experiment: ServedExperiment, name: str) -> dict[str, Any]:
    records = [
        {"registryModelId": model.id, "registryModelName": model.name, "version": version.number}
        for model in request.index.registry.models.values()
        for version in model.versions
        if version.experiment is experiment and version.asked.model_name == name
    ]
    return _model_of(experiment, name) | {"registryRecords": records}


def _model_of(experiment: ServedExperiment, name: str) -> dict[str, Any]:
    return {
        "experimentModelId": derived_id("model", experiment.key, name),
        "experimentKey": experiment.key,
        "modelName": name,
    }


# -- of the registry ---------------------------------------------------------------------------------------------------


def registered(request: Request) -> Any:
    """``registry-model``."""
    return {"registryModels": [_summary(model) for model in request.index.registry.of(request.workspace())]}


def count(request: Request) -> Any:
    """``registry-model/count``."""
    return {"registryModelCount": len(request.index.registry.of(request.workspace()))}


def details(request: Request) -> Any:
    """``registry-model/details``."""
    found = model(request)
    return _summary(found) | {"versions": [_version_row(request, version) for version in found.versions]}


def compact(request: Request) -> Any:
    """``registry-model/compact-details``: no files."""
    found = model(request)
    return _summary(found) | {"versions": [_item(version) for version in found.versions]}


def items(request: Request) -> Any:
    """``registry-model/items``: the versions that have a tag, a status and the beginning of a number."""
    tag, status, prefix = (request.query.get(name) for name in ("tag", "status", "versionPrefix"))
    return {
        "items": [
            _item(one)
            for one in model(request).versions
            if (not tag or tag in (one.asked.tags or ()))
            and (not status or status == one.asked.status)
            and (not prefix or f"{one.number}.".startswith(f"{prefix.rstrip('.')}."))
        ]
    }


def item_details(request: Request) -> Any:
    """``registry-model/item/details``."""
    return _version_row(request, version(request))


def latest(request: Request) -> Any:
    """``registry-model/latest_version``, of a stage or of a major and a minor number if these are given."""
    stage = request.query.get("stage")
    numbers = [request.query.get("versionMajor"), request.query.get("versionMinor")]
    prefix = ".".join(one for one in numbers if one)
    for one in model(request).versions:
        if f"{one.number}.".startswith(prefix and f"{prefix}.") and (not stage or stage in (one.asked.stages or ())):
            return _version_row(request, one)
    raise ApiError(404, "there is no such version", NO_SUCH_MODEL)


def instructions(request: Request) -> Any:
    """``registry-model/item/download-instructions``: from here, not from a storage."""
    return {"versions": [_version_row(request, version(request))], "s3DownloadEnabled": False}


def notes(request: Request) -> Any:
    """``registry-model/notes``: archives have none."""
    model(request)
    return {"notes": ""}


def item_metadata(request: Request) -> Any:
    """``registry-model/item/<id>/metadata``."""
    identity = request.text("item")
    found = request.index.registry.items.get(identity)
    if found is None:
        raise ApiError(404, f"registry model item {identity} does not exist", NO_SUCH_MODEL)
    facts = found.asked.metadata or {}
    return {"metadata": [{"key": key, "value": text_of(value)} for key, value in facts.items()]}


def model(request: Request) -> RegistryModel:
    """The registered model of ``workspaceName`` and ``modelName``."""
    name = request.text("modelName")
    found = request.index.registry.named(request.workspace(), name)
    if found is None:
        raise ApiError(404, f"registry model {name} does not exist", NO_SUCH_MODEL)
    return found


def version(request: Request) -> RegistryVersion:
    """The version that ``version`` or ``stage`` names, the newest where neither is given."""
    found, number, stage = model(request), request.query.get("version"), request.query.get("stage")
    newest = found.at_stage(stage) if stage else found.versions[0]
    one = found.version(number) if number else newest
    if one is None:
        raise ApiError(404, f"registry model {found.name} has no {number or stage}", NO_SUCH_MODEL)
    return one


def _summary(found: RegistryModel) -> dict[str, Any]:
    times = [one.created_at for one in found.versions]
    descriptions = [one.asked.description for one in found.versions if one.asked.description]
    return {
        "registryModelId": found.id,
        "modelName": found.name,
        "description": descriptions[0] if descriptions else None,
        "isPublic": any(one.asked.public for one in found.versions),
        "numberOfVersions": len(found.versions),
        "userName": serializers.LOCAL_USER,
        "createdAt": min(times),
        "lastUpdated": max(times),
    }


def _item(found: RegistryVersion) -> dict[str, Any]:
    asked = found.asked
    return {
        "registryModelItemId": found.id,
        "experimentKey": found.experiment.key,
        "experimentModel": _model_of(found.experiment, asked.model_name) | {"experimentModelName": asked.model_name},
        "version": found.number,
        "comment": asked.comment,
        "stages": asked.stages or [],
        "status": asked.status or ALLOWED_STATUS[0],
        "tags": asked.tags or [],
        "userName": serializers.LOCAL_USER,
        "createdAt": found.created_at,
        "lastUpdated": found.created_at,
    }


def _version_row(request: Request, found: RegistryVersion) -> dict[str, Any]:
    address = f"{request.base_url}api/rest/v2/registry-model/item/download"
    rows = [
        serializers.asset_row(found.experiment, asset, request.base_url, request.api_key) for asset in found.assets()
    ]
    return _item(found) | {"assets": rows, "restApiUrl": address}
