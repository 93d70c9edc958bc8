"""Logged curves, confusion matrices and histograms as CSV, whatever their assets hold.

An asset of these types may hold anything. What makes rows at all makes a table, and none of it is lost: a short row has
empty cells, what has no label bears its number, a count of no known bin stands alone. `NoTable` is all the rest.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from cometfs.render.objects import dumped
from cometfs.render.tables import sheet
from cometfs.text.depth import DEEPEST, is_deep
from cometfs.text.numbers import number_of, whole_of, word_of

MOST_EDGES = 20_000
"""Bins of one histogram on either side; comet_ml's own have 1,550 in all. Some are kept in memory, as text."""

MOST_EMPTY = 10_000_000
"""Cells of a confusion matrix that it does not have itself: one long row beside many empty ones has billions."""


class NoTable(ValueError):
    """What was logged cannot be made into a table."""


def parsed(body: bytes) -> Any:
    """The JSON of an asset. Python wrote it, so it may have NaN and infinities; what no double holds stays text."""
    try:
        found = json.loads(body, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError) as error:
        raise NoTable(f"no JSON: {error}") from error
    if is_deep(found):
        raise NoTable(f"more than {DEEPEST} levels")
    return found


def _integer(digits: str) -> int | str:
    whole = whole_of(digits.removeprefix("-"))
    return digits if whole is None else -whole if digits.startswith("-") else whole


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def curve(found: Any) -> bytes:
    """A logged curve (``{"x": [...], "y": [...]}``): x, y in its own order."""
    fields = _object(found)
    if fields.get("x") is None and fields.get("y") is None:
        raise NoTable("neither x nor y")
    points = zip_longest(_items(fields.get("x")), _items(fields.get("y")))
    return sheet(("x", "y"), ((cell(x), cell(y)) for x, y in points))


def confusion_matrix(found: Any) -> bytes:
    """A logged confusion matrix: a row per actual label, a column per predicted one, counts in the cells."""
    fields = _object(found)
    if fields.get("matrix") is None:
        raise NoTable("no matrix")
    matrix = [_items(row) for row in _items(fields["matrix"])]
    labels = _labels(fields.get("labels"), len(matrix))
    columns = _labels(labels, max(map(len, matrix), default=0))
    if len(columns) * len(matrix) - sum(map(len, matrix)) > MOST_EMPTY:
        raise NoTable(f"more than {MOST_EMPTY:,} cells are empty")
    corner = f"{cell(fields.get('rowLabel') or 'actual')} \\ {cell(fields.get('columnLabel') or 'predicted')}"
    rows = ((label, *_padded(row, len(columns))) for label, row in zip(labels, matrix, strict=False))
    return sheet((corner, *columns), rows)


def _labels(given: Any, count: int) -> list[str]:
    """At least `count` labels; those that are missing are numbers."""
    labels = given if isinstance(given, list) else []
    named = [str(index) if label is None else cell(label) for index, label in enumerate(labels)]
    return [*named, *(str(index) for index in range(len(named), count))]


def _padded(row: Sequence[Any], count: int) -> Iterator[str]:
    return (cell(row[index]) if index < len(row) else "" for index in range(count))


HISTOGRAM_HEAD = b"step,low,high,count\n"


def histogram_steps(body: bytes, step: Any) -> Iterator[tuple[Any, Any]]:
    """Step and histogram of all that an asset holds: many (``{"histograms": [...]}``), one by one, or one of `step`."""
    entries = _entries(body)
    if entries is None:
        found = parsed(body)
        many = found.get("histograms") if isinstance(found, dict) else None
        entries = many if isinstance(many, list) else [{"step": step, "histogram": found}]
    for entry in entries:
        found = parsed(bytes(entry)) if isinstance(entry, msgspec.Raw) else entry
        yield (found.get("step"), found.get("histogram")) if isinstance(found, dict) else (None, None)


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def _entries(body: bytes) -> list[Any] | None:
    """The histograms of many steps, not parsed yet: as objects they take ten times as much memory, all together."""
    try:
        return _ITEMS.decode(_FIELDS.decode(body)["histograms"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None


def histogram(found: Any, step: Any) -> bytes:
    """The rows of one step: low, high, count of every bin that is not empty."""
    edges, counts, place = _edges_of(_object(found)), _items_that_are(found.get("index_values")), cell(step)
    rows = []
    for pair in counts:
        if not isinstance(pair, list) or len(pair) != 2:
            raise NoTable("a bin is no index and count")
        low, high = _bin(edges, pair[0])
        rows.append((place, low, high, cell(pair[1])))
    return sheet(None, rows)


def unreadable(step: Any) -> bytes:
    """The row of a step whose histogram cannot be shown: nothing but the step."""
    return sheet(None, [(cell(step), "", "", "")])


def in_steps(rows: Iterable[tuple[Any, bytes]]) -> bytes:
    """The table of all steps, in their order; what has none comes last."""

    def place(row: tuple[Any, bytes]) -> float:
        number = number_of(row[0])
        return math.inf if number is None or math.isnan(number) else number

    return HISTOGRAM_HEAD + b"".join(written for _, written in sorted(rows, key=place))


def _bin(edges: Sequence[str], index: Any) -> tuple[str, str]:
    """The ends of a bin, as far as there are any. A negative index is none: it would be counted from the end."""
    number = index if type(index) is int else number_of(index)
    if number is None or not 0 <= number < len(edges) or number != int(number):
        return "", ""
    at = int(number)
    return edges[at], edges[at + 1] if at + 1 < len(edges) else ""


def _edges_of(fields: Mapping[str, Any]) -> Sequence[str]:
    if fields.get("values"):
        return [cell(edge) for edge in _items(fields["values"])]
    given = (("offset", 0.0), ("start", 1e-12), ("stop", 1e20), ("step", 1.1))
    offset, start, stop, step = (_number(fields.get(name), default) for name, default in given)
    if start <= 0 or step <= 1:
        raise NoTable("no bins as comet_ml makes them")
    return _edges(offset, start, stop, step)


def _number(given: Any, default: float) -> float:
    number = default if given is None else number_of(given)
    if number is None or not math.isfinite(number):
        raise NoTable("the bins have no finite bounds")
    return number


@functools.lru_cache(16)
def _edges(offset: float, start: float, stop: float, step: float) -> Sequence[str]:
    """Bins are exponential around `offset`: offset +- start * step**k, out to infinity. Multiplied as comet_ml does, so
    that they are the same doubles."""
    above: list[float] = []
    distance = start
    while offset + distance <= stop:
        above.append(distance)
        distance *= step
        if len(above) > MOST_EDGES:
            raise NoTable(f"more than {MOST_EDGES:,} bins")
    edges = (-math.inf, *(offset - d for d in reversed(above)), offset, *(offset + d for d in above), math.inf)
    return [cell(edge) for edge in edges]


def cell(value: Any) -> str:
    """A value of JSON in CSV: texts as they are, null as nothing, all else as JSON; NaN as Comet spells it."""
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else word_of(value)
    return value if isinstance(value, str) else dumped(value)


def _object(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise NoTable("no object")
    return found


def _items(found: Any) -> list[Any]:
    return [] if found is None else _items_that_are(found)


def _items_that_are(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise NoTable("no list where one is needed")
    return found
