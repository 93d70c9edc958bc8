"""Endpoints that put models into a workspace's registry, and change what is there.

Every one of them is a line in the archive of the experiment that registered the version; a later line about the same
version says it anew. A tool that uploads such an archive registers the version with the first of them, and is refused
the others.

Not here: what is registered (`catalog.registry`), questions about it (`read_api.registry`).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.catalog.registry import FIRST, RegistryVersion, registry_name
from cometfs.server.errors import INVALID_VERSION, NO_SUCH_MODEL, ApiError
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.schema import RegisterModel
from cometfs.server.write_api import payloads as b

_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}([-+][0-9A-Za-z.+-]{1,100})?")


class _Create(b.LogBody):
    experiment_model_name: str
    registry_model_name: str | None = None
    registry_model_description: str | None = None
    version: str | None = None
    version_comment: str | None = None
    tags: list[str] | None = None
    status: str | None = None
    public_model: bool | None = None


class _CreateById(msgspec.Struct, rename="camel"):
    experiment_model_id: str
    registry_model_name: str | None = None
    description: str | None = None
    version: str | None = None
    comment: str | None = None
    stages: list[str] | None = None
    public: bool | None = msgspec.field(name="isPublic", default=None)


class _Fact(msgspec.Struct):
    key: str
    value: Any = None


class _VersionFacts(msgspec.Struct):
    metadata: list[_Fact]


class _VersionStatus(msgspec.Struct, rename="camel"):
    model_item_id: str
    status: str


def _create(request: Request) -> Any:
    """``write/registry-model/item/create``; the same once more is no second version."""
    asked: _Create = request.logged(_Create)
    experiment = request.experiment(asked.experiment_key, status=400)
    _check_version(asked.version)
    payload = RegisterModel(
        model_name=asked.experiment_model_name,
        registry_name=asked.registry_model_name,
        workspace=experiment.project.workspace,
        version=asked.version,
        public=bool(asked.public_model),
        description=asked.registry_model_description,
        comment=asked.version_comment,
        status=asked.status,
        tags=asked.tags or [],
    )
    return _register(request, experiment, payload)


def _create_by_id(request: Request) -> Any:
    """``write/registry-model`` and ``write/registry-model/item``, by which Java's client registers: a model is known
    by its id alone.
    """
    asked: _CreateById = request.logged(_CreateById)
    experiment, name = _logged_model(request, asked.experiment_model_id)
    _check_version(asked.version)
    payload = RegisterModel(
        model_name=name,
        registry_name=asked.registry_model_name,
        workspace=experiment.project.workspace,
        version=asked.version,
        public=bool(asked.public),
        description=asked.description,
        comment=asked.comment,
        tags=[],
        stages=asked.stages,
    )
    return _register(request, experiment, payload)


def _logged_model(request: Request, identity: str) -> tuple[ServedExperiment, str]:
    for experiment in request.index.experiments.values():
        names = {
            asset.model for asset in experiment.record.assets.values() if asset.model and not experiment.is_replica
        }
        for name in names:
            if derived_id("model", experiment.key, name) == identity:
                return experiment, name
    raise ApiError(404, f"there is no model {identity[:60]!r} of an experiment")


def _check_version(version: str | None) -> None:
    if version is not None and not _VERSION.fullmatch(version):
        raise ApiError(400, f"{version[:60]!r} is no version of a model", INVALID_VERSION)


def _register(request: Request, experiment: ServedExperiment, payload: RegisterModel) -> Any:
    payload.registry_name = registry_name(payload)
    model = request.index.registry.named(experiment.project.workspace, payload.registry_name)
    payload.version = payload.version or (model.next() if model else FIRST)
    taken = model.version(payload.version) if model else None
    if taken and (taken.experiment is not experiment or taken.asked.model_name != payload.model_name):
        raise ApiError(400, f"version {payload.version} of the model {payload.registry_name} is registered already")
    if taken is None:
        _log(request, experiment.key, payload)
    return _answer(request, experiment.project.workspace, payload)


def _set_metadata(request: Request) -> Any:
    """``write/registry-model/item/<id>/metadata``: what is not named stays."""
    found, asked = _item(request, request.text("item")), request.logged(_VersionFacts)
    facts = {fact.key: fact.value for fact in asked.metadata}
    return _amend(request, found, metadata=(found.asked.metadata or {}) | facts)


def _set_status(request: Request) -> Any:
    asked: _VersionStatus = request.logged(_VersionStatus)
    return _amend(request, _item(request, asked.model_item_id), status=asked.status)


def _add_stage(request: Request) -> Any:
    """``write/registry-model/item/stage``, a GET. What was a stage once is called a tag today."""
    found, stage = _item(request, request.text("modelItemId")), request.text("stage")
    return _amend(request, found, tags=[*(tag for tag in found.asked.tags or [] if tag != stage), stage])


def _drop_stage(request: Request) -> Any:
    """``write/registry-model/item/stage/delete``, a GET."""
    found, stage = _item(request, request.text("modelItemId")), request.text("stage")
    kept = [[one for one in words or [] if one != stage] for words in (found.asked.tags, found.asked.stages)]
    return _amend(request, found, tags=kept[0], stages=kept[1])


def _amend(request: Request, found: RegistryVersion, **changes: Any) -> Any:
    asked = msgspec.structs.replace(
        found.asked, version=found.number, workspace=_workspace(found), registry_name=registry_name(found.asked)
    )
    _log(request, found.experiment.key, msgspec.structs.replace(asked, **changes))
    return DONE


def _log(request: Request, key: str, payload: RegisterModel) -> None:
    fields = {
        name: getattr(payload, name) for name in payload.__struct_fields__ if name not in ("local_timestamp", "context")
    }
    request.journal.log(key, [("register_model", fields | {"experiment_id": key, "status_configuration": None})])


def _answer(request: Request, workspace: str, payload: RegisterModel) -> Any:
    model = request.index.registry.named(workspace, registry_name(payload))
    assert model is not None
    version = model.version(payload.version or "")
    assert version is not None
    return {"registryModelId": model.id, "registryModelItemId": version.id}


def _workspace(found: RegistryVersion) -> str:
    return found.asked.workspace or found.experiment.project.workspace


def _item(request: Request, identity: str) -> RegistryVersion:
    found = request.index.registry.items.get(identity)
    if found is None:
        raise ApiError(404, f"registry model item {identity[:60]} does not exist", NO_SUCH_MODEL)
    return found


POSTED: dict[str, Endpoint] = {
    "write/registry-model/item/create": _create,
    "write/registry-model": _create_by_id,
    "write/registry-model/item": _create_by_id,
    "write/registry-model/item/status": _set_status,
    "write/registry-model/item/{item}/metadata": _set_metadata,
}

BY_GET: dict[str, Endpoint] = {
    "write/registry-model/item/stage": _add_stage,
    "write/registry-model/item/stage/delete": _drop_stage,
}
