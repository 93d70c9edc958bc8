"""Answers that become CSV (RFC 4180 with "\\n" line ends), and a table as JSON Lines: what DuckDB, pandas, awk and jq
read without options."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, TypeVar

from cometfs.errors import TooBig
from cometfs.render import aligned
from cometfs.render.numbers import placed
from cometfs.render.objects import dumped, native, numeric
from cometfs.render.series import Series
from cometfs.render.text import text

Lines = Sequence[tuple[str, Series | None]]
"""Each experiment's directory name, and its points of one metric."""

T = TypeVar("T")

PIECE = 1000
"""Lines of a table that are text at a time."""

MOST = 128 << 20
"""Bytes of a chart's table at most: it is made in memory."""


def chart(lines: Lines, errors: Sequence[str] = (), most: int = MOST) -> bytes:
    """One metric of many experiments: step, and a column per experiment, a row per step that any of them has.

    Of several values at one step the last one stands. `errors`: why some columns are empty, in the first row of a last
    column, which is there for them alone. Raises TooBig for a table of more than `most` bytes.
    """
    out = io.BytesIO()
    out.write(sheet(("step", *(name for name, _ in lines), *((LAST,) if errors else ())), ()))
    ends, begun = _ends(errors), out.tell()
    for steps, cells in aligned.rows([series for _, series in lines]):
        places = [str(placed(step)) for step in steps]
        written = map(",".join, zip(places, *cells, strict=True))
        out.writelines(f"{line}{end}\n".encode() for line, end in zip(written, ends, strict=False))
        if out.tell() > most:
            raise TooBig(f"a chart of {len(lines):,} experiments has more than {most >> 20} MiB as a table")
    if errors and out.tell() == begun:
        out.write(f"{',' * len(lines)}{next(ends)}\n".encode())
    return out.getvalue()


def _ends(errors: Sequence[str]) -> Iterator[str]:
    """What follows the other cells of each row."""
    if errors:
        cell = sheet(None, [["; ".join(errors)]]).decode().removesuffix("\n")
        return chain([f",{cell}"], repeat(","))
    return repeat("")


KINDS = ("param.", "other.", "metric.")
"""How the columns of what was logged begin, in their order; the others are those that every experiment has."""


LAST = "error"
"""The last column: why some of the others are empty."""

FIXED = ("key", "name", "directory", "state", "user", "start", "end", "duration_s", "tags", LAST)
"""The columns of a table without experiments: those that every experiment has."""


def experiments(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One row per experiment. A row maps column names to values; all columns of all rows, the fixed ones first.

    The others follow sorted by name: ``param.*``, ``other.*``, ``metric.*`` in this order, then the `LAST`. Of a list
    (tags), its items with ";" between them. `rows` is gone through twice, and never held.
    """
    columns = FIXED if next(iter(rows), None) is None else _columns(rows)
    return sheet(columns, ([_cell(row.get(name)) for name in columns] for row in rows))


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    found = dict.fromkeys(name for row in rows for name in row)
    fixed = [name for name in found if not name.startswith(KINDS) and name != LAST]
    logged = [name for kind in KINDS for name in sorted(found) if name.startswith(kind)]
    return [*fixed, *logged, *([LAST] if LAST in found else [])]


def _cell(value: Any) -> Any:
    return ";".join(value) if isinstance(value, list) else value


def experiments_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The same table as JSON, an object a line: numbers, true, false, lists and null as such."""
    columns = [(name, dumped(name), _writer(name)) for name in _columns(rows)]
    lines = ("{" + ", ".join(f"{key}: {write(row.get(name))}" for name, key, write in columns) + "}\n" for row in rows)
    return _written(map("".join, _in_pieces(lines)))


def _writer(name: str) -> Callable[[Any], str]:
    if not name.startswith(KINDS):
        return dumped
    return numeric if name.startswith("metric.") else native


def sheet(head: Iterable[str] | None, rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV, under a head where there is one."""
    return _written(map(_csv, _in_pieces(itertools.chain(() if head is None else (head,), rows))))


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()


def _in_pieces(lines: Iterable[T]) -> Iterator[list[T]]:
    left = iter(lines)
    return iter(lambda: list(itertools.islice(left, PIECE)), [])


def _written(pieces: Iterable[str]) -> bytes:
    """A text whose pieces are never all in memory beside its bytes."""
    out = io.BytesIO()
    out.writelines(map(text, pieces))
    return out.getvalue()
