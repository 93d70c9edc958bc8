"""A project as one page for the browser: its experiments in a table that sorts and filters, and its charts.

The page is self-contained: markup, style and script are three files beside this module, put into one; its policy
(`Content-Security-Policy`) lets it run that script, use that style and show pictures that lie beside it, nothing else.
Links and pictures are relative paths, so that it works from a mount, from a copy of it and from an archive. All rows
are markup: the first in the table, which needs no script, the others in a template, because a browser takes ten seconds
to lay out 5,000 rows of 50 columns. What users wrote is escaped in two places, `_text` and `_href`.

Not here: which metrics have charts, where experiments lie and what the page is called; it knows the names of an
experiment's files only as a default (`FILES`).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from cometfs.render.curves import printable
from cometfs.render.text import text

FILES = ("metadata.json", "params.json", "metrics.json", "output.txt")
"""The files of an experiment that its row links to."""

CELLS = 300_000
"""Most cells of the table, about 10 MB of page. Columns that would exceed it are left out."""

AT_ONCE = 200
"""Rows that are in the table before the script runs."""

MANY = 20
"""So many columns of parameters and metrics there are, however many experiments."""

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


@dataclass(frozen=True)
class _Column:
    """A parameter or a metric. `usual` is the value of more than half of the rows, where there is one."""

    name: str
    kind: str
    usual: str | None = None


def overview_html(
    project: Mapping[str, Any], rows: Sequence[OverviewRow], charts: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The page. `project` as `comet.models.Project`; `charts`: (metric, path of its picture, relative, not encoded)."""
    title = "/".join(str(part) for part in (project.get("workspaceName"), project.get("projectName")) if part)
    style, script = _packaged("overview.css"), _packaged("overview.js")
    page = Template(_packaged("overview.template.html")).substitute(
        policy=_policy(style, script),
        title=_text(title or "project"),
        line=_line(project, rows),
        about=_about(project.get("projectDescription")),
        table=_table(rows),
        same=_same(rows),
        charts=_charts(charts),
        style=style,
        script=script,
    )
    return text(page)


@cache
def _packaged(name: str) -> str:
    return files("cometfs.render").joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere but this style, this script, and pictures beside the page.

    `file:` is what "self" means for a page of a file system, to browsers that give each of its files its own origin.
    """
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(sha256(source.encode()).digest()).decode()


# -- above the table ---------------------------------------------------------------------------------------------------


def _line(project: Mapping[str, Any], rows: Sequence[OverviewRow]) -> str:
    said = [_counted(len(rows), "experiment")]
    said += [f"{count:,} {state}" for state, count in sorted(Counter(row.state for row in rows).items()) if state]
    updated = _moment(project.get("lastUpdated"))
    return _text(" · ".join([*said, *([f"updated {updated} UTC"] if updated else [])]))


def _about(description: str | None) -> str:
    if not description:
        return ""
    return f'<p class="about">{"<br>".join(_text(line) for line in str(description).splitlines())}</p>'


# -- the table ---------------------------------------------------------------------------------------------------------


def _table(rows: Sequence[OverviewRow]) -> str:
    if not rows:
        return "<p>No experiments yet.</p>"
    columns, omitted = _columns(rows)
    lines = [f"<tr>{_row(row, columns)}</tr>\n" for row in rows]
    body, rest = "".join(lines[:AT_ONCE]), "".join(lines[AT_ONCE:])
    without = f"<noscript><p>Without scripts: the first {AT_ONCE} of {len(rows):,}.</p></noscript>\n"
    hidden = f'<template id="rest">\n{rest}</template>\n{without}' if rest else ""
    note = f'<p class="soft">{_counted(omitted, "more column")} in experiments.csv.</p>' if omitted else ""
    return (
        '<div class="bar"><input id="filter" type="search" placeholder="Filter: every word, in any column" '
        'aria-label="Filter experiments"><output id="count" class="soft" for="filter"></output></div>\n'
        '<div class="frame" tabindex="0" role="region" aria-label="Experiments">\n<table id="experiments">\n'
        f"<thead><tr>{_headers(columns)}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n{hidden}{note}"
    )


def _columns(rows: Sequence[OverviewRow]) -> tuple[list[_Column], int]:
    """Parameters that differ, then metrics, those of the machine last; and how many there is no room for."""
    names = sorted({name for row in rows for name in row.params})
    differing = [(name, Counter(row.params.get(name, "") for row in rows)) for name in names]
    params = [_Column(name, "parameter", _usual(seen)) for name, seen in differing if len(seen) > 1]
    metrics = sorted({name for row in rows for name in row.metrics}, key=lambda name: (name.startswith("sys."), name))
    columns = params + [_Column(name, "metric") for name in metrics]
    most = max(MANY, CELLS // len(rows))
    return columns[:most], max(0, len(columns) - most)


def _usual(seen: Counter[str]) -> str | None:
    value, count = seen.most_common(1)[0]
    return value if 2 * count > seen.total() else None


def _headers(columns: Iterable[_Column]) -> str:
    fixed = [_header(name) for name in ("name", "state", "start (UTC)", "duration", "tags")]
    found = [_header(column.name, column.kind) for column in columns]
    return "".join([*fixed, *found, _header("key"), '<th scope="col"><span>files</span></th>'])


def _header(name: str, kind: str = "") -> str:
    mark = ' class="d"' if kind == "parameter" else ""
    tip = f"{kind} {name}" if kind else name
    return f'<th scope="col"{mark} title="{_text(tip)}"><button type="button">{_text(name)}</button></th>'


def _row(row: OverviewRow, columns: Iterable[_Column]) -> str:
    state = f' class="{row.state}"' if row.state in ("running", "finished", "crashed") else ""
    name = row.name or row.key
    tip = f' title="{_text(name)}"' if len(name) > SHORT else ""
    cells = [
        f'<th scope="row"{tip}><a href="{_href(row.path)}/">{_text(name)}</a></th>',
        f"<td{state}>{_text(row.state)}</td>",
        f"<td>{_moment(row.started_ms)}</td>",
        _duration(row.duration_ms),
        f"<td>{' '.join(f'<i>{_text(tag)}</i>' for tag in row.tags)}</td>",
    ]
    for column in columns:
        cells.append(_cell(row.metrics if column.kind == "metric" else row.params, column))
    links = "".join(f'<a href="{_href(row.path, name)}">{_text(name)}</a>' for name in row.files)
    return "".join([*cells, f"<td>{_text(row.key)}</td>", f"<td>{links}</td>"])


def _cell(values: Mapping[str, str], column: _Column) -> str:
    value = values.get(column.name) or ""
    mark = ""
    if column.kind == "parameter":
        mark = ' class="d"' if column.usual in (None, value) else ' class="o"'
    if len(value) <= SHORT:
        return f"<td{mark}>{_text(value)}</td>"
    return f'<td{mark} title="{_text(value[:LONG])}">{_text(value[:SHORT])}…</td>'


def _duration(milliseconds: float | None) -> str:
    if milliseconds is None or not math.isfinite(milliseconds):
        return "<td></td>"
    return f'<td data-v="{milliseconds}">{_spoken(milliseconds / 1000)}</td>'


def _spoken(seconds: float) -> str:
    """Seconds as people say them: two units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    return f"{whole // 60} min {whole % 60} s"


def _moment(milliseconds: float | None) -> str:
    """UTC; nothing for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else ""
    except (OverflowError, ValueError, OSError):
        return ""


# -- below the table ---------------------------------------------------------------------------------------------------


def _same(rows: Sequence[OverviewRow]) -> str:
    """The parameters that all experiments have, with one value, folded away; unfolded where there is but one."""
    if not rows:
        return ""
    first, *others = rows
    same = {name: value for name, value in first.params.items() if all(row.params.get(name) == value for row in others)}
    if not same:
        return ""
    lines = "\n".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value[:LONG])}</td></tr>'
        for name, value in sorted(same.items())
    )
    words = f"{_counted(len(same), 'parameter')} with the same value everywhere" if others else "Parameters"
    return (
        f"<details{'' if others else ' open'}><summary>{words}</summary>\n<table>\n<tbody>\n{lines}\n"
        "</tbody>\n</table>\n</details>"
    )


def _charts(charts: Sequence[tuple[str, str]]) -> str:
    if not charts:
        return ""
    figures = "\n".join(
        f'<a href="{_href(path)}" title="{_text(metric)}">'
        f'<img loading="lazy" decoding="async" width="1000" height="560" src="{_href(path)}" alt="{_text(metric)}"></a>'
        for metric, path in charts
    )
    return f'<h2>Charts</h2>\n<div class="charts">\n{figures}\n</div>'


# -- words -------------------------------------------------------------------------------------------------------------


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _text(words: object) -> str:
    """What a user wrote, as text of HTML, between tags and in quoted attributes."""
    return escape(printable(str(words)))


def _href(*path: str) -> str:
    """A relative path as a link; "./" before it, so that nothing in it can be read as a scheme or a host."""
    return "./" + "/".join(quote(part.strip("/"), safe="/", errors="replace") for part in path)
