"""From the JSON of an answer to rows in one normal form, whichever Comet it comes from: pure functions.

A row's form is declared once, as a TypedDict: its fields, in the order of the SDK's page, and their types. Here the
declaration is held against what arrived: a missing or null field becomes None where the declaration allows it, and is
a `Mismatch` where it does not; what Comet sends beyond the declaration is passed on as it is.

Not here: the forms themselves (`models`).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

R = TypeVar("R")
T = TypeVar("T")
Row = dict[str, Any]

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROW = msgspec.json.Decoder(Row)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw] | None)


class Mismatch(ValueError):
    """An answer is not what its endpoint promises; the text says where."""


def unchanged(_row: Row) -> None:
    """The spelling of a kind of row that has just one."""


@dataclass(frozen=True)
class Shape(Generic[R]):
    """The normal form of a kind of row. `respell` rewrites other spellings of a fresh row, in place."""

    form: type[R]
    respell: Callable[[Row], None] = unchanged
    _blank: Row = field(init=False, repr=False)
    _kinds: dict[str, tuple[type, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.form)
        object.__setattr__(self, "_blank", dict.fromkeys(hints))
        kinds = {name: _kinds(hint) for name, hint in hints.items()}
        object.__setattr__(self, "_kinds", {name: kind for name, kind in kinds.items() if object not in kind})

    def normal(self, row: Any) -> R:
        """`row` in its normal form. It may be changed in place."""
        if not isinstance(row, dict):
            raise Mismatch(f"{self.form.__name__}: no object, but {_called(row)}")
        self.respell(row)
        whole = self._blank | row
        for name, kinds in self._kinds.items():
            if not isinstance(whole[name], kinds):
                raise Mismatch(f"{self.form.__name__}: {name!r} is {_called(whole[name])}")
        return cast(R, whole)

    def read(self, body: bytes) -> R:
        """The row that is all of an answer."""
        return self.normal(_ROW.decode(body))

    def rows(self, body: bytes, name: str, *, required: bool = False) -> list[R]:
        """The rows in the field `name` of an answer; none where it is null, nor where it is missing if it may be.

        Row by row, not at once: a decoder in C lets no other thread run until it is done.
        """
        raw = _part(body, name, required)
        return [] if raw is None else [self.normal(_ROW.decode(row)) for row in _ROWS.decode(raw) or ()]


def value(body: bytes, name: str, kind: type[T], *, required: bool = False) -> T | None:
    """The field `name` of an answer, None where it is null, and where it is missing if it may be."""
    raw = _part(body, name, required)
    try:
        return None if raw is None else msgspec.json.decode(raw, type=cast(type[T], kind | None))
    except msgspec.ValidationError as exc:
        raise Mismatch(f"{name!r}: {exc}") from exc


def _part(body: bytes, name: str, required: bool) -> msgspec.Raw | None:
    raw = _FIELDS.decode(body).get(name)
    if raw is None and required:
        raise Mismatch(f"{name!r} is missing")
    return raw


def _kinds(hint: Any) -> tuple[type, ...]:
    """The classes of the values that a field's type allows: ``float`` also takes integers, as in type hints."""
    choices = get_args(hint) if get_origin(hint) is types.UnionType else (hint,)
    kinds = tuple(object if choice is Any else get_origin(choice) or choice for choice in choices)
    return (*kinds, int) if float in kinds else kinds


def _called(found: Any) -> str:
    return "null or missing" if found is None else f"of type {type(found).__name__}"


def items(row: Row, name: str) -> list[Any]:
    """The list in a field of a row, empty where it is null or missing."""
    found = row.get(name)
    if not isinstance(found, list | None):
        raise Mismatch(f"{name!r} is {_called(found)}")
    return found or []


def as_text(found: Any) -> str | None:
    """A logged value as text, as Comet answers it; some answers have it as a JSON value."""
    if found is None or isinstance(found, str):
        return found
    return msgspec.json.encode(found).decode()


def as_number(found: Any) -> float | None:
    """A logged value as a number; text as Java writes numbers (``8.6E-4``, ``NaN``, ``-Infinity``) is one.

    None where it is none: programs log words as metrics, too, and a chart of many must not fail for one of them.
    """
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    try:
        return float(found)
    except (TypeError, ValueError):
        return None
