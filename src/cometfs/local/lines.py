"""A message as a line of ``messages.json``, as comet_ml writes it.

Not here: which messages there are (`logged_bodies`), reading them (`decoding`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from cometfs.local.asking import Refusal
from cometfs.local.decoding import BrokenLine, decode
from cometfs.local.headings import now
from cometfs.local.messages import Payload

TIMED = frozenset(
    {"metric_msg", "parameter_msg", "log_dependency", "standard_output", "file_upload", "remote_file", "register_model"}
)
"""Which messages need a time."""


DEEPEST = 200
"""How many lists and objects may be in one another: what is far deeper cannot be read again by everybody."""


def line_of(kind: str, payload: dict[str, Any], number: int) -> bytes:
    """A line as comet_ml writes it: ASCII, payload first. Raises Refusal for one that is too deep, and
    RecursionError for one that is deeper still."""
    if kind in TIMED:
        payload = {"local_timestamp": now()} | payload
    message = {"payload": payload | {"message_id": number}, "type": kind}
    line = msgspec.json.encode(message)
    if line.count(b"[") + line.count(b"{") > DEEPEST and _too_deep(message):
        raise too_deep()
    return (line if line.isascii() else json.dumps(message).encode()) + b"\n"


def decoded_line(line: bytes) -> list[Payload]:
    """What will be read from a line. Raises Refusal for what could not be read again."""
    try:
        return decode(line)
    except BrokenLine as exc:
        raise Refusal(400, f"the body is not what this endpoint takes: {exc}") from exc


def too_deep() -> Refusal:
    return Refusal(400, f"the body is not what this endpoint takes: it is more than {DEEPEST} levels deep")


def _too_deep(message: dict[str, Any]) -> bool:
    """Level by level, so that no depth is too deep to be found."""
    level: list[Any] = [message]
    for _ in range(DEEPEST):
        level = [one for value in level for one in _within(value) if isinstance(one, (dict, list, tuple))]
        if not level:
            return False
    return True


def _within(value: dict[str, Any] | list[Any] | tuple[Any, ...]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
