"""The one message of old SDKs, ``ws_msg``, taken apart into the messages of today, so no other module has to know it.

Not here: today's messages (`schema`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cometfs.server.runs import schema as m


class Legacy(m.Payload, kw_only=True, rename={"file_name": "fileName", "html_override": "htmlOverride"}):
    """The one message of old SDKs: any of these fields, most of them absent."""

    code: str | None = None
    env_details: m.SystemMessage | None = None
    file_name: str | None = None
    git_meta: m.GitState | None = None
    gpu_static_info: list[dict[str, Any]] | None = None
    graph: str | None = None
    html: str | None = None
    html_override: str | None = None
    installed_packages: list[str] | None = None
    os_packages: list[str] | None = None
    log_other: dict[str, Any] | None = None
    log_system_info: m.SystemFact | None = None
    metric: m.MetricPoint | None = None
    param: m.Setting | None = None
    params: m.Setting | None = None
    stdout: str | None = None
    stderr: bool | None = None


def modern(old: Legacy) -> Iterator[m.Payload]:
    """An old message as the new ones that say the same."""
    at, context = old.local_timestamp, old.context
    if old.metric:
        yield m.Metric(metric=old.metric, local_timestamp=at, context=context)
    if old.param or old.params:
        yield m.Parameter(param=old.param, params=old.params, local_timestamp=at, context=context)
    if old.log_other and "key" in old.log_other:
        yield m.Other(key=old.log_other["key"], value=old.log_other.get("val"), local_timestamp=at)
    if old.stdout is not None:
        yield m.Output(output=old.stdout, stderr=old.stderr, local_timestamp=at, context=context)
    yield from _modern_system(old)
    yield from _modern_texts(old)


def _modern_system(old: Legacy) -> Iterator[m.Payload]:
    if old.env_details:
        yield old.env_details
    if old.gpu_static_info:
        yield m.GpuStatic(gpu_static_info=old.gpu_static_info)
    if old.installed_packages:
        yield m.InstalledPackages(installed_packages=old.installed_packages)
    if old.os_packages:
        yield m.OsPackages(os_packages=old.os_packages)
    if old.log_system_info:
        yield m.SystemInfo(system_info=old.log_system_info)
    if old.git_meta:
        yield m.GitMessage(git_metadata=old.git_meta)


def _modern_texts(old: Legacy) -> Iterator[m.Payload]:
    if old.file_name:
        yield m.FileName(file_name=old.file_name)
    if old.html:
        yield m.Html(html=old.html)
    if old.html_override:
        yield m.HtmlOverride(html_override=old.html_override)
    if old.graph:
        yield m.Graph(graph=old.graph)
    if old.code:
        yield m.Code(code=old.code)
