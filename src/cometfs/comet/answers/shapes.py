"""From the JSON of an answer to rows in one normal form, whichever Comet it comes from: pure functions.

A row's form is declared once, as a TypedDict: its fields, in the order of the SDK's page, and their types. Here the
declaration is held against what arrived: a missing or null field becomes None where the declaration allows it, and is
a `Mismatch` where it does not; what Comet sends beyond the declaration is passed on as it is.

Not here: the forms themselves (`models`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

R = TypeVar("R")
T = TypeVar("T")
Row = dict[str, Any]

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROW = msgspec.json.Decoder(Row)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_NULL = msgspec.Raw(b"null")

_REFUSAL = frozenset(("msg", "logMsg", "code", "sdk_error_code", "error", "message"))
"""Fields of a refusal: of Comet's, and of what stands before it."""


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
        row = _ROW.decode(body)
        _refuse_refusal(row, self._blank)
        return self.normal(row)

    def rows(self, body: bytes, name: str) -> list[R]:
        """The rows in the field `name` of an answer, which must have it."""
        return self._rows(_field(body, name))

    def rows_if_any(self, body: bytes, name: str) -> list[R]:
        """The same; none where the field is null or missing."""
        return self._rows(_field_if_any(body, name))

    def _rows(self, raw: msgspec.Raw | None) -> list[R]:
        return [self.normal(_ROW.decode(row)) for row in _each(raw)]


def raw_rows(body: bytes, name: str) -> list[msgspec.Raw]:
    """The rows in the field `name` of an answer, not read yet; none where the field is null or missing."""
    return _each(_field_if_any(body, name))


def _each(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Row by row, not at once: a decoder in C lets no other thread run until it is done."""
    return [] if raw is None else _ROWS.decode(raw)


def value(body: bytes, name: str, kind: type[T]) -> T:
    """The field `name` of an answer, which must have it."""
    return _decoded(_field(body, name), name, kind)


def value_if_any(body: bytes, name: str, kind: type[T]) -> T | None:
    """The same; None where the field is null or missing."""
    raw = _field_if_any(body, name)
    return None if raw is None else _decoded(raw, name, kind)


def whole(body: bytes) -> Row:
    """All of an answer of no declared form."""
    row = _ROW.decode(body)
    if row.keys() <= _REFUSAL:
        _refuse_refusal(row, {})
    return row


def _decoded(raw: msgspec.Raw, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as exc:
        raise Mismatch(f"{name!r}: {exc}") from exc


def _field(body: bytes, name: str) -> msgspec.Raw:
    raw = _FIELDS.decode(body).get(name)
    if raw is None or raw == _NULL:
        raise Mismatch(f"{name!r} is {_called(None)}")
    return raw


def _field_if_any(body: bytes, name: str) -> msgspec.Raw | None:
    fields = _FIELDS.decode(body)
    _refuse_refusal(fields, (name,))
    raw = fields.get(name)
    return None if raw == _NULL else raw


def _refuse_refusal(found: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Raises Mismatch for an answer that has nothing of what it should have, and something of what a refusal has:
    some servers send theirs with status 200, and it does not mean that there is nothing."""
    if found.keys().isdisjoint(fields) and not found.keys().isdisjoint(_REFUSAL):
        raise Mismatch("it is a refusal, though its status is 200")


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
