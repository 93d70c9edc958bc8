"""Answers that become CSV (RFC 4180 with "\\n" line ends), and a table as JSON Lines: what DuckDB, pandas, awk and jq
read without options."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cometfs.render.numbers import placed, spelt
from cometfs.render.objects import dumped, native, numeric
from cometfs.render.text import text

Lines = Sequence[tuple[str, Mapping[str, Any] | None]]
"""Each experiment's directory name, and what a chart has of one metric: `steps`, `epochs`, `values` in parallel."""


def chart(lines: Lines) -> bytes:
    """One metric of many experiments: step, and a column per experiment, a row per step that any of them has.

    Where an experiment logged no steps its epochs stand for them, else the order of logging. Of several values at one
    step the last one stands.
    """
    columns = [dict(places(metric)) for _, metric in lines]
    steps = sorted({step for column in columns for step in column})
    head = ("step", *(name for name, _ in lines))
    return sheet(head, ((placed(step), *(spelt(column.get(step)) for column in columns)) for step in steps))


def places(metric: Mapping[str, Any] | None) -> Iterable[tuple[float, Any]]:
    """(step, value) of every point of a chart's metric, in the order of logging; see `chart`."""
    return zip(*series(metric), strict=True)


def series(metric: Mapping[str, Any] | None) -> tuple[Sequence[float], Sequence[Any]]:
    """The steps and the values of the same points."""
    if metric is None:
        return [], []
    values = metric["values"]
    for field in ("steps", "epochs"):
        where = metric.get(field) or []
        if where.count(None) < len(where):
            return _placed(where, values)
    return range(len(values)), values


def _placed(where: Sequence[Any], values: Sequence[Any]) -> tuple[Sequence[float], Sequence[Any]]:
    """Without the points that have no step where others have one."""
    if None not in where and len(where) == len(values):
        return where, values
    found = [(step, value) for step, value in zip(where, values, strict=False) if step is not None]
    return [step for step, _ in found], [value for _, value in found]


KINDS = ("param.", "other.", "metric.")
"""How the columns of what was logged begin, in their order; the others are those that every experiment has."""


def experiments(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One row per experiment. A row maps column names to values; all columns of all rows, the fixed ones first.

    The others follow sorted by name: ``param.*``, ``other.*``, ``metric.*`` in this order. Of a list (tags), its items
    with ";" between them.
    """
    columns = _columns(rows)
    return sheet(columns, ([_cell(row.get(name)) for name in columns] for row in rows))


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = dict.fromkeys(name for row in rows for name in row)
    fixed = [name for name in found if not name.startswith(KINDS)]
    return [*fixed, *(name for kind in KINDS for name in sorted(found) if name.startswith(kind))]


def _cell(value: Any) -> Any:
    return ";".join(value) if isinstance(value, list) else value


def experiments_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The same table as JSON, an object a line: numbers, true, false, lists and null as such."""
    columns = [(name, dumped(name), _writer(name)) for name in _columns(rows)]
    lines = ("{" + ", ".join(f"{key}: {write(row.get(name))}" for name, key, write in columns) + "}\n" for row in rows)
    return text("".join(lines))


def _writer(name: str) -> Callable[[Any], str]:
    if not name.startswith(KINDS):
        return dumped
    return numeric if name.startswith("metric.") else native


def sheet(head: Iterable[str] | None, rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV, under a head where there is one."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    if head is not None:
        writer.writerow(head)
    writer.writerows(rows)
    return text(written.getvalue())
