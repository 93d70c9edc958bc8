"""A message as a line of ``messages.json``, as comet_ml writes it.

Not here: which messages there are (`logged_bodies`), reading them (`decoding`).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cometfs.local.asking import Refusal
from cometfs.local.decoding import BrokenLine, decode
from cometfs.local.headings import now
from cometfs.local.lenient import DEEPEST
from cometfs.local.messages import Payload

TIMED = frozenset(
    {"metric_msg", "parameter_msg", "log_dependency", "standard_output", "file_upload", "remote_file", "register_model"}
)
"""Which messages need a time."""


def line_of(kind: str, payload: dict[str, Any], number: int) -> bytes:
    """A line as comet_ml writes it: ASCII, payload first. Raises RecursionError for what is far too deep."""
    if kind in TIMED:
        payload = {"local_timestamp": now()} | payload
    message = {"payload": payload | {"message_id": number}, "type": kind}
    line = msgspec.json.encode(message)
    return (line if line.isascii() else json.dumps(message).encode()) + b"\n"


def decoded_line(line: bytes) -> list[Payload]:
    """What will be read from a line. Raises Refusal for what could not be read again."""
    try:
        return decode(line)
    except BrokenLine as exc:
        raise Refusal(400, f"the body is not what this endpoint takes: {exc}") from exc


def too_deep() -> Refusal:
    return Refusal(400, f"the body is not what this endpoint takes: it is more than {DEEPEST} levels deep")
