"""A training run for the demo: it logs to a Comet as a program would, a line and some points a second, until it is
cancelled. Its numbers are made up. Not here: that Comet, and what a mount shows of the run.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import trio

from cometfs.comet.http.transport import Transport
from cometfs.errors import CometFSError, ServerFailed

log = logging.getLogger(__name__)

WORKSPACE, PROJECT, NAME = "vision-lab", "digits", "mlp-live"
"""Where the run is shown."""

KEY = "11ce" * 8
"""The experiment's key."""

EPOCH = 1.0
"""Seconds between two lines."""

_PARAMETERS = {"lr": 0.003, "batch_size": 64, "hidden": 128, "optimizer": "adam", "seed": 11}

_PATHS = {
    "begin": "logger/add/run",
    "name": "rest/v2/write/experiment/log-other",
    "parameters": "batch/logger/experiment/parameter",
    "metrics": "batch/logger/experiment/metric",
    "output": "rest/v2/write/experiment/output",
}
"""Below ``/clientlib/``, where Comet takes what programs log."""

Send = Callable[[str, dict[str, Any]], Awaitable[None]]


async def train(url: str, api_key: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Logs to the Comet at `url`. Reports once the run has begun; one that cannot be logged ends with a warning."""
    transport = Transport()
    try:
        send = partial(_send, transport, url, api_key)
        await _begin(send)
        await _epoch(send, 0)
        task_status.started()
        for epoch in count(1):
            await trio.sleep(EPOCH)
            await _epoch(send, epoch)
    except CometFSError as error:
        log.warning("the demo's run has ended: %s", error)
        task_status.started()
    finally:
        with trio.CancelScope(shield=True):
            await transport.aclose()


async def _begin(send: Send) -> None:
    await send("begin", {"teamName": WORKSPACE, "projectName": PROJECT, "local_timestamp": _now()})
    await send("name", {"key": "Name", "value": NAME})
    values = [{"parameterName": name, "parameterValue": value} for name, value in _PARAMETERS.items()]
    await send("parameters", {"values": [value | {"timestamp": _now()} for value in values]})


async def _epoch(send: Send, epoch: int) -> None:
    loss, accuracy = _curve(epoch)
    metrics = {"train_loss": loss, "validate_accuracy": accuracy}
    place = {"step": epoch, "epoch": epoch, "timestamp": _now()}
    await send("metrics", {"values": [{"metricName": name, "metricValue": metrics[name]} | place for name in metrics]})
    line = f"epoch {epoch:4}  train_loss {loss:.4f}  validate_accuracy {accuracy:.4f}\n"
    await send("output", {"outputLines": [{"output": line, "stderr": False}]})


def _curve(epoch: int) -> tuple[float, float]:
    """Loss and accuracy: they settle, and never quite."""
    noise = math.sin(epoch * 2.3) * math.sin(epoch * 0.7)
    settled = 1 - math.exp(-epoch / 40)
    return round(2.3 - 2.0 * settled + 0.02 * noise, 4), round(0.1 + 0.8 * settled + 0.01 * noise, 4)


async def _send(transport: Transport, url: str, api_key: str, what: str, body: dict[str, Any]) -> None:
    headers = {"Authorization": api_key, "Content-Type": "application/json"}
    written = json.dumps({"experimentKey": KEY, **body}).encode()
    reply = await transport.send("POST", f"{url}/clientlib/{_PATHS[what]}", headers=headers, body=written)
    try:
        answer = await reply.head(200)
    finally:
        await reply.aclose()
    if reply.status != 200:
        raise ServerFailed(f"{url} answers {reply.status} to what it logs: {answer.decode(errors='replace')}")


def _now() -> int:
    return int(time.time() * 1000)
