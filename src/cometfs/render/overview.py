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
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from cometfs.render.cells import brief, is_everybodys, is_number, moment, spoken
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

PLACEHOLDER = "Filter: words, or conditions as in lr=0.03 val/accuracy>0.97"
HELP = """Words that stand in any column, and conditions on columns: < <= > >= = !=, all of which must hold.
Quotes around names and words with spaces: "process duration">60. Two columns of one name: param.loss, metric.loss.
Of tags, one is enough; a duration is in seconds, or as 5min, 2h, 1d; lr="" finds what has no lr."""

_PREFIX = {"parameter": "param", "metric": "metric"}

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

    def of(self, row: OverviewRow) -> str:
        """Its value; empty where the experiment has none."""
        return (row.metrics if self.kind == "metric" else row.params).get(self.name) or ""


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
    updated = moment(project.get("lastUpdated"))
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
        f'<div class="bar"><input id="filter" type="search" placeholder="{_text(PLACEHOLDER)}" title="{_text(HELP)}" '
        'aria-label="Filter experiments"><output id="count" class="soft" for="filter"></output>'
        '<output id="fault" class="crashed" for="filter"></output></div>\n'
        '<div class="frame" tabindex="0" role="region" aria-label="Experiments">\n<table id="experiments">\n'
        f"<thead><tr>{_headers(columns, rows)}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n{hidden}{note}"
    )


def _columns(rows: Sequence[OverviewRow]) -> tuple[list[_Column], int]:
    """Parameters that differ, then metrics, those that everybody has last; and how many there is no room for."""
    names = sorted({name for row in rows for name in row.params})
    differing = [(name, Counter(row.params.get(name, "") for row in rows)) for name in names]
    params = [_Column(name, "parameter", _usual(seen)) for name, seen in differing if len(seen) > 1]
    metrics = [_Column(name, "metric") for name in sorted({name for row in rows for name in row.metrics})]
    columns = sorted(params + metrics, key=lambda column: is_everybodys(column.name))
    most = max(MANY, CELLS // len(rows))
    return columns[:most], max(0, len(columns) - most)


def _usual(seen: Counter[str]) -> str | None:
    value, count = seen.most_common(1)[0]
    return value if 2 * count > seen.total() else None


def _headers(columns: Iterable[_Column], rows: Sequence[OverviewRow]) -> str:
    fixed = [_header(name) for name in ("name", "state", "start (UTC)", "duration", "tags")]
    found = [_header_of(column, rows) for column in columns]
    return "".join([*fixed, *found, _header("key"), '<th scope="col"><span>files</span></th>'])


def _header_of(column: _Column, rows: Sequence[OverviewRow]) -> str:
    numbers = all(is_number(value) for row in rows if (value := column.of(row)))
    marks = _marked("d" * (column.kind == "parameter"), "n" * numbers)
    return _header(column.name, f"{column.kind} {column.name}", f"{_PREFIX[column.kind]}.{column.name}", marks)


def _header(name: str, tip: str = "", full: str = "", marks: str = "") -> str:
    """`full`: its name in experiments.csv, which a filter may use."""
    return (
        f'<th scope="col"{marks} data-column="{_text(full or name.split(" ")[0])}" title="{_text(tip or name)}">'
        f'<button type="button">{_text(name)}</button></th>'
    )


def _marked(*marks: str) -> str:
    """The attribute for those that are not empty."""
    return f' class="{" ".join(filter(None, marks))}"' if any(marks) else ""


def _row(row: OverviewRow, columns: Iterable[_Column]) -> str:
    state = f' class="{row.state}"' if row.state in ("running", "finished", "crashed") else ""
    name = row.name or row.key
    tip = f' title="{_text(name)}"' if len(name) > SHORT else ""
    cells = [
        f'<th scope="row"{tip}><a href="{_href(row.path)}/">{_text(name)}</a></th>',
        f"<td{state}>{_text(row.state)}</td>",
        f"<td>{moment(row.started_ms)}</td>",
        _duration(row.duration_ms),
        f"<td>{' '.join(f'<i>{_text(tag)}</i>' for tag in row.tags)}</td>",
    ]
    cells += [_cell(column.of(row), column) for column in columns]
    links = "".join(f'<a href="{_href(row.path, name)}">{_text(name)}</a>' for name in row.files)
    return "".join([*cells, f"<td>{_text(row.key)}</td>", f"<td>{links}</td>"])


def _cell(value: str, column: _Column) -> str:
    differs = "" if column.kind != "parameter" else "d" if column.usual in (None, value) else "o"
    marks = _marked(differs, "n" * is_number(value))
    shown = brief(value)
    if len(shown) > SHORT:
        shown = shown[:SHORT] + "…"
    tip = f' title="{_text(value[:LONG])}"' if shown != value else ""
    return f"<td{marks}{tip}>{_text(shown)}</td>"


def _duration(milliseconds: float | None) -> str:
    if milliseconds is None or not math.isfinite(milliseconds):
        return "<td></td>"
    return f'<td data-v="{milliseconds}">{spoken(milliseconds / 1000)}</td>'


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
        f"<details{'' if others else ' open'}><summary>{words}</summary>\n"
        f'<table id="same">\n<tbody>\n{lines}\n</tbody>\n</table>\n</details>'
    )


def _charts(charts: Sequence[tuple[str, str]]) -> str:
    """The user's own; below them, folded, what comet_ml logs in every experiment."""
    if not charts:
        return ""
    own = [chart for chart in charts if not is_everybodys(chart[0])]
    others = [chart for chart in charts if is_everybodys(chart[0])]
    folded = (
        f"<details{'' if own else ' open'}><summary>{_counted(len(others), 'chart')} of what comet_ml logs by itself"
    )
    parts = [_figures(own)] if own else []
    parts += [f"{folded}</summary>\n{_figures(others)}\n</details>"] if others else []
    return "\n".join(["<h2>Charts</h2>", *parts])


def _figures(charts: Sequence[tuple[str, str]]) -> str:
    figures = "\n".join(
        f'<a href="{_href(path)}" title="{_text(metric)}">'
        f'<img loading="lazy" decoding="async" width="1000" height="560" src="{_href(path)}" alt="{_text(metric)}"></a>'
        for metric, path in charts
    )
    return f'<div class="charts">\n{figures}\n</div>'


# -- words -------------------------------------------------------------------------------------------------------------


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _text(words: object) -> str:
    """What a user wrote, as text of HTML, between tags and in quoted attributes."""
    return escape(printable(str(words)))


def _href(*path: str) -> str:
    """A relative path as a link; "./" before it, so that nothing in it can be read as a scheme or a host."""
    return "./" + "/".join(quote(part.strip("/"), safe="/", errors="replace") for part in path)
