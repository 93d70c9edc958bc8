"""Values as they are loaded and kept: how fresh they are, encoded, weighed, and sharing what is equal. No I/O."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from cometfs.lease import Lease

# A decoded answer takes about this many times the bytes that it is encoded in (measured with sys.getsizeof over
# listings of experiments and metric points: 4 to 7).
_DECODED = 6


def encoded(value: Any) -> bytes | None:
    """The value as bytes that `decoded` reads; None for what cannot be written so (a lone surrogate, a class)."""
    try:
        return msgspec.msgpack.encode(value)
    except (UnicodeEncodeError, TypeError, OverflowError):
        return None


def decoded(written: bytes) -> Any:
    """The inverse of `encoded`; tuples come back as lists."""
    return msgspec.msgpack.decode(written)


MANY = 100
"""Rows from which on a list is long: as many are looked at to learn what its rows are like."""


def with_shared_texts(value: Any) -> Any:
    """Long lists of rows with one object for equal texts: each experiment of a project names its user."""
    if _is_long(value):
        some = _sample(value)
        for name in some[0]:
            found = [row.get(name) for row in some]
            texts = {text: text for text in found if type(text) is str}
            if 0 < len(texts) <= len(some) // 10:
                _share(value, name, texts)
    return value


def _share(rows: Iterable[Any], name: str, texts: dict[str, str]) -> None:
    for row in filter(_is_row, rows):
        found = row.get(name)
        if type(found) is str:
            row[name] = texts.setdefault(found, found)


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= MANY and _is_row(value[0])


def _is_row(value: Any) -> bool:
    return type(value) is dict


def _sample(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return list(filter(_is_row, rows[:: len(rows) // MANY]))


def _weigh_rows(rows: Sequence[Any]) -> int:
    """The bytes of a long list, by some of its rows, in which one object is counted once."""
    some = _sample(rows)
    fields = {id(found): found for row in some for found in row.values()}
    of_some = sum(map(sys.getsizeof, some)) + sum(map(_weigh_field, fields.values()))
    return sys.getsizeof(rows) + of_some * len(rows) // len(some)


def _weigh_field(found: Any) -> int:
    return weigh(found) if isinstance(found, list | dict) and found else sys.getsizeof(found)


def weigh(value: Any, written: bytes | None = None) -> int:
    """The bytes that keeping `value` costs, roughly; exact for bytes and texts, for long lists of rows, and for what
    tells its own `weight`, or what each item takes `beside` what is held elsewhere. `written`: its encoding, if made.
    """
    if isinstance(weight := getattr(value, "weight", None), int):
        return weight + 64
    if isinstance(value, bytes | str):
        return len(value) + 64
    if _is_long(value):
        return _weigh_rows(value) + 64
    if isinstance(value, list) and value and isinstance(beside := getattr(value[0], "beside", None), int):
        return len(value) * beside + 64
    written = encoded(value) if written is None else written
    return (len(repr(value)) if written is None else len(written)) * _DECODED + 64


def with_items_of(before: Any, after: Any) -> Any:
    """A list, with the very items of the one before wherever they are equal, from both ends on; else `after` itself.

    Of a project that is listed once a minute most rows stay as they are: a caller that holds one holds no second copy
    in memory."""
    if not isinstance(before, list) or not isinstance(after, list):
        return after
    head = _equal(before, after)
    left = min(len(before), len(after)) - head
    tail = _equal(reversed(before[len(before) - left :]), reversed(after[len(after) - left :]))
    return before[:head] + after[head : len(after) - tail] + before[len(before) - tail :]


def _equal(some: Iterable[Any], others: Iterable[Any]) -> int:
    """How many items at the beginning are equal."""
    count = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        count += 1
    return count


class Freshness(NamedTuple):
    """How fresh what was loaded is: no fresher than what it was made of."""

    lease: Lease
    age: float = 0.0
    """Seconds since the oldest of that arrived."""
    stale: bool = False
    """Whether some of that was shown although its lease had ended."""


class Load(NamedTuple):
    """How an answer is had that is not at hand."""

    load: Callable[[], Awaitable[Any]]
    lease: Lease | Callable[[], Freshness]
    """A function is asked when the load has ended."""
    lasting: bool = False
    """Whether the answer goes to disk."""

    def freshness(self) -> Freshness:
        return self.lease() if callable(self.lease) else Freshness(self.lease)
