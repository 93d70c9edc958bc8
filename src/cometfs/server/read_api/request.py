"""A question to the embedded Comet, and the refusals it may meet.

`ReadRequest` is what an endpoint sees of a request: named values instead of a query string, things of the index instead
of their names. What is missing or unknown is refused here, in Comet's numbers, so that endpoints only answer.

Not here: HTTP (`app`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cometfs.numbers import whole_of
from cometfs.server.catalog.catalog import Catalog
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.errors import NO_EXPERIMENT_KEY, NO_PROJECT_NAME, NO_SUCH_EXPERIMENT, NO_SUCH_WORKSPACE, ApiError
from cometfs.server.runs.record import RunRecord
from cometfs.server.storage.kv_store import KvStore


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One request: its query, its body, the key it came with, and the address of the server with a trailing slash."""

    index: Catalog
    panels: KvStore
    query: Mapping[str, str]
    body: bytes
    key: str
    base_url: str

    def text(self, name: str) -> str:
        """A value that must be given."""
        value = self.query.get(name)
        if not value:
            raise ApiError(400, f"{name} is missing")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean in any client's spelling: ``true``, ``True``, ``1``."""
        value = self.query.get(name)
        return default if value is None else value.lower() in ("true", "1")

    def number(self, name: str, default: int | None) -> int | None:
        """A whole number from 1 on."""
        value = self.query.get(name)
        if value is None:
            return default
        number = whole_of(value)
        if not number:
            raise ApiError(400, f"{name} must be a whole number from 1 on, not {value[:60]!r}")
        return number

    def experiment(self) -> ServedExperiment:
        """The experiment of ``experimentKey``."""
        key = self.query.get("experimentKey")
        if not key:
            raise ApiError(400, "experimentKey is missing", NO_EXPERIMENT_KEY)
        found = self.index.experiments.get(key)
        if found is None:
            raise ApiError(404, f"experiment {key} does not exist", NO_SUCH_EXPERIMENT)
        return found

    def record(self) -> RunRecord:
        """What the experiment of ``experimentKey`` logged."""
        return self.experiment().record

    def workspace(self, parameter: str = "workspaceName") -> str:
        """The name in ``workspaceName``, or in another parameter; it must be a workspace."""
        name = self.text(parameter)
        if name not in self.index.workspaces():
            raise ApiError(404, f"workspace {name} does not exist", NO_SUCH_WORKSPACE)
        return name

    def project(self) -> ServedProject:
        """The project of ``projectId``, or of ``workspaceName`` and ``projectName``."""
        identity = self.query.get("projectId")
        if identity:
            found = self.index.projects.get(identity)
        else:
            workspace = self.workspace()
            identity = self.query.get("projectName")
            if not identity:
                raise ApiError(400, "projectName is missing", NO_PROJECT_NAME)
            found = self.index.project(workspace, identity)
        if found is None:
            raise ApiError(404, f"project {identity} does not exist")
        return found

    def about(self, query: Mapping[str, str]) -> ReadRequest:
        """The same request with another query: for endpoints whose body says what others say in their query."""
        return replace(self, query=query)

    def json(self, shape: type[Any]) -> Any:
        """The body, as a value of `shape`."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise ApiError(400, f"the body is not what this endpoint takes: {exc}") from exc
