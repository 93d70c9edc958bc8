"""Endpoints that manage experiments: archive, restore, move, delete, create one without a run.

All of it is kept in the ``experiment.json`` of an experiment's last part, see `storage.journal`; so an archive that was
put into the directory is never changed, and what was changed of it is in a folder beside.

Not here: what runs log (`experiments`); how folders go (`storage.deletion`).
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from cometfs.server.addresses import address
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.errors import NO_PROJECT_NAME, ApiError
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.storage.experiment_json import now


class _Move(msgspec.Struct, rename="camel"):
    experiment_keys: list[str]
    target_project_name: str
    target_workspace_name: str | None = None
    symlink: bool | None = False


class New(msgspec.Struct, rename="camel"):
    workspace_name: str | None = None
    project_name: str | None = None
    experiment_name: str | None = None


def _archive(request: Request) -> Any:
    return _set_archived(request, True)


def _restore(request: Request) -> Any:
    return _set_archived(request, False)


def _set_archived(request: Request, archived: bool) -> Any:
    experiment = request.experiment(writable=True)
    if experiment.record.archived != archived:
        request.journal.amend(experiment.key, lambda _: {"archived": archived})
        experiment.record.archived = archived
    return DONE


def _move(request: Request) -> Any:
    asked: _Move = request.logged(_Move)
    if asked.symlink:
        raise ApiError(400, "an experiment is in one project here: it can be moved, and not be linked")
    if not asked.target_project_name:
        raise ApiError(400, "targetProjectName is missing", NO_PROJECT_NAME)
    found = request.each(asked.experiment_keys, lambda key: request.experiment(key, writable=True), repr)
    for experiment in found:
        _put(request, experiment, asked.target_workspace_name, asked.target_project_name)
    return DONE


def _put(request: Request, experiment: ServedExperiment, workspace: str | None, project: str) -> None:
    place = {"workspace": workspace or experiment.project.workspace, "project_name": project}
    request.journal.amend(experiment.key, lambda _: place)
    request.index.move(experiment, place["workspace"], project)


def _delete(request: Request) -> Any:
    request.journal.delete(request.experiment(writable=True).key)
    return DONE


def _create(request: Request) -> Any:
    """An experiment without a run: it has ended as soon as it has begun."""
    asked: New = request.logged(New)
    key, start = uuid.uuid4().hex, now()
    made = request.journal.begin(key, asked.workspace_name, asked.project_name, start)
    if asked.experiment_name is not None:
        request.journal.log(key, [("log_other", {"key": "Name", "value": asked.experiment_name})])
    request.journal.end(key, start)
    return {
        "experimentKey": key,
        "name": asked.experiment_name,
        "link": link_of(request, made),
        "workspaceName": made.project.workspace,
        "projectName": made.project.name,
        "msg": "created",
        "code": 200,
    }


def link_of(request: Request, experiment: ServedExperiment) -> str:
    """The address of an experiment's page."""
    project = experiment.project
    return request.base_url.rstrip("/") + address(project.workspace, project.name, experiment.key)


BY_GET: dict[str, Endpoint] = {
    "write/experiment/archive": _archive,
    "write/experiment/restore": _restore,
    "write/experiment/delete": _delete,
}
"""GETs below ``/api/rest/v2/`` that change something: Comet has such."""

POSTED: dict[str, Endpoint] = {
    "write/experiment/move": _move,
    "write/experiment/create": _create,
}
