"""Projects and their experiments: a record under a key and a name, in a place.

Not here: finding them (`catalog.catalog`), what a record holds (`runs.record`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometfs.server.catalog.project_metadata import ProjectMetadata
from cometfs.server.runs.liveness import Liveness
from cometfs.server.runs.record import RunRecord


@dataclass(slots=True)
class ServedProject:
    """A project; its id depends on its names only. `about` is replaced when it changes."""

    id: str
    workspace: str
    name: str
    about: ProjectMetadata = field(default_factory=ProjectMetadata)
    experiments: list[ServedExperiment] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ServedExperiment:
    """A record under a key, in a project. A replica has a name of its own, `alias`, if its record has a name.

    `record` is replaced by its next version whenever something is logged: take it once and work with that. `liveness`
    is there while the run is logged.
    """

    key: str
    project: ServedProject
    record: RunRecord
    is_replica: bool = False
    alias: str | None = None
    liveness: Liveness | None = None

    @property
    def name(self) -> str | None:
        """None when the run was given none."""
        return self.alias if self.is_replica else self.record.name

    @property
    def running(self) -> bool:
        return self.liveness is not None and self.liveness.is_alive

    @property
    def crashed(self) -> bool:
        """It neither ended nor runs, or it reported itself that it failed."""
        return self.record.crashed and not self.running
