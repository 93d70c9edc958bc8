"""What comet_ml sends when it logs, and the messages that its offline archives have for the same.

Each class is the body of one endpoint; `messages` gives pairs of type and payload. Nulls are left out where archives
leave them out.

Not here: reading bodies (`routes`), keeping messages (`storage.journal`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from cometfs.server.runs.content import SYSTEM_FIELDS
from cometfs.server.runs.leniency import check_depth
from cometfs.server.runs.schema import Number, SystemFact, step_of
from cometfs.server.storage.experiment_json import moment
from cometfs.server.storage.log_lines import Message

SYSTEM_NAMES = {theirs: ours for ours, theirs in SYSTEM_FIELDS.items()} | {
    "installed_packages": "installedPackages",
    "os_packages": "osPackages",
    "gpu_static_info": "gpuStaticInfoList",
    "system_info": "logAdditionalSystemInfoList",
}


class LogBody(msgspec.Struct, rename="camel", kw_only=True):
    """Every body names its experiment."""

    experiment_key: str

    def messages(self) -> Iterator[Message]:
        """What to keep. A time that only the server knows is left to the journal."""
        yield from ()


class PointBody(msgspec.Struct, rename="camel"):
    metric_name: str
    metric_value: Any = None
    step: Any = None
    epoch: Any = None
    context: str | None = None
    timestamp: Any = None

    def __post_init__(self) -> None:
        self.step, self.epoch, self.timestamp = step_of(self.step), step_of(self.epoch), step_of(self.timestamp)
        check_depth(self.metric_value)

    def message(self) -> Message:
        metric = {
            "epoch": self.epoch,
            "metricName": self.metric_name,
            "metricValue": self.metric_value,
            "step": self.step,
        }
        return "metric_msg", _in_context(self.context) | _at(self.timestamp) | {"metric": metric}


class Metrics(LogBody):
    """``batch/logger/experiment/metric``."""

    values: list[PointBody]

    def messages(self) -> Iterator[Message]:
        return (point.message() for point in self.values)


class SettingBody(msgspec.Struct, rename="camel"):
    """Like a point."""

    parameter_name: str
    parameter_value: Any = None
    step: Any = None
    source: str | None = None
    context: str | None = None
    timestamp: Any = None

    def __post_init__(self) -> None:
        self.step, self.timestamp = step_of(self.step), step_of(self.timestamp)
        check_depth(self.parameter_value)

    def message(self) -> Message:
        """Lists have a field of their own."""
        setting = {
            "paramName": self.parameter_name,
            "paramValue": self.parameter_value,
            "source": self.source or "manual",
            "step": self.step,
        }
        field = "params" if isinstance(self.parameter_value, list) else "param"
        return "parameter_msg", _in_context(self.context) | _at(self.timestamp) | {field: setting}


class Parameters(LogBody):
    """``batch/logger/experiment/parameter``."""

    values: list[SettingBody]

    def messages(self) -> Iterator[Message]:
        return (setting.message() for setting in self.values)


class OutputLine(msgspec.Struct, rename="camel"):
    output: str | None = None
    stderr: bool | None = None
    local_timestamp: Number | None = None
    offset: int | None = None

    @property
    def text(self) -> str:
        """R's client, which sends an offset and nothing else, sends lines without their ends."""
        text = self.output or ""
        is_line = self.offset is not None and self.stderr is None and self.local_timestamp is None
        return text + "\n" if is_line and not text.endswith("\n") else text


class OutputBody(LogBody):
    """``write/experiment/output``. The writer's time is a counter that began anywhere: it is kept as `sent`.

    R's client calls the context `context`.
    """

    output_lines: list[OutputLine]
    run_context: str | None = None
    context: str | None = None

    def messages(self) -> Iterator[Message]:
        context = _in_context(self.run_context or self.context)
        for line in self.output_lines:
            payload = context | {"output": line.text, "stderr": bool(line.stderr)}
            if line.offset is not None:
                payload |= {"offset": line.offset, "sent": line.local_timestamp}
            yield "standard_output", payload


class OtherBody(LogBody):
    """``write/experiment/log-other``."""

    key: Any
    value: Any = None

    def messages(self) -> Iterator[Message]:
        yield "log_other", {"key": self.key, "value": self.value}


class HtmlBody(LogBody):
    """``write/experiment/html``."""

    html: str | None
    override: bool = False
    timestamp: Number | None = None

    def messages(self) -> Iterator[Message]:
        kind = "htmlOverride" if self.override else "html"
        yield kind, {kind: self.html or ""} | ({} if self.timestamp is None else {"sent": self.timestamp})


class GraphBody(LogBody):
    """``write/experiment/graph``."""

    graph: str | None

    def messages(self) -> Iterator[Message]:
        yield "graph", {"graph": self.graph}


class FilePath(LogBody):
    """``write/experiment/file-path``."""

    file_path: str | None

    def messages(self) -> Iterator[Message]:
        yield "file_name", {"file_name": self.file_path}


class Git(LogBody):
    """``write/experiment/git/metadata``."""

    branch: str | None = None
    origin: str | None = None
    parent: str | None = None
    repo_name: str | None = None
    root: str | None = None
    status: Any = None
    user: str | None = None

    def messages(self) -> Iterator[Message]:
        state = {name: getattr(self, name) for name in self.__struct_fields__ if name != "experiment_key"}
        yield "git_metadata", {"git_metadata": dict(sorted(state.items()))}


class Dependency(msgspec.Struct):
    name: Any
    version: Any = None

    def __post_init__(self) -> None:
        check_depth(self.name)
        check_depth(self.version)


class Dependencies(LogBody):
    """``write/experiment/dependencies``."""

    log_dependencies: list[Dependency]
    timestamp: Number | None = None

    def messages(self) -> Iterator[Message]:
        for one in self.log_dependencies:
            yield "log_dependency", _at(self.timestamp) | {"name": one.name, "version": one.version}


class Cloud(LogBody):
    """``write/experiment/cloud-details``."""

    provider: str | None = None
    metadata: Any = None

    def messages(self) -> Iterator[Message]:
        yield "cloud_details", {"cloud_metadata": self.metadata, "provider": self.provider}


class Fact(SystemFact):
    def __post_init__(self) -> None:
        check_depth(self.value)


Unset = msgspec.UnsetType


class System(LogBody, rename=SYSTEM_NAMES):
    """``write/experiment/system-details``, with any of its fields: those that it has, nulls included."""

    user: str | Unset | None = UNSET
    python_version: str | Unset | None = UNSET
    python_version_verbose: str | Unset | None = UNSET
    pid: int | Unset | None = UNSET
    os_type: str | Unset | None = UNSET
    os: str | Unset | None = UNSET
    os_release: str | Unset | None = UNSET
    machine: str | Unset | None = UNSET
    processor: str | Unset | None = UNSET
    ip: str | Unset | None = UNSET
    hostname: str | Unset | None = UNSET
    env: Any | Unset = UNSET
    network_interfaces_ips: list[str] | Unset | None = UNSET
    command: list[Any] | Unset | None = UNSET
    python_exe: str | Unset | None = UNSET
    installed_packages: list[str] | None = None
    os_packages: list[str] | None = None
    gpu_static_info: list[dict[str, Any]] | None = None
    system_info: list[Fact] | None = None

    def messages(self) -> Iterator[Message]:
        given = {name: getattr(self, name) for name in sorted(SYSTEM_FIELDS.values())}
        details = {name: value for name, value in given.items() if value is not UNSET}
        if details:
            yield "system_details", details
        for name in ("installed_packages", "os_packages", "gpu_static_info"):
            if getattr(self, name) is not None:
                yield name, {name: getattr(self, name)}
        for fact in self.system_info or ():
            yield "system_info", {"system_info": {"key": fact.key, "value": fact.value}}


def _in_context(context: str | None) -> dict[str, Any]:
    return {"context": context} if context else {}


def _at(timestamp: Number | None) -> dict[str, Any]:
    return {} if timestamp is None else {"local_timestamp": moment(timestamp)}
