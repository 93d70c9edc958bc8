"""From a line of ``messages.json`` to its messages: which type has which payload, and what a broken line is.

Not here: the payloads (`schema`), or where lines come from (`zip_reader`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.runs import schema as m
from cometfs.server.runs.legacy import Legacy, modern
from cometfs.server.runs.python_json import DEEPEST, decoded, too_deep
from cometfs.server.runs.schema import step_of

KINDS: dict[str, type[m.Payload]] = {
    "metric_msg": m.Metric,
    "parameter_msg": m.Parameter,
    "log_other": m.Other,
    "standard_output": m.Output,
    "file_name": m.FileName,
    "html": m.Html,
    "htmlOverride": m.HtmlOverride,
    "graph": m.Graph,
    "installed_packages": m.InstalledPackages,
    "os_packages": m.OsPackages,
    "system_details": m.SystemMessage,
    "gpu_static_info": m.GpuStatic,
    "system_info": m.SystemInfo,
    "git_metadata": m.GitMessage,
    "file_upload": m.FileUpload,
    "remote_file": m.RemoteFile,
    "remote_model": m.RemoteModel,
    "3d-image": m.Scene,
    "ws_msg": Legacy,
    "cloud_details": m.Ignored,
    "log_dependency": m.Ignored,
    "register_model": m.RegisterModel,
}
"""Every type of message that comet_ml's schemas name, and what its payload is."""


BESIDE = {
    "standard_output": frozenset({"offset", "sent"}),
    "html": frozenset({"sent"}),
    "htmlOverride": frozenset({"sent"}),
    "register_model": frozenset({"local_timestamp"}),
}
"""What is kept of a message, by type, that stands beside its payload and not in it: comet_ml's uploader leaves out a
message whose payload has a field that its schemas (`comet_ml/schemas`) do not.
"""


class _Envelope(msgspec.Struct, gc=False):
    """A line, as far as it is looked at before its type is known."""

    type: str
    payload: msgspec.Raw
    local_timestamp: Any = None


_STEPPED = ("metric", "param", "params", "additional_params")
"""Where a payload has steps, unless it has one itself."""

_ENVELOPE = msgspec.json.Decoder(_Envelope)
_PAYLOADS = {kind: msgspec.json.Decoder(shape) for kind, shape in KINDS.items()}


class BrokenLine(ValueError):
    """A line that is no message: cut, not JSON, of an unknown type, or of another shape than its type has."""


def decode(line: bytes) -> list[m.Payload]:
    """The messages of one line: one, or the several that an old ``ws_msg`` stands for. Raises BrokenLine."""
    if too_deep(line):
        raise BrokenLine(f"it is more than {DEEPEST} levels deep")
    try:
        payload = _payload(line)
    except ValueError as exc:  # msgspec's, UnicodeDecodeError, and Python's for numbers of thousands of digits
        try:
            payload = _payload(msgspec.json.encode(_mended(decoded(line, dict[str, Any]))))
        except ValueError:
            raise BrokenLine(str(exc)) from exc
    return list(modern(payload)) if isinstance(payload, Legacy) else [payload]


def _mended(message: dict[str, Any]) -> dict[str, Any]:
    """A message without steps that are no number. comet_ml writes ``true``, ``Infinity`` and sentences for some."""
    payload = message.get("payload")
    if isinstance(payload, dict):
        for place in (payload, *map(payload.get, _STEPPED)):
            if isinstance(place, dict):
                place |= {name: step_of(place[name]) for name in ("step", "epoch") if name in place}
    return message


def payload_of(kind: str, inside: dict[str, Any], beside: dict[str, Any]) -> m.Payload:
    """What `decode` reads from a line that says this, without the line. Raises BrokenLine."""
    shape = KINDS.get(kind)
    if shape is None:
        raise BrokenLine(f"unknown type {kind!r}")
    try:
        payload = msgspec.convert(inside, shape)
    except msgspec.ValidationError as exc:
        raise BrokenLine(str(exc)) from exc
    return _timed(kind, payload, beside.get("local_timestamp"))


def _payload(line: bytes) -> m.Payload:
    envelope = _ENVELOPE.decode(line)
    decoder = _PAYLOADS.get(envelope.type)
    if decoder is None:
        raise BrokenLine(f"unknown type {envelope.type!r}")
    return _timed(envelope.type, decoder.decode(envelope.payload), envelope.local_timestamp)


def _timed(kind: str, payload: m.Payload, beside: Any) -> m.Payload:
    """The payload with its time, where that stands beside it."""
    if "local_timestamp" in BESIDE.get(kind, ()) and isinstance(beside, int | float):
        payload.local_timestamp = beside
    return payload
