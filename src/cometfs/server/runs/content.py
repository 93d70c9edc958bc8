"""The parts of a record that stay on disk until they are needed: points of metrics, texts, details of the machine, git.

Every function reads archives and blocks; call them from a thread.

Not here: summaries and listings, which the catalog has in memory (`read_api.serializers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from cometfs.server.runs import schema as m
from cometfs.server.runs.record import LoggedAsset, RunRecord
from cometfs.server.runs.values import shown_name, text_of
from cometfs.text.numbers import number_of

BLOCK = 256
"""Pieces of output that are read at once from its end."""

CHUNK = 1 << 18
"""Bytes of an asset that are read and sent at once."""

SYSTEM_FIELDS = {
    "user": "user",
    "pythonVersion": "python_version",
    "pythonVersionVerbose": "python_version_verbose",
    "pid": "pid",
    "osType": "os_type",
    "os": "os",
    "osRelease": "os_release",
    "machine": "machine",
    "processor": "processor",
    "ip": "ip",
    "hostname": "hostname",
    "env": "env",
    "networkInterfaceIps": "network_interfaces_ips",
    "command": "command",
    "executable": "python_exe",
}
"""Comet's names of what a machine is like, and the archive's."""


def points(record: RunRecord, name: str) -> list[dict[str, Any]]:
    """Every point of one metric in the order of logging; none for a metric that was not logged."""
    series = record.metrics.get(name)
    if series is None:
        return []
    return [
        _point(name, number, payload)
        for number, payload in record.payloads(series.lines)
        if isinstance(payload, m.Metric) and shown_name(payload.context, payload.metric.metric_name) == name
    ]


def _point(name: str, number: int, payload: m.Metric) -> dict[str, Any]:
    return {
        "metricName": name,
        "metricValue": text_of(payload.metric.metric_value),
        "timestamp": None if payload.local_timestamp is None else int(payload.local_timestamp),
        "step": payload.metric.step,
        "epoch": payload.metric.epoch,
        "runContext": payload.context or None,
        "offset": number,
    }


def output(record: RunRecord) -> str | None:
    """What the run printed, stdout and stderr as they came; None when it printed nothing."""
    return _joined(payload.output for payload in _of(record, "output") if isinstance(payload, m.Output))


def output_tail(record: RunRecord, most: int) -> tuple[str, bool]:
    """The last `most` letters of what the run printed, and whether there is more before. Only its end is read."""
    numbers = record.lines.get("output") or ()
    found, begin = "", len(numbers)
    while begin and len(found) <= most:
        end, begin = begin, max(0, begin - BLOCK)
        payloads = (payload for _, payload in record.payloads(numbers[begin:end]))
        found = "".join(one.output or "" for one in payloads if isinstance(one, m.Output)) + found
    return found[-most:], begin > 0 or len(found) > most


def html(record: RunRecord) -> str | None:
    """The report: what was appended since it was last replaced."""
    pieces: list[str] = []
    for payload in _of(record, "html"):
        if isinstance(payload, m.HtmlOverride):
            pieces = [payload.html_override or ""]
        elif isinstance(payload, m.Html):
            pieces.append(payload.html or "")
    return "".join(pieces) if pieces else None


def graph(record: RunRecord) -> str | None:
    """The model's graph, the last that was logged."""
    texts = [payload.graph for payload in _of(record, "graph") if isinstance(payload, m.Graph)]
    return texts[-1] if texts else None


def code(record: RunRecord) -> str | None:
    """The script that made the run: an asset since long, a message in old archives."""
    if record.code is not None:
        return b"".join(asset_chunks(record.code)).decode("utf-8", "replace")
    texts = [payload.code for payload in _of(record, "code") if isinstance(payload, m.Code)]
    return texts[-1] if texts else None


def git_metadata(record: RunRecord) -> dict[str, str | None]:
    """The state of the repository; every field is None when there was none."""
    states = [payload.git_metadata for payload in _of(record, "git") if isinstance(payload, m.GitMessage)]
    state = (states[-1] if states else None) or m.GitState()
    return {field: getattr(state, field) for field in ("user", "root", "branch", "parent", "origin")}


def system_details(record: RunRecord) -> dict[str, Any]:
    """The machine and its packages, all fields present; several messages are merged in order."""
    details: dict[str, Any] = dict.fromkeys(SYSTEM_FIELDS)
    details |= {
        "gpuStaticInfoList": [],
        "logAdditionalSystemInfoList": {},
        "osPackages": None,
        "installedPackages": None,
    }
    for payload in _of(record, "system"):
        _lay_over(details, payload)
    facts = details["logAdditionalSystemInfoList"].items()
    details["logAdditionalSystemInfoList"] = [{"key": name, "value": value} for name, value in facts]
    ram = record.metrics.get("sys.ram.total")
    details["systemMetricNames"] = sorted(name for name in record.metrics if name.startswith("sys."))
    details["maxTotalMemory"] = None
    details["totalRam"] = number_of(ram.summary.current.text) if ram else None
    return details


def _lay_over(details: dict[str, Any], payload: m.Payload) -> None:
    match payload:
        case m.SystemMessage():
            fields = ((ours, getattr(payload, theirs)) for ours, theirs in SYSTEM_FIELDS.items())
            details.update((name, value) for name, value in fields if value is not None)
        case m.InstalledPackages():
            details["installedPackages"] = payload.installed_packages
        case m.OsPackages():
            details["osPackages"] = payload.os_packages
        case m.GpuStatic():
            details["gpuStaticInfoList"] = payload.gpu_static_info or []
        case m.SystemInfo(system_info=fact):
            details["logAdditionalSystemInfoList"][text_of(fact.key)] = text_of(fact.value)


def asset_chunks(asset: LoggedAsset) -> Iterator[bytes]:
    """The bytes of an asset that has a member, `CHUNK` at a time."""
    assert asset.member is not None
    with closing(asset.part.archive.open(asset.member)) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _of(record: RunRecord, kind: str) -> Iterator[m.Payload]:
    return (payload for _, payload in record.payloads(record.lines.get(kind, ())))


def _joined(texts: Iterable[str | None]) -> str | None:
    pieces = [text for text in texts if text]
    return "".join(pieces) if pieces else None
