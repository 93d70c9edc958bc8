"""Endpoints that manage projects and workspaces: create, describe, annotate, delete.

Not here: what is written (`storage.project_file`); experiments of a project (`manage`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.catalog.project import ServedProject
from cometfs.server.catalog.project_metadata import ProjectMetadata
from cometfs.server.errors import NO_PROJECT_NAME, NO_SUCH_WORKSPACE, ApiError
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.storage.project_file import drop_project, keep_project, keep_workspace


class _Workspace(msgspec.Struct):
    name: str


class _New(msgspec.Struct, rename="camel"):
    workspace_name: str
    project_name: str
    project_description: str | None = None
    is_public: bool | None = False


class _Place(msgspec.Struct, rename="camel", kw_only=True):
    """A project by its id or by its names."""

    project_id: str | None = None
    workspace_name: str | None = None
    project_name: str | None = None

    def found(self, request: Request) -> ServedProject:
        words = {
            "projectId": self.project_id,
            "workspaceName": self.workspace_name,
            "projectName": self.project_name,
        }
        return request.about({name: word for name, word in words.items() if word}).project()


class _Change(_Place, rename="camel", kw_only=True):
    new_project_name: str | None = None
    new_project_description: str | None = None
    is_public: bool | None = None


class _Notes(_Place, rename="camel", kw_only=True):
    notes: str | None


class _Deletion(_Place, rename="camel", kw_only=True):
    delete_all_experiments: bool | None = False


def _new_workspace(request: Request) -> Any:
    """``write/workspace/new``; one that is there already is no error."""
    asked: _Workspace = request.logged(_Workspace)
    name = asked.name
    _check_workspace(name)
    if name not in request.index.workspaces():
        keep_workspace(request.journal.path, request.index, name)
    return DONE


def _check_workspace(name: str) -> None:
    """Runs may be logged to one with a slash; nothing can be kept of it: its entries would be another's."""
    if not name:
        raise ApiError(400, "the name of the workspace is missing", NO_SUCH_WORKSPACE)
    if "/" in name:
        raise ApiError(400, f"a workspace's name has no slash: {name[:60]!r}")


def _create(request: Request) -> Any:
    """``write/project/create``. A client that got no answer asks again: that is no second project.

    What a hand wrote about one that is not there yet stays.
    """
    asked: _New = request.logged(_New)
    _check_workspace(asked.workspace_name)
    if not asked.project_name:
        raise ApiError(400, "projectName is missing", NO_PROJECT_NAME)
    place = asked.workspace_name, asked.project_name
    before = request.index.about.get(place) or ProjectMetadata()
    changes: dict[str, Any] = {
        "description": asked.project_description or before.description,
        "public": asked.is_public or before.public,
    }
    if before.created and any(getattr(before, name) != value for name, value in changes.items()):
        raise ApiError(400, f"the project {'/'.join(place)} is there already: write/project/update changes it")
    made = keep_project(request.journal.path, request.index, *place, **changes)
    return {"projectId": made.id}


def _update(request: Request) -> Any:
    """``write/project/update``: what is not given stays as it is."""
    asked: _Change = request.logged(_Change)
    found = asked.found(request)
    if asked.new_project_name not in (None, found.name):
        raise ApiError(400, "a project keeps its name here: create another one, and move its experiments")
    given = {"description": asked.new_project_description, "public": asked.is_public}
    return _kept(request, found, {name: value for name, value in given.items() if value is not None})


def _annotate(request: Request) -> Any:
    """``write/project/notes``."""
    asked: _Notes = request.logged(_Notes)
    return _kept(request, asked.found(request), {"notes": asked.notes})


def _kept(request: Request, found: ServedProject, changes: dict[str, Any]) -> Any:
    _check_workspace(found.workspace)
    keep_project(request.journal.path, request.index, found.workspace, found.name, **changes)
    return DONE | {"projectId": found.id}


def _delete(request: Request) -> Any:
    """``write/project/delete``. A server that is killed meanwhile leaves the project, with what it has left."""
    asked: _Deletion = request.logged(_Deletion)
    found = asked.found(request)
    if found.experiments and not asked.delete_all_experiments:
        count = len(found.experiments)
        raise ApiError(400, f"the project {found.name} has {count} experiments: deleteAllExperiments deletes them, too")
    for experiment in [one for one in found.experiments if not one.is_replica]:
        request.journal.delete(experiment.key)
    drop_project(request.journal.path, request.index, found)
    return DONE


POSTED: dict[str, Endpoint] = {
    "write/workspace/new": _new_workspace,
    "write/project/create": _create,
    "write/project/update": _update,
    "write/project/notes": _annotate,
    "write/project/delete": _delete,
}
"""POSTs below ``/api/rest/v2/``."""
