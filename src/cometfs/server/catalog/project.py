"""Projects and their experiments: a record under a key and a name, in a place.

Not here: finding them (`catalog`), what a record holds (`record`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometfs.server.runs.liveness import Pulse
from cometfs.server.runs.record import Record


@dataclass(slots=True)
class Project:
    """A project; its id depends on its names only."""

    id: str
    workspace: str
    name: str
    description: str = ""
    notes: str | None = None
    public: bool = False
    experiments: list[Experiment] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Experiment:
    """A record under a key, in a project. A replica has a name of its own, `alias`, if its record has a name.

    `record` is replaced by its next version whenever something is logged: take it once and work with that. `pulse` is
    there while somebody logs.
    """

    key: str
    project: Project
    record: Record
    is_replica: bool = False
    alias: str | None = None
    pulse: Pulse | None = None

    @property
    def name(self) -> str | None:
        """None when the run was given none."""
        return self.alias if self.is_replica else self.record.name

    @property
    def running(self) -> bool:
        return self.pulse is not None and self.pulse.beats

    @property
    def crashed(self) -> bool:
        """It neither ended nor runs, or it said itself that it failed."""
        return self.record.crashed and not self.running
