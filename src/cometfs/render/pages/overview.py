"""A project as one page for the browser: its experiments in a table that sorts and filters, and its charts.

The page is self-contained: markup (a Jinja template), style and script are three files beside this module, put into
one; its policy (`Content-Security-Policy`) lets it run that script, use that style and show pictures beside it, nothing
else. Links and pictures are relative paths, so that it works from a mount, from a copy of it and from an archive. All
rows are markup: the first in the table, which needs no script, the others in a `<template>`, because a browser takes
ten seconds to lay out 5,000 rows of 50 columns. The template escapes whatever it is given; paths become links here.

Not here: which metrics have charts, where experiments are and what the page is called; it knows the names of an
experiment's files only as a default (`FILES`). What pages have in common is in `template`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from cometfs.render.cells import brief, is_everybodys, is_number, moment, spoken
from cometfs.render.pages.template import Served, counted, file_policy, rendered, served_page

FILES = ("metadata.json", "params.json", "metrics.json", "output.txt")
"""The files of an experiment that its row links to."""

CELLS = 300_000
"""Most cells of the table, about 10 MB of page. Columns that would exceed it are left out."""

AT_ONCE = 200
"""Rows that are in the table before the script runs."""

MANY = 20
"""So many columns of parameters and metrics there are, however many experiments."""

PLACEHOLDER = "Filter: words, or conditions as in lr=0.03 val/accuracy>0.97"
HELP = """Words that stand in any column, and conditions on columns: < <= > >= = !=, all of which must hold.
Quotes around names and words with spaces: "process duration">60. Two columns of one name: param.loss, metric.loss.
Of tags, one is enough; a duration is in seconds, or as 5min, 2h, 1d; lr="" finds what has no lr."""

_PREFIX = {"parameter": "param", "metric": "metric"}

_TEMPLATE = "overview.html.jinja"

Link = Callable[..., str]

SHORT, LONG = 40, 1_000
"""Letters of a cell, and of the tip that tells the whole of what is longer."""


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """An experiment. `path`: its directory, relative to the page's, not encoded. `state`: running, finished, crashed.

    Times are milliseconds since 1970, durations milliseconds. Values are Comet's text, of metrics the last one.
    """

    name: str
    path: str
    key: str
    state: str = ""
    started_ms: float | None = None
    duration_ms: float | None = None
    tags: Sequence[str] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = FILES
    error: str = ""
    """Why something of it is missing."""


@dataclass(frozen=True)
class _Column:
    """A parameter or a metric. `usual` is the value of more than half of the rows, where there is one."""

    name: str
    kind: str
    usual: str | None = None

    def of(self, row: OverviewRow) -> str:
        """Its value; empty where the experiment has none."""
        return (row.metrics if self.kind == "metric" else row.params).get(self.name) or ""


def overview_html(
    project: Mapping[str, Any], rows: Sequence[OverviewRow], charts: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The page as a file. `project` as `comet.models.Project`; `charts`: (metric, path of its picture, relative, not
    encoded).
    """
    style, script = "overview.css", "overview.js"
    values = _values(project, rows, [(metric, _link(path)) for metric, path in charts], _link)
    return rendered(_TEMPLATE, (style,), (script,), policy=file_policy(style, script), served=None, **values)


def served_overview(
    project: Mapping[str, Any],
    rows: Sequence[OverviewRow],
    charts: Sequence[tuple[str, str]],
    link: Link,
    served: Served,
) -> bytes:
    """The page as a server shows it. `charts`: (metric, address); `link` makes addresses of a row's path and a file."""
    return served_page(_TEMPLATE, served, **_values(project, rows, charts, link))


def _values(
    project: Mapping[str, Any], rows: Sequence[OverviewRow], charts: Sequence[tuple[str, str]], link: Link
) -> dict[str, Any]:
    columns, omitted = _columns(rows)
    return {
        "title": "/".join(str(part) for part in (project.get("workspaceName"), project.get("projectName")) if part)
        or "project",
        "line": _line(project, rows),
        "about": str(project.get("projectDescription") or "").splitlines(),
        "headers": _headers(columns, rows),
        "rows": [_line_of(row, columns, link) for row in rows],
        "omitted": omitted,
        "failures": [(row.name or row.key, row.error) for row in rows if row.error],
        "same": _same(rows),
        "several": len(rows) > 1,
        "own": [chart for chart in charts if not is_everybodys(chart[0])],
        "folded": [chart for chart in charts if is_everybodys(chart[0])],
        "placeholder": PLACEHOLDER,
        "help": HELP,
        "at_once": AT_ONCE,
    }


def _line(project: Mapping[str, Any], rows: Sequence[OverviewRow]) -> str:
    """What stands below the title: how many experiments there are, and in which states."""
    parts = [counted(len(rows), "experiment")]
    parts += [f"{count:,} {state}" for state, count in sorted(Counter(row.state for row in rows).items()) if state]
    updated = moment(project.get("lastUpdated"))
    return " · ".join([*parts, *([f"updated {updated} UTC"] if updated else [])])


# -- the table ---------------------------------------------------------------------------------------------------------


class _Header(NamedTuple):
    """A header of the table. `full`: its name in experiments.csv, which a filter may use."""

    name: str
    tip: str
    full: str
    classes: str = ""


class _Line(NamedTuple):
    """A row as the template writes it. A tip is empty where it would say no more than the cell."""

    name: str
    tip: str
    link: str
    state: str
    state_class: str
    started: str
    duration: float | None
    lasted: str
    tags: Sequence[str]
    cells: Sequence[tuple[str, str, str]]
    """Classes, tip, text."""
    key: str
    files: Sequence[tuple[str, str]]


def _columns(rows: Sequence[OverviewRow]) -> tuple[list[_Column], int]:
    """Parameters that differ, then metrics, those of every experiment last; and how many columns are too many."""
    names = sorted({name for row in rows for name in row.params})
    differing = [(name, Counter(row.params.get(name, "") for row in rows)) for name in names]
    params = [_Column(name, "parameter", _usual(seen)) for name, seen in differing if len(seen) > 1]
    metrics = [_Column(name, "metric") for name in sorted({name for row in rows for name in row.metrics})]
    columns = sorted(params + metrics, key=lambda column: is_everybodys(column.name))
    most = max(MANY, CELLS // max(1, len(rows)))
    return columns[:most], max(0, len(columns) - most)


def _usual(seen: Counter[str]) -> str | None:
    value, count = seen.most_common(1)[0]
    return value if 2 * count > seen.total() else None


def _headers(columns: Sequence[_Column], rows: Sequence[OverviewRow]) -> list[_Header]:
    fixed = [_Header(name, name, name.split(" ")[0]) for name in ("name", "state", "start (UTC)", "duration", "tags")]
    return [*fixed, *(_header(column, rows) for column in columns), _Header("key", "key", "key")]


def _header(column: _Column, rows: Sequence[OverviewRow]) -> _Header:
    numbers = all(is_number(value) for row in rows if (value := column.of(row)))
    classes = _joined("d" * (column.kind == "parameter"), "n" * numbers)
    return _Header(column.name, f"{column.kind} {column.name}", f"{_PREFIX[column.kind]}.{column.name}", classes)


def _line_of(row: OverviewRow, columns: Sequence[_Column], link: Link) -> _Line:
    name = row.name or row.key
    duration = row.duration_ms if row.duration_ms is not None and math.isfinite(row.duration_ms) else None
    return _Line(
        name=name,
        tip=name if len(name) > SHORT else "",
        link=link(row.path, ""),
        state=row.state,
        state_class=row.state if row.state in ("running", "finished", "crashed") else "",
        started=moment(row.started_ms),
        duration=duration,
        lasted="" if duration is None else spoken(duration / 1000),
        tags=row.tags,
        cells=[_cell(column.of(row), column) for column in columns],
        key=row.key,
        files=[(file, link(row.path, file)) for file in row.files],
    )


def _cell(value: str, column: _Column) -> tuple[str, str, str]:
    differs = "" if column.kind != "parameter" else "d" if column.usual in (None, value) else "o"
    shown = brief(value)
    if len(shown) > SHORT:
        shown = shown[:SHORT] + "…"
    return _joined(differs, "n" * is_number(value)), value[:LONG] if shown != value else "", shown


def _joined(*classes: str) -> str:
    return " ".join(filter(None, classes))


def _same(rows: Sequence[OverviewRow]) -> list[tuple[str, str]]:
    """The parameters that all experiments have, with one value: below the table, folded where there are several."""
    if not rows:
        return []
    first, *others = rows
    same = {name: value for name, value in first.params.items() if all(row.params.get(name) == value for row in others)}
    return [(name, value[:LONG]) for name, value in sorted(same.items())]


# -- words -------------------------------------------------------------------------------------------------------------


def _link(*path: str) -> str:
    """A relative path as a link; "./" before it, so that nothing in it can be read as a scheme or a host."""
    return "./" + "/".join(quote(part.strip("/"), safe="/", errors="replace") for part in path)
