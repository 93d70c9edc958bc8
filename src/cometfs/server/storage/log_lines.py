"""A message as a line of ``messages.json``, as comet_ml writes it.

Not here: which messages there are (`payloads`), reading them (`decode`).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cometfs.server.errors import ApiError
from cometfs.server.runs.decode import BESIDE, BrokenLine, decode
from cometfs.server.runs.python_json import DEEPEST
from cometfs.server.runs.schema import Payload
from cometfs.server.storage.experiment_json import now

TIMED = frozenset(
    {"metric_msg", "parameter_msg", "log_dependency", "standard_output", "file_upload", "remote_file", "register_model"}
)
"""Which messages need a time."""

Message = tuple[str, dict[str, Any]]
"""A type and a payload, with what stands beside it."""


def line_of(kind: str, payload: dict[str, Any], number: int) -> bytes:
    """A line as comet_ml writes it: ASCII, payload first. Raises RecursionError for what is far too deep."""
    if kind in TIMED:
        payload = {"local_timestamp": now()} | payload
    own = BESIDE.get(kind, frozenset())
    inside = {field: value for field, value in payload.items() if field not in own}
    beside = {field: value for field, value in payload.items() if field in own}
    message = {"payload": inside | {"message_id": number}, "type": kind} | beside
    line = msgspec.json.encode(message)
    return (line if line.isascii() else json.dumps(message).encode()) + b"\n"


def message_of(line: bytes) -> Message | None:
    """The message that a line was made of; None for a line that is none."""
    try:
        told = msgspec.json.decode(line)
        kind, payload = told["type"], told["payload"]
        own = BESIDE.get(kind, frozenset())
        return kind, payload | {field: value for field, value in told.items() if field in own}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None


def decoded_line(line: bytes) -> list[Payload]:
    """What will be read from a line. Raises Refusal for what could not be read again."""
    try:
        return decode(line)
    except BrokenLine as exc:
        raise ApiError(400, f"the body is not what this endpoint takes: {exc}") from exc


def too_deep() -> ApiError:
    return ApiError(400, f"the body is not what this endpoint takes: it is more than {DEEPEST} levels deep")
