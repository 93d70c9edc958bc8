"""What is asked about: the smallest and the largest project of an account, and an experiment of each.

Not here: how they are asked for (survey.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cometfs.text.numbers import number_of

Row = dict[str, Any]

WORKSPACES = 4
"""At most, whose projects are looked at."""


@dataclass
class Subject:
    """A place to ask about, and what was answered about it so far, decoded, by the names of the checks."""

    where: str
    """For the table: "smallest project"."""
    workspace: str = ""
    project: Row = field(default_factory=dict)
    experiment: Row = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return text(self.experiment, "experimentKey")

    @property
    def project_id(self) -> str:
        return text(self.project, "projectId")

    def rows(self, check: str, name: str) -> list[Row]:
        """The rows in the field `name` of an answer; none where it has none."""
        return rows(self.answer(check).get(name))

    def answer(self, check: str) -> Row:
        """What came, where it is an object; else an empty one."""
        return inner(self.answers, check)

    def longest_metric(self) -> tuple[str, int]:
        """The metric with the most points and their number; the first one where points are not known, "" for none."""
        counts: dict[str, int] = {}
        for name in [*(row.get("name") for row in self.rows(SUMMARY, "values")), *self._logged()]:
            if isinstance(name, str) and name:
                counts[name] = counts.get(name, 0) + 1
        return max(counts.items(), key=lambda one: one[1], default=("", 0))

    def _logged(self) -> list[Any]:
        return [row.get("metricName") for row in self.rows(EVERY_POINT, "metrics")]

    def smallest_asset(self) -> Row:
        """An asset that Comet itself has, with few bytes; an empty row for none."""
        sized = [row for row in self.rows(ASSETS, "assets") if _is_stored(row)]
        return min(sized, key=lambda row: row["fileSize"], default={})


PAGE = "experiments by page"
SUMMARY = "experiment/metrics/summary"
EVERY_POINT = "experiment/metrics/get-all"
ASSETS = "experiment/asset/list"


def _is_stored(row: Row) -> bool:
    size = row.get("fileSize")
    return isinstance(size, int) and size > 0 and not row.get("remote") and bool(text(row, "assetId"))


def text(row: Row, name: str) -> str:
    """A field of a row, "" where it is no text."""
    found = row.get(name)
    return found if isinstance(found, str) else ""


def inner(row: Row, name: str) -> Row:
    """An object in a row, an empty one where it has none of that name."""
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def rows(found: Any) -> list[Row]:
    """The objects in what should be a list of them."""
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def chosen(projects: Sequence[tuple[str, Row]]) -> list[Subject]:
    """The smallest and the largest of (workspace, project) that have experiments; one where both are the same."""
    sized = sorted((one for one in projects if _count(one[1])), key=lambda one: _count(one[1]))
    if not sized:
        return []
    ends = [("smallest project", sized[0]), ("largest project", sized[-1])] if len(sized) > 1 else [("", sized[0])]
    return [Subject(where, workspace, project) for where, (workspace, project) in ends]


def _count(project: Row) -> float:
    return number_of(project.get("numberOfExperiments")) or 0


def longest_run(experiments: Sequence[Row]) -> Row:
    """The experiment that went on for longest: it has most to show. An empty row where there is none."""
    known = [row for row in experiments if text(row, "experimentKey")]
    return max(known, key=lambda row: number_of(row.get("durationMillis")) or 0, default={})
