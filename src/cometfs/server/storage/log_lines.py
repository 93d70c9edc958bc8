"""A message as a line of ``messages.json``, as comet_ml writes it.

Not here: which messages there are (`payloads`), reading lines (`decode`).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cometfs.server.runs.decode import BESIDE, BrokenLine, payload_of
from cometfs.server.runs.python_json import DEEPEST, too_deep
from cometfs.server.storage.errors import Unreadable
from cometfs.server.storage.experiment_json import now

TIMED = frozenset(
    {"metric_msg", "parameter_msg", "log_dependency", "standard_output", "file_upload", "remote_file", "register_model"}
)
"""Which messages need a time."""

Message = tuple[str, dict[str, Any]]
"""A type and a payload, with what stands beside it."""


class LogLine:
    """A message on its way to the disk. It is encoded once, and never read back: `payload` is what its line says.

    `inside` and `beside` are its fields as JSON objects, those of the payload and those that stand beside it; neither
    has the line's number, nor the time that the server gives to what came without one. Raises Unreadable for what could
    not be read again.
    """

    __slots__ = ("_head", "_rest", "beside", "fields", "inside", "kind", "payload")

    def __init__(self, kind: str, message: dict[str, Any]) -> None:
        self.kind, self.fields = kind, message.keys()
        try:
            inside, beside = parted(kind, message)
            self.inside, self.beside = encoded(inside), encoded(beside)
            self.payload = payload_of(kind, inside, beside)
        except RecursionError:
            raise _too_deep() from None
        except BrokenLine as exc:
            raise Unreadable(f"the body is not what this endpoint takes: {exc}") from exc
        self._head, self._rest = self.inside[1:-1], self.beside[1:-1]
        if kind in TIMED and "local_timestamp" not in message:
            self._add_time(now())

    def _add_time(self, at: int) -> None:
        self.payload.local_timestamp = at
        time = b'"local_timestamp":%d' % at
        if "local_timestamp" in BESIDE.get(self.kind, ()):
            self._rest = _joined(time, self._rest)
        else:
            self._head = _joined(time, self._head)

    def numbered(self, number: int) -> bytes:
        """The line: ASCII, the payload first."""
        payload = _joined(self._head, b'"message_id":%d' % number)
        line = b'{"payload":{%b},%b}' % (payload, _joined(b'"type":"%b"' % self.kind.encode(), self._rest))
        if too_deep(line):
            raise _too_deep()
        return line + b"\n"


def message_of(line: bytes) -> Message | None:
    """The message that a line was made of; None for a line that is none."""
    try:
        parsed = msgspec.json.decode(line)
        kind, payload = parsed["type"], parsed["payload"]
        own = BESIDE.get(kind, frozenset())
        return kind, payload | {field: value for field, value in parsed.items() if field in own}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None


def parted(kind: str, message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a message that belong into its payload, and those that stand beside it."""
    own = BESIDE.get(kind)
    if own is None:
        return message, {}
    inside = {field: value for field, value in message.items() if field not in own}
    return inside, {field: value for field, value in message.items() if field in own}


def encoded(fields: dict[str, Any]) -> bytes:
    """JSON in ASCII. Raises RecursionError for what is far too deep."""
    made = msgspec.json.encode(fields) if fields else b"{}"
    return made if made.isascii() else json.dumps(fields, separators=(",", ":")).encode()


def _joined(one: bytes, other: bytes) -> bytes:
    """The fields of two JSON objects, as those of one."""
    return b"%b,%b" % (one, other) if one and other else one or other


def _too_deep() -> Unreadable:
    return Unreadable(f"the body is not what this endpoint takes: it is more than {DEEPEST} levels deep")
