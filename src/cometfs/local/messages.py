"""What one line of an archive's ``messages.json`` says, as typed values.

Each line is ``{"type": T, "payload": {...}}``. The classes below are that format: a field that they lack is ignored,
a type that they lack is an error of that line alone. Older SDKs wrote one sparse ``ws_msg`` for everything; it is
taken apart here into the messages of today, so nobody else has to know of it.

Not here: what a message means for an experiment (`record`), or where lines come from (`archive`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Number = int | float


class Payload(msgspec.Struct, kw_only=True, gc=False):
    """What every message may carry. `local_timestamp` is the writer's clock in epoch milliseconds."""

    local_timestamp: Number | None = None
    context: str | None = None


class MetricPoint(msgspec.Struct, rename="camel", gc=False):
    """One value of a metric; NaN and the infinities are text, as is a value that is no number at all."""

    metric_name: str
    metric_value: Any = None
    step: Number | None = None
    epoch: Number | None = None


class Setting(msgspec.Struct, rename="camel", gc=False):
    """One value of a parameter: a scalar, null, or a list."""

    param_name: str
    param_value: Any = None
    step: Number | None = None


class Metric(Payload):
    metric: MetricPoint


class Parameter(Payload):
    """Scalars come as `param`, lists as `params`."""

    param: Setting | None = None
    params: Setting | None = None


class Other(Payload):
    key: Any
    value: Any = None


class Output(Payload):
    """A fragment of what the run printed: fragments are concatenated, they are not lines."""

    output: str | None = None
    stderr: bool | None = None


class FileName(Payload):
    file_name: str | None = None


class Html(Payload):
    html: str | None = None


class HtmlOverride(Payload, rename="camel"):
    html_override: str | None = None


class Graph(Payload):
    graph: str | None = None


class Code(Payload):
    """The script's text, which only old SDKs put into a message."""

    code: str | None = None


class SystemDetails(Payload):
    command: list[Any] | None = None
    env: Any = None
    hostname: str | None = None
    ip: str | None = None
    machine: str | None = None
    network_interfaces_ips: list[str] | None = None
    os: str | None = None
    os_release: str | None = None
    os_type: str | None = None
    pid: int | None = None
    processor: str | None = None
    python_exe: str | None = None
    python_version: str | None = None
    python_version_verbose: str | None = None
    user: str | None = None


class InstalledPackages(Payload):
    installed_packages: list[str] | None = None


class OsPackages(Payload):
    os_packages: list[str] | None = None


class GpuStatic(Payload):
    gpu_static_info: list[dict[str, Any]] | None = None


class SystemFact(msgspec.Struct):
    key: Any
    value: Any = None


class SystemInfo(Payload):
    system_info: SystemFact


class GitState(msgspec.Struct, gc=False):
    user: str | None = None
    root: str | None = None
    branch: str | None = None
    parent: str | None = None
    origin: str | None = None


class GitMetadata(Payload):
    git_metadata: GitState | None = None


class Placement(msgspec.Struct, rename="camel", kw_only=True):
    """Under which name, step and id a file was logged; images say figName and imageId."""

    asset_id: str | None = None
    image_id: str | None = None
    file_name: str | None = None
    fig_name: str | None = None
    grouping_name: str | None = None
    type: str | None = None
    step: Number | None = None
    context: str | None = None
    overwrite: bool | None = None


class FileUpload(Payload):
    """A file; `file_path` is the name of the archive's member that holds it."""

    file_path: str
    upload_type: str | None = None
    additional_params: Placement | None = None
    metadata: dict[str, Any] | None = None


class RemoteFile(Payload):
    """A link to a file that was never uploaded."""

    remote_uri: str
    upload_type: str | None = None
    additional_params: Placement | None = None
    metadata: dict[str, Any] | None = None


class RemoteAsset(msgspec.Struct, rename="camel"):
    file_name: str
    remote_url: str | None = None
    asset_id: str | None = None
    metadata: dict[str, Any] | None = None


class RemoteModel(Payload):
    model_name: str
    remote_assets: list[RemoteAsset] = []


class SceneItem(msgspec.Struct):
    file_path: str
    file_name: str
    type: str | None = None


class Scene(Payload):
    """A 3-D image: its points and boxes are members of their own, and so is a picture of it."""

    name: str
    items: list[SceneItem] = []
    thumbnail_path: str | None = None
    metadata: dict[str, Any] | None = None
    step: Number | None = None
    asset_id: str | None = None


class Ignored(Payload):
    """A known kind that nothing is read from: clouds, dependencies, registrations of models."""


class Legacy(Payload, kw_only=True, rename={"file_name": "fileName", "html_override": "htmlOverride"}):
    """The one message of old SDKs: any of these fields, most of them absent."""

    code: str | None = None
    env_details: SystemDetails | None = None
    file_name: str | None = None
    git_meta: GitState | None = None
    gpu_static_info: list[dict[str, Any]] | None = None
    graph: str | None = None
    html: str | None = None
    html_override: str | None = None
    installed_packages: list[str] | None = None
    os_packages: list[str] | None = None
    log_other: dict[str, Any] | None = None
    log_system_info: SystemFact | None = None
    metric: MetricPoint | None = None
    param: Setting | None = None
    params: Setting | None = None
    stdout: str | None = None
    stderr: bool | None = None


KINDS: dict[str, type[Payload]] = {
    "metric_msg": Metric,
    "parameter_msg": Parameter,
    "log_other": Other,
    "standard_output": Output,
    "file_name": FileName,
    "html": Html,
    "htmlOverride": HtmlOverride,
    "graph": Graph,
    "installed_packages": InstalledPackages,
    "os_packages": OsPackages,
    "system_details": SystemDetails,
    "gpu_static_info": GpuStatic,
    "system_info": SystemInfo,
    "git_metadata": GitMetadata,
    "file_upload": FileUpload,
    "remote_file": RemoteFile,
    "remote_model": RemoteModel,
    "3d-image": Scene,
    "ws_msg": Legacy,
    "cloud_details": Ignored,
    "log_dependency": Ignored,
    "register_model": Ignored,
}
"""Every type of message that comet_ml's schemas name, and what its payload is."""


class _Envelope(msgspec.Struct, gc=False):
    type: str
    payload: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_PAYLOADS = {kind: msgspec.json.Decoder(shape) for kind, shape in KINDS.items()}


class BrokenLine(ValueError):
    """A line that is no message: cut, not JSON, of an unknown type, or of another shape than its type has."""


def decode(line: bytes) -> list[Payload]:
    """The messages of one line: one, or the several that an old ``ws_msg`` stands for. Raises BrokenLine."""
    try:
        envelope = _ENVELOPE.decode(line)
        decoder = _PAYLOADS.get(envelope.type)
        if decoder is None:
            raise BrokenLine(f"unknown type {envelope.type!r}")
        payload = decoder.decode(envelope.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BrokenLine(str(exc)) from exc
    return list(_modern(payload)) if isinstance(payload, Legacy) else [payload]


def _modern(old: Legacy) -> Iterator[Payload]:
    """An old message as the new ones that say the same."""
    at, context = old.local_timestamp, old.context
    if old.metric:
        yield Metric(metric=old.metric, local_timestamp=at, context=context)
    if old.param or old.params:
        yield Parameter(param=old.param, params=old.params, local_timestamp=at, context=context)
    if old.log_other and "key" in old.log_other:
        yield Other(key=old.log_other["key"], value=old.log_other.get("val"), local_timestamp=at)
    if old.stdout is not None:
        yield Output(output=old.stdout, stderr=old.stderr, local_timestamp=at, context=context)
    yield from _modern_system(old)
    yield from _modern_texts(old)


def _modern_system(old: Legacy) -> Iterator[Payload]:
    if old.env_details:
        yield old.env_details
    if old.gpu_static_info:
        yield GpuStatic(gpu_static_info=old.gpu_static_info)
    if old.installed_packages:
        yield InstalledPackages(installed_packages=old.installed_packages)
    if old.os_packages:
        yield OsPackages(os_packages=old.os_packages)
    if old.log_system_info:
        yield SystemInfo(system_info=old.log_system_info)
    if old.git_meta:
        yield GitMetadata(git_metadata=old.git_meta)


def _modern_texts(old: Legacy) -> Iterator[Payload]:
    if old.file_name:
        yield FileName(file_name=old.file_name)
    if old.html:
        yield Html(html=old.html)
    if old.html_override:
        yield HtmlOverride(html_override=old.html_override)
    if old.graph:
        yield Graph(graph=old.graph)
    if old.code:
        yield Code(code=old.code)
