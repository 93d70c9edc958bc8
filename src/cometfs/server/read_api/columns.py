"""The names that a project's experiments use: ``project/column-names``.

Not here: values under these names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cometfs.server.catalog.project import ServedProject
from cometfs.server.runs.record import RunRecord
from cometfs.text.numbers import number_of

METADATA = {
    "runId": "string",
    "hasNotes": "boolean",
    "duration": "timenumber",
    "codeSHA": "string",
    "file_name": "string",
    "hasHtml": "boolean",
    "experimentKey": "string",
    "optimizationId": "string",
    "end_server_timestamp": "datetime",
    "installed_packages": "string",
    "file_path": "string",
    "last_message_time": "datetime",
    "runActive": "boolean",
    "hasImages": "boolean",
    "user_name": "string",
    "start_server_timestamp": "datetime",
}
"""What Comet itself knows of every experiment, and of which type that is."""


ENVIRONMENT = (
    "command",
    "executable",
    "hostname",
    "ip",
    "machine",
    "os",
    "osRelease",
    "osType",
    "pid",
    "processor",
    "pythonVersion",
    "pythonVersionVerbose",
    "user",
)
"""Details of the machine that experiments can be found by; all are text."""


def columns(project: ServedProject, archived: bool) -> list[dict[str, Any]]:
    """Every name once per source; a name whose values are not all of one type is a string."""
    found: dict[tuple[str, str], str] = {("metadata", name): kind for name, kind in METADATA.items()}
    for record in {id(one.record): one.record for one in project.experiments}.values():
        if record.archived == archived:
            for source, name, kind in _used(record):
                same = found.setdefault((source, name), kind) == kind
                found[source, name] = kind if same else "string"
    return [
        {"name": name, "id": f"{name}--{source}", "type": kind, "source": source}
        for (source, name), kind in found.items()
    ]


def _used(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    for name in record.metrics:
        yield "metrics", name, "double"
    for name, value in record.parameters.items():
        yield "params", name, _type_of(value.text)
    for name, value in record.others.items():
        yield "log_other", name, _type_of(value.text)
    for name in record.tags:
        yield "tag", name, "boolean"
    for name in ENVIRONMENT if "system" in record.lines else ():
        yield "env_details", name, "string"


def _type_of(text: str) -> str:
    if text in ("true", "false"):
        return "boolean"
    return "string" if number_of(text) is None else "double"
