"""One function per call of an online experiment: from a `Delivery` to the value that becomes the answer's JSON.

``CLIENTLIB`` and ``WRITTEN`` are the two bases that comet_ml mixes. All run on the event loop, see `journal`.

Not here: files, which are uploaded; HTTP (`app`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from cometfs.server.catalog.project import Experiment
from cometfs.server.errors import Refusal
from cometfs.server.runs.liveness import BEATS
from cometfs.server.runs.schema import Number
from cometfs.server.storage.experiment_json import moment, now
from cometfs.server.storage.run_dir import Heading
from cometfs.server.write_api import payloads as b
from cometfs.server.write_api.request import DONE, Delivery, Endpoint

ALREADY_EXISTS = 90999
NOT_FOUND_TO_WRITE = 90210
"""Comet's numbers for an experiment that is there already, and for one that cannot be written to."""

LIMIT_MB = 100 << 10
"""How large files may be, as clients are told, in MiB: what fits on the disk."""

MOST = 100_000
"""Values of one request, which nobody else is served beside. comet_ml sends some thousand."""


class _Start(msgspec.Struct, rename="camel"):
    experiment_key: str
    project_name: str | None = None
    team_name: str | None = None
    local_timestamp: Number | None = msgspec.field(name="local_timestamp", default=None)
    get_or_create_enabled: bool | None = False
    offline: bool | None = False


class _Resume(msgspec.Struct, rename="camel"):
    previous_experiment: str


class _Status(msgspec.Struct):
    experiment_key: str = msgspec.field(name="experimentKey")
    is_alive: bool = True
    local_timestamp: Number | None = None


class _Times(b.Body):
    """Of ``offline-metadata`` and of ``set-start-end-time``, which have their own words for the same."""

    start_timestamp: Number | None = None
    end_timestamp: Number | None = None
    start_time_millis: Number | None = None
    end_time_millis: Number | None = None


class _Tags(b.Body):
    added_tags: list[str]


class _Untag(b.Body):
    tags: list[str]


class _System(b.Body):
    log_additional_system_info_list: list[Any] | None = None


class _State(b.Body):
    is_alive: bool | None = None
    error: str | None = None
    has_crashed: bool | None = None


def _add_run(delivery: Delivery) -> Any:
    """A client that got no answer asks again, with the same time: that is no second experiment."""
    asked: _Start = delivery.json(_Start)
    journal, key = delivery.journal, asked.experiment_key
    start = moment(asked.local_timestamp or now())
    known = journal.index.experiments.get(key)
    if known is None:
        return _handshake(delivery, journal.begin(key, asked.team_name, asked.project_name, start))
    if not asked.get_or_create_enabled and known.record.start != start:
        raise Refusal(400, f"experiment {key} already exists", ALREADY_EXISTS)
    return _handshake(delivery, journal.resume(key))


def _get_run(delivery: Delivery) -> Any:
    key = delivery.json(_Resume).previous_experiment
    if key not in delivery.journal.index.experiments:
        raise Refusal(400, f"experiment {key[:60]} does not exist", NOT_FOUND_TO_WRITE)
    return _handshake(delivery, delivery.journal.resume(key))


def _handshake(delivery: Delivery, experiment: Experiment) -> Any:
    """`lastOffset` lets the numbers of pieces of output go on, so that each belongs to one piece."""
    project = experiment.project
    return {
        "runId": experiment.key,
        "project_id": project.id,
        "focusUrl": f"{delivery.base_url}{project.workspace}/{project.name}/",
        "lastOffset": len(experiment.record.lines.get("output", ())),
        "name": experiment.name,
        "upload_file_size_limit_in_mb": LIMIT_MB,
        "asset_upload_file_size_limit_in_mb": LIMIT_MB,
        "uploadVideoMaxSizeMB": LIMIT_MB,
        "featureToggles": [],
        "s3DirectAccessEnabled": False,
    }


def _status(delivery: Delivery) -> Any:
    asked: _Status = delivery.json(_Status)
    sent = None if asked.local_timestamp is None else moment(asked.local_timestamp)
    if asked.is_alive:
        delivery.journal.beat(asked.experiment_key, sent)
    else:
        delivery.journal.end(asked.experiment_key, sent)
    every = int(delivery.journal.crashed_after * 1000 / BEATS)
    return {
        "is_alive_beat_duration_millis": every,
        "gpu_monitor_interval_millis": 60_000,
        "cpu_monitor_interval_millis": 60_000,
        "parameter_update_interval_millis": every,
        "pending_rpcs": False,
    }


def _times(delivery: Delivery) -> Any:
    """An archive that is uploaded tells when its run began and ended; one that is created by hand may."""
    asked: _Times = delivery.json(_Times)
    start, stop = asked.start_timestamp or asked.start_time_millis, asked.end_timestamp or asked.end_time_millis
    delivery.journal.retime(
        asked.experiment_key, None if start is None else moment(start), None if stop is None else moment(stop)
    )
    return DONE


def _add_tags(delivery: Delivery) -> Any:
    asked: _Tags = delivery.json(_Tags)
    return _tagged(delivery, asked.experiment_key, lambda tags: tags | dict.fromkeys(asked.added_tags))


def _untag(delivery: Delivery) -> Any:
    asked: _Untag = delivery.json(_Untag)
    gone = set(asked.tags)
    return _tagged(delivery, asked.experiment_key, lambda tags: {tag: None for tag in tags if tag not in gone})


def _tagged(delivery: Delivery, key: str, change: Callable[[dict[str, None]], dict[str, None]]) -> Any:
    def changed(heading: Heading) -> Heading:
        return {"tags": list(change(dict.fromkeys(heading["tags"])))}

    experiment, heading = delivery.journal.amend(key, changed)
    grown = experiment.record.grown()
    grown.tags = set(heading["tags"])
    experiment.record = grown
    return DONE


def _stop(delivery: Delivery) -> Any:
    delivery.journal.end(delivery.key())
    return DONE


def _beat(delivery: Delivery) -> Any:
    delivery.journal.beat(delivery.key())
    return DONE


def _update_status(delivery: Delivery) -> Any:
    """What the SDK says when something went wrong in it or in the run, which may go on for all that."""
    asked: _State = delivery.json(_State)
    key = asked.experiment_key
    if asked.is_alive and asked.error is None:
        delivery.journal.resume(key, asked.has_crashed)
        return DONE
    told: dict[str, Any] = {} if asked.has_crashed is None else {"has_crashed": asked.has_crashed}
    if asked.error is not None:
        told |= {"customer_error_reported": True, "customer_error_message": asked.error}
    delivery.journal.amend(key, lambda _: told)
    if asked.is_alive is False:
        delivery.journal.end(key)
    return DONE


def _system_details(delivery: Delivery) -> Any:
    asked: _System = delivery.json(_System)
    told = delivery.json(dict[str, Any])
    delivery.journal.log(asked.experiment_key, list(b.system_messages(told)), alive=False)
    return DONE


def _logged(shape: type[b.Body], *, alive: bool = False) -> Endpoint:
    """`alive` for what only a run itself sends."""

    def log(delivery: Delivery) -> Any:
        body: b.Body = delivery.json(shape)
        messages = list(islice(body.messages(), MOST + 1))
        if len(messages) > MOST:
            raise Refusal(413, f"a request may have {MOST} values, and this one has more")
        delivery.journal.log(body.experiment_key, messages, alive=alive)
        return DONE

    return log


def _logged_one(shape: type[b.Point | b.Setting]) -> Endpoint:
    """A single value, beside the key."""

    def log(delivery: Delivery) -> Any:
        value: b.Point | b.Setting = delivery.json(shape)
        delivery.journal.log(delivery.json(b.Body).experiment_key, [value.message()], alive=False)
        return DONE

    return log


def _nothing(_: Delivery) -> Any:
    return DONE


CLIENTLIB: dict[str, Endpoint] = {
    "logger/add/run": _add_run,
    "logger/get/run": _get_run,
    "status-report/update": _status,
    "status-report/offline-metadata": _times,
    "tags/add-tags-to-experiment": _add_tags,
    "batch/logger/experiment/parameter": _logged(b.Parameters, alive=True),
    "batch/logger/experiment/metric": _logged(b.Metrics, alive=True),
    "notification/experiment": _nothing,
    "notify/event": _nothing,
    "log/add": _nothing,
}
"""POSTs below ``/clientlib/``."""

WRITTEN: dict[str, Endpoint] = {
    "write/experiment/output": _logged(b.Output, alive=True),
    "write/experiment/system-details": _system_details,
    "write/experiment/cloud-details": _logged(b.Cloud),
    "write/experiment/file-path": _logged(b.FilePath),
    "write/experiment/log-other": _logged(b.Other),
    "write/experiment/html": _logged(b.Html),
    "write/experiment/graph": _logged(b.Graph),
    "write/experiment/git/metadata": _logged(b.Git),
    "write/experiment/dependencies": _logged(b.Dependencies),
    "write/experiment/metric": _logged_one(b.Point),
    "write/experiment/parameter": _logged_one(b.Setting),
    "write/experiment/tags": _add_tags,
    "write/experiment/tags/delete": _untag,
    "write/experiment/set-start-end-time": _times,
    "write/experiment/update-status": _update_status,
}
"""POSTs below ``/api/rest/v2/`` and ``/clientlib/rest/v2/``; dependencies are PUT."""

WRITTEN_BY_GET: dict[str, Endpoint] = {
    "write/experiment/stop": _stop,
    "write/experiment/set-status": _beat,
}
"""GETs below ``/api/rest/v2/`` that change something."""
