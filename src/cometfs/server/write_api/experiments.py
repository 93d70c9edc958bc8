"""One function per call of an online experiment: from a `Request` to the value that becomes the answer's JSON.

``CLIENTLIB`` and ``WRITTEN`` are the two bases that comet_ml mixes. All run on the event loop, see `storage.journal`.

Not here: files (`uploads`); HTTP (`routes`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from cometfs.server.errors import ApiError
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.runs.liveness import HEARTBEATS
from cometfs.server.runs.schema import Number
from cometfs.server.storage.experiment_json import moment
from cometfs.server.storage.run_dir import Heading
from cometfs.server.write_api import payloads as b

MONITORED = 60_000
"""Milliseconds between two measurements of the machine, as clients learn it."""

MOST = 100_000
"""Values of one request, beside which no other is served. comet_ml sends some thousand."""


class _Status(msgspec.Struct):
    experiment_key: str = msgspec.field(name="experimentKey")
    is_alive: bool = True
    local_timestamp: Number | None = None


class _Times(b.LogBody):
    """Of ``offline-metadata`` and of ``set-start-end-time``, which have their own words for the same."""

    start_timestamp: Number | None = None
    end_timestamp: Number | None = None
    start_time_millis: Number | None = None
    end_time_millis: Number | None = None


class _Tags(b.LogBody):
    added_tags: list[str]


class _Untag(b.LogBody):
    tags: list[str]


class _State(b.LogBody):
    is_alive: bool | None = None
    error: str | None = None
    has_crashed: bool | None = None


def _status(request: Request) -> Any:
    asked: _Status = request.logged(_Status)
    sent = None if asked.local_timestamp is None else moment(asked.local_timestamp)
    if asked.is_alive:
        request.journal.beat(asked.experiment_key, sent)
    else:
        request.journal.end(asked.experiment_key, sent)
    every = _interval(request)
    return {
        "is_alive_beat_duration_millis": every,
        "gpu_monitor_interval_millis": MONITORED,
        "cpu_monitor_interval_millis": MONITORED,
        "parameter_update_interval_millis": every,
        "pending_rpcs": False,
    }


def _interval(request: Request) -> int:
    """How often a run is asked for a sign of life, in milliseconds."""
    return int(request.journal.crashed_after * 1000 / HEARTBEATS)


def _times(request: Request) -> Any:
    """An archive that is uploaded announces when its run began and ended; one that is created by hand may."""
    asked: _Times = request.logged(_Times)
    start, stop = asked.start_timestamp or asked.start_time_millis, asked.end_timestamp or asked.end_time_millis
    request.journal.retime(
        asked.experiment_key, None if start is None else moment(start), None if stop is None else moment(stop)
    )
    return DONE


def _add_tags(request: Request) -> Any:
    asked: _Tags = request.logged(_Tags)
    return tagged(request, asked.experiment_key, lambda tags: tags | dict.fromkeys(asked.added_tags))


def _untag(request: Request) -> Any:
    asked: _Untag = request.logged(_Untag)
    gone = set(asked.tags)
    return tagged(request, asked.experiment_key, lambda tags: {tag: None for tag in tags if tag not in gone})


def tagged(request: Request, key: str, change: Callable[[dict[str, None]], dict[str, None]]) -> Any:
    """Change the tags of an experiment."""

    def changed(heading: Heading) -> Heading:
        return {"tags": list(change(dict.fromkeys(heading["tags"])))}

    experiment, heading = request.journal.amend(key, changed)
    grown = experiment.record.grown()
    grown.tags = frozenset(heading["tags"])
    experiment.record = grown
    return DONE


def _stop(request: Request) -> Any:
    request.journal.end(request.experiment_key())
    return DONE


def _beat(request: Request) -> Any:
    """Clients in R and Java report their runs by this alone, as often as the answer says; R's reports no end."""
    request.journal.beat(request.experiment_key(), prolongs=True)
    return DONE | {
        "isAliveBeatDurationMillis": _interval(request),
        "gpuMonitorIntervalMillis": MONITORED,
        "cpuMonitorIntervalMillis": MONITORED,
    }


def _update_status(request: Request) -> Any:
    """What the SDK reports when something went wrong in it or in the run, which may go on for all that."""
    asked: _State = request.logged(_State)
    key = asked.experiment_key
    if asked.is_alive and asked.error is None:
        request.journal.resume(key, asked.has_crashed)
        return DONE
    changes: dict[str, Any] = {} if asked.has_crashed is None else {"has_crashed": asked.has_crashed}
    if asked.error is not None:
        changes |= {"customer_error_reported": True, "customer_error_message": asked.error}
    request.journal.amend(key, lambda _: changes)
    if asked.is_alive is False:
        request.journal.end(key)
    return DONE


def _logged(shape: type[b.LogBody], *, alive: bool = False) -> Endpoint:
    """`alive` for what only a run itself sends."""

    def log(request: Request) -> Any:
        body: b.LogBody = request.logged(shape)
        messages = list(islice(body.messages(), MOST + 1))
        if len(messages) > MOST:
            raise ApiError(413, f"a request may have {MOST} values, and this one has more")
        request.journal.log(body.experiment_key, messages, alive=alive)
        return DONE

    return log


def _logged_one(shape: type[b.PointBody | b.SettingBody]) -> Endpoint:
    """A single value, beside the key."""

    def log(request: Request) -> Any:
        value: b.PointBody | b.SettingBody = request.logged(shape)
        request.journal.log(request.logged(b.LogBody).experiment_key, [value.message()], alive=False)
        return DONE

    return log


def _nothing(_: Request) -> Any:
    return DONE


CLIENTLIB: dict[str, Endpoint] = {
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
    "write/experiment/output": _logged(b.OutputBody, alive=True),
    "write/experiment/system-details": _logged(b.System),
    "write/experiment/cloud-details": _logged(b.Cloud),
    "write/experiment/file-path": _logged(b.FilePath),
    "write/experiment/log-other": _logged(b.OtherBody),
    "write/experiment/html": _logged(b.HtmlBody),
    "write/experiment/graph": _logged(b.GraphBody),
    "write/experiment/git/metadata": _logged(b.Git),
    "write/experiment/dependencies": _logged(b.Dependencies),
    "write/experiment/metric": _logged_one(b.PointBody),
    "write/experiment/parameter": _logged_one(b.SettingBody),
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
