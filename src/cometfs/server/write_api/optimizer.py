"""``/optimizer/``: what comet_ml's Optimizer asks.

Answers have their status in ``code``, and what went wrong in ``message``: of an HTTP status the client shows the number
alone.

Not here: what comes next (`server.optimizer`), what is kept (`storage.optimizer_store`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.errors import ApiError
from cometfs.server.optimizer.algorithms import ALGORITHMS, Spec, grid_size, most_sets, spec_of
from cometfs.server.optimizer.space import InvalidSearch
from cometfs.server.optimizer.sweep import DONE, RUNNING, Created, Sweep, Updated
from cometfs.server.request import Endpoint, Request
from cometfs.server.runs.leniency import check_depth
from cometfs.server.storage.experiment_json import now

BASE = "/optimizer/"

VERSION = "1.0.0"


class _New(msgspec.Struct):
    algorithm: str
    parameters: dict[str, Any]
    name: str | None = None
    trials: int = 1
    spec: dict[str, Any] = {}

    def __post_init__(self) -> None:
        check_depth(self.parameters)
        check_depth(self.spec)


class _Update(msgspec.Struct):
    id: str
    pid: str
    trial: int
    status: str | None = None
    score: Any = None
    epoch: Any = None
    metadata: Any = None

    def __post_init__(self) -> None:
        for value in (self.score, self.epoch, self.metadata):
            check_depth(value)


def _spec(request: Request) -> Any:
    """The words of a specification and their defaults."""
    algorithm = request.text("algorithmName")
    _checked(algorithm, {})
    left_out = () if algorithm == "grid" else ("randomize",)
    fields = msgspec.structs.fields(Spec)
    return [
        {"name": one.encode_name, "default": one.default, "type": "string"}
        for one in fields
        if one.encode_name not in left_out
    ]


def _create(request: Request) -> Any:
    asked: _New = request.logged(_New)
    spec = asked.spec if asked.spec.get("seed") is not None else asked.spec | {"seed": now() % (1 << 32)}
    created = Created("", 0, asked.algorithm, asked.parameters, asked.name, asked.trials, spec)
    try:
        made = request.optimizers.create(created)
    except InvalidSearch as exc:
        raise ApiError(400, str(exc)) from exc
    return {"code": 200, "id": made.created.id}


def _next(request: Request) -> Any:
    sweep = _sweep(request, request.text("id"))
    event = request.optimizers.assign(sweep)
    if event is None:
        raise ApiError(404, "the search has no more sets of parameters")
    trial = sweep.trials[event.pid, event.trial]
    found = {"parameters": event.parameters, "pid": event.pid, "trial": event.trial, "count": trial.count}
    return {"code": 200, "parameters": found | {"tries": trial.tries, "status": RUNNING, "startTime": trial.started}}


def _update(request: Request) -> Any:
    asked: _Update = request.logged(_Update)
    sweep = _sweep(request, asked.id)
    if (asked.pid, asked.trial) not in sweep.trials:
        raise ApiError(404, f"the search has no trial {asked.trial} of {asked.pid[:60]!r}")
    outcome = (asked.status, asked.score, asked.epoch, asked.metadata)
    request.optimizers.add(sweep, Updated(now(), asked.pid, asked.trial, *outcome))
    return {"code": 200}


def _status(request: Request) -> Any:
    sweep = _sweep(request, request.text("id"))
    created, trials = sweep.created, list(sweep.trials.values())
    updated = max((one.updated or one.started for one in trials), default=None)
    ended = sweep.has_ended
    return {
        "id": created.id,
        "name": created.name or created.id,
        "algorithm": created.algorithm,
        "parameters": created.parameters,
        "spec": created.spec,
        "trials": created.trials,
        "status": DONE if ended else RUNNING,
        "startTime": created.at,
        "lastUpdateTime": updated,
        "endTime": updated if ended else None,
        "comboCount": len({one.pid for one in trials}),
        "maxCombo": sweep.spec.max_combo,
        "configSpaceSize": grid_size(sweep.space, sweep.spec),
        "retryCount": sum(one.tries - 1 for one in trials),
        "state": {"total": most_sets(created.algorithm, sweep.space, sweep.spec), "completed": _completed(sweep)},
        "version": VERSION,
    }


def _completed(sweep: Sweep) -> int:
    return sum(one.status == DONE for one in sweep.trials.values())


def _algorithms(_: Request) -> Any:
    return {"code": 200, "algorithms": list(ALGORITHMS)}


def _checked(algorithm: str, spec: dict[str, Any]) -> Spec:
    try:
        return spec_of(algorithm, spec)
    except InvalidSearch as exc:
        raise ApiError(400, str(exc)) from exc


def _sweep(request: Request, identity: str) -> Sweep:
    found = request.optimizers.find(identity)
    if found is None:
        raise ApiError(404, f"there is no optimizer {identity[:60]!r}")
    return found


BY_GET: dict[str, Endpoint] = {"spec": _spec, "next": _next, "status": _status, "algorithms": _algorithms}

POSTED: dict[str, Endpoint] = {"create": _create, "update": _update}
"""Both below ``/optimizer/``."""
