"""How a run begins and goes on: the handshakes of comet_ml.

Not here: what it logs then (`experiments`), experiments without a run (`manage`).
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from cometfs.server.addresses import address
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.errors import ApiError
from cometfs.server.request import Endpoint, Request
from cometfs.server.runs.schema import Number
from cometfs.server.storage.experiment_json import moment, now
from cometfs.text.numbers import whole_of

ALREADY_EXISTS = 90999
NOT_FOUND_TO_WRITE = 90210
"""Comet's numbers for an experiment that is there already, and for one that cannot be written to."""

LIMIT_MB = 100 << 10
"""How large files may be, as clients learn it, in MiB: what fits on the disk."""

FIRST_SDK = (3, 31, 5)
"""The first comet_ml that sends points over HTTP, if it is asked to; before, they went over a WebSocket alone."""

TOO_OLD = (
    "This server does not take runs of comet_ml {}: update it to {} or later, or log to an OfflineExperiment "
    "and put its archive into the server's directory."
)


class _Start(msgspec.Struct, rename="camel"):
    experiment_key: str
    project_name: str | None = None
    team_name: str | None = None
    local_timestamp: Number | None = msgspec.field(name="local_timestamp", default=None)
    lib_version: str | None = None
    get_or_create_enabled: bool | None = False
    offline: bool | None = False


class _Resume(msgspec.Struct, rename="camel"):
    previous_experiment: str
    lib_version: str | None = None


async def _add_run(request: Request) -> Any:
    """A client that got no answer asks again, with the same time: that is no second experiment."""
    asked: _Start = request.logged(_Start)
    if _is_too_old(asked.lib_version):
        return _farewell(asked.lib_version, uploads=bool(asked.offline))
    journal, key = request.journal, asked.experiment_key
    start = moment(asked.local_timestamp or now())
    known = journal.index.experiments.get(key)
    if known is None:
        return _handshake(request, journal.begin(key, asked.team_name, asked.project_name, start))
    if asked.get_or_create_enabled or known.record.start == start:
        return _handshake(request, journal.resume(key))
    if asked.offline and not known.is_replica and journal.is_incomplete(key):
        found = await trio.to_thread.run_sync(journal.known_of(key))
        if key in journal.index.experiments and journal.is_incomplete(key):  # still, after all that reading
            return _handshake(request, journal.complete(key, found))
    raise ApiError(400, f"experiment {key} already exists", ALREADY_EXISTS)


def _get_run(request: Request) -> Any:
    asked: _Resume = request.logged(_Resume)
    if _is_too_old(asked.lib_version):
        return _farewell(asked.lib_version)
    key = asked.previous_experiment
    request.experiment(key, status=400, sdk_error_code=NOT_FOUND_TO_WRITE)
    return _handshake(request, request.journal.resume(key))


def _is_too_old(version: str | None) -> bool:
    numbers = [whole_of(part) for part in (version or "").split(".")[:3]]
    return len(numbers) == 3 and tuple(-1 if number is None else number for number in numbers) < FIRST_SDK


def _farewell(version: str | None, *, uploads: bool = False) -> Any:
    """An answer without an experiment: the only one of which these clients show a sentence. Where they upload an
    archive they would go on, and show the sentence of an error.
    """
    message = TOO_OLD.format(version, ".".join(map(str, FIRST_SDK)))
    if uploads:
        raise ApiError(400, message)
    return {"runId": None, "ws_url": None, "project_id": None, "msg": message}


def _handshake(request: Request, experiment: ServedExperiment) -> Any:
    """`lastOffset` lets the numbers of pieces of output go on, so that each belongs to one piece. SDKs before 3.32 need
    the toggle, and an address of a WebSocket that they then do not connect to.
    """
    project = experiment.project
    return {
        "runId": experiment.key,
        "project_id": project.id,
        "focusUrl": f"{request.base_url.rstrip('/')}{address(project.workspace, project.name)}/",
        "lastOffset": len(experiment.record.lines.get("output", ())),
        "name": experiment.name,
        "upload_file_size_limit_in_mb": LIMIT_MB,
        "asset_upload_file_size_limit_in_mb": LIMIT_MB,
        "uploadVideoMaxSizeMB": LIMIT_MB,
        "featureToggles": [{"name": "sdk_use_http_messages", "enabled": True}],
        "ws_url": request.base_url,
        "s3DirectAccessEnabled": False,
    }


CLIENTLIB: dict[str, Endpoint] = {"logger/add/run": _add_run, "logger/get/run": _get_run}
"""POSTs below ``/clientlib/``."""
