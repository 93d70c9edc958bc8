"""A Comet whose experiments are renamed, moved, archived, deleted, started and ended while it is mounted.

The embedded Comet answers; its listings of experiments, and what depends on them, are told from a table that a test
edits. Not here: what the mount should make of it (test_standing.py).
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.faulty_comet import Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_mount

HASTY = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_hasty")


@dataclass
class Edited:
    """Experiments by key, as they are listed now."""

    rows: dict[str, dict[str, Any]]
    faults: Faults

    def named(self, name: str) -> str:
        """The key of the one that bears that name."""
        (key,) = [key for key, row in self.rows.items() if row["experimentName"] == name]
        return key

    def change(self, name: str, **fields: Any) -> None:
        """Edits the row of the one that bears that name."""
        self.rows[self.named(name)] |= fields

    def swap(self, one: str, other: str) -> None:
        """Each of the two bears the other's name from now on."""
        rows = [self.rows[self.named(name)] for name in (one, other)]
        for row, name in zip(rows, (other, one), strict=True):
            row["experimentName"] = name

    def delete(self, name: str) -> None:
        """From now on nothing is known of it."""
        del self.rows[self.named(name)]

    def listing(self, _answer: Any, query: dict[str, str]) -> Any:
        """Those of a project."""
        archived = query.get("archived", "false") == "true"
        rows = [row for row in self.rows.values() if row["projectId"] == query["projectId"]]
        return {"experiments": [row for row in rows if row["archived"] == archived]}

    def metadata(self, answer: Any, query: dict[str, str]) -> Any:
        """Of one; none of one that was deleted."""
        row = self.rows.get(query["experimentKey"])
        return None if row is None or answer is None else {**answer, **row}


def _get(comet: Comet, endpoint: str) -> Any:
    request = urllib.request.Request(f"{comet.url}/api/rest/v2/{endpoint}", headers={"Authorization": "any"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)


@contextmanager
def edited_mount(folder: Path, comet: Comet, *options: str) -> Iterator[tuple[Mounted, Edited]]:
    """A mount of the sample, with listings that hold for a second, and the table of its experiments."""
    rows: dict[str, dict[str, Any]] = {}
    for workspace in _get(comet, "workspaces")["workspaceNames"]:
        for project in _get(comet, f"projects?workspaceName={workspace}")["projects"]:
            for flag in ("false", "true"):
                found = _get(comet, f"experiments?projectId={project['projectId']}&archived={flag}")["experiments"]
                rows |= {row["experimentKey"]: row for row in found}
    with faulty_comet(comet) as (before, faults):
        edited = Edited(rows, faults)
        faults.edits |= {"experiments": edited.listing, "experiment/metadata": edited.metadata}
        with running_mount(folder, before, *options, program=HASTY) as mounted:
            yield mounted, edited
