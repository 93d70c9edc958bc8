"""What one line of an archive's ``messages.json`` says, as typed values.

Each line is ``{"type": T, "payload": {...}}``. The classes below are the payloads; a field that they lack is ignored.

Not here: which type has which payload (`decode`), what a message means for an experiment (`apply`), and the one
message of old SDKs (`legacy`).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

Number = int | float


def step_of(value: Any) -> Number | None:
    """A step or an epoch that is no number is none: it costs neither the value nor what came with it."""
    return value if type(value) is int or (type(value) is float and math.isfinite(value)) else None


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


class SystemMessage(Payload):
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


class GitMessage(Payload):
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


class RegisterModel(Payload):
    """A model of the run becomes a version of one in the workspace's registry."""

    model_name: str
    registry_name: str | None = None
    workspace: str | None = None
    version: str | None = None
    public: bool | None = None
    description: str | None = None
    comment: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    stages: list[str] | None = None
    metadata: dict[str, Any] | None = None


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
    """A known kind that nothing is read from: clouds, dependencies."""
