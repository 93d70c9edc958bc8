"""Projects and their experiments: a record under a key and a name, in a place.

Not here: finding them (`index`), what a record holds (`record`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometfs.local.record import Record


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


@dataclass(frozen=True, slots=True)
class Experiment:
    """A record under a key and a name; `name` is None when the run was given none."""

    key: str
    name: str | None
    project: Project
    record: Record
