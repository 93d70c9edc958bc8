"""Calls that say what becomes of experiments: archived, restored, moved, deleted, made without a run.

What is said stands in the ``experiment.json`` of an experiment's last part, see `journal`; so an archive that somebody
put there is never changed, and what is said of it is in a folder beside.

Not here: what runs log (`experiments`); how folders go (`deletion`).
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from cometfs.server.catalog.project import Experiment
from cometfs.server.errors import NO_PROJECT_NAME, NO_SUCH_EXPERIMENT, NO_SUCH_WORKSPACE, Refusal
from cometfs.server.storage.experiment_json import now
from cometfs.server.write_api.request import DONE, Delivery, Endpoint


class _Move(msgspec.Struct, rename="camel"):
    experiment_keys: list[str]
    target_project_name: str
    target_workspace_name: str | None = None
    symlink: bool | None = False


class _New(msgspec.Struct, rename="camel"):
    workspace_name: str
    project_name: str | None = None
    experiment_name: str | None = None


def _archive(delivery: Delivery) -> Any:
    return _set_archived(delivery, True)


def _restore(delivery: Delivery) -> Any:
    return _set_archived(delivery, False)


def _set_archived(delivery: Delivery, archived: bool) -> Any:
    experiment = _experiment(delivery, delivery.key())
    if experiment.record.archived != archived:
        delivery.journal.amend(experiment.key, lambda _: {"archived": archived})
        experiment.record.archived = archived
    return DONE


def _move(delivery: Delivery) -> Any:
    """All of them or, where one is not there, none."""
    asked: _Move = delivery.json(_Move)
    if asked.symlink:
        raise Refusal(400, "an experiment is in one project here: it can be moved, and not be linked")
    if not asked.target_project_name:
        raise Refusal(400, "targetProjectName is missing", NO_PROJECT_NAME)
    found = [_experiment(delivery, key) for key in asked.experiment_keys]
    for experiment in found:
        _put(delivery, experiment, asked.target_workspace_name, asked.target_project_name)
    return DONE


def _put(delivery: Delivery, experiment: Experiment, workspace: str | None, project: str) -> None:
    place = {"workspace": workspace or experiment.project.workspace, "project_name": project}
    delivery.journal.amend(experiment.key, lambda _: place)
    delivery.journal.index.move(experiment, place["workspace"], project)


def _delete(delivery: Delivery) -> Any:
    delivery.journal.delete(_experiment(delivery, delivery.key()).key)
    return DONE


def _create(delivery: Delivery) -> Any:
    """An experiment without a run: it has ended as soon as it has begun."""
    asked: _New = delivery.json(_New)
    if not asked.workspace_name:
        raise Refusal(400, "workspaceName is missing", NO_SUCH_WORKSPACE)
    key, start = uuid.uuid4().hex, now()
    delivery.journal.begin(key, asked.workspace_name, asked.project_name, start)
    if asked.experiment_name is not None:
        delivery.journal.log(key, [("log_other", {"key": "Name", "value": asked.experiment_name})])
    delivery.journal.end(key, start)
    return {"experimentKey": key, "name": asked.experiment_name, "msg": "created", "code": 200}


def _experiment(delivery: Delivery, key: str) -> Experiment:
    found = delivery.journal.index.experiments.get(key)
    if found is None or found.is_replica:
        raise Refusal(404, f"experiment {key[:60]} does not exist", NO_SUCH_EXPERIMENT)
    return found


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
