"""From the JSON of an answer to rows in one normal form, whichever Comet it comes from: pure functions.

A row's form is declared once, as a TypedDict: its fields, in the order of the SDK's page, and their types. Here the
declaration is held against what arrived: a value of a wrong type that can mean one thing only is that ("true", a number
as a name); any other, and a field that is missing or null, becomes None where the declaration allows it; without one
that it does not allow to be None nothing says what the row is. One bad row costs that row: it is left out and noted,
unless no row would be left. So is one of a thing that stands there already. What Comet sends beyond the declaration is
passed on as it is.

Not here: the forms themselves (`models`).
"""

from __future__ import annotations

import re
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from cometfs.errors import AnswerTooLarge
from cometfs.text.depth import is_deep
from cometfs.text.numbers import number_of, whole_of

R = TypeVar("R")
T = TypeVar("T")
Row = dict[str, Any]

_ROW = msgspec.json.Decoder(Row)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_ANY = msgspec.json.Decoder()

WEIGHED = 1 << 20
"""Bytes of an answer from which on it is looked at what it will take in memory."""

MOST = 512 << 20
"""Bytes of memory that an answer may take when it is read: few bytes of JSON may stand for many objects."""

UNREADABLE = (ValueError, msgspec.MsgspecError, RecursionError)
"""What reading a row, or all of an answer, may raise."""

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)")
"""An escape of JSON: a pair of surrogates, or a lone one, which the group finds, or any other."""

_REPLACED = rb"\ufffd"

_WORD = re.compile(rb'"(?:[^"\\]|\\.)*+"|(-?(?:NaN|Infinity))')
"""A text of JSON, or outside of texts a word for a number, which the group finds: Python writes it, JSON has none."""

_LIMIT = float(1 << 63)
"""Sizes and times beyond it fit into no attribute of a file."""

_LEFT_OUT: ContextVar[Counter[str] | None] = ContextVar("rows that were left out", default=None)

_REFUSAL = frozenset(("msg", "logMsg", "code", "sdk_error_code", "error", "message"))
"""Fields of a refusal: of Comet's, and of what stands before it."""


class Mismatch(ValueError):
    """An answer is not what its endpoint promises; the text says where."""


def unchanged(_row: Row) -> None:
    """The spelling of a kind of row that has just one."""


@contextmanager
def noting() -> Iterator[Counter[str]]:
    """What was left out of the answers that are read meanwhile: why, and how many rows for that reason."""
    noted: Counter[str] = Counter()
    token = _LEFT_OUT.set(noted)
    try:
        yield noted
    finally:
        _LEFT_OUT.reset(token)


def _note(reason: str) -> None:
    noted = _LEFT_OUT.get()
    if noted is not None:
        noted[reason] += 1


def readable(rows: Iterable[T], read: Callable[[T], R]) -> Iterator[R]:
    """What `read` makes of each row; those that it cannot read are left out, and noted."""
    for row in rows:
        try:
            found = read(row)
        except UNREADABLE as exc:
            _note(str(exc) or type(exc).__name__)
        else:
            yield found


def some(rows: list[T], read: Callable[[T], R]) -> list[R]:
    """The same; where no row can be read the error of the first one: there would be an empty list for an answer that
    is not understood at all."""
    found = list(readable(rows, read))
    if rows and not found:
        read(rows[0])
    return found


@dataclass(frozen=True)
class Shape(Generic[R]):
    """The normal form of a kind of row. `respell` rewrites other spellings of a fresh row, in place.

    `strict`: what a wrong type does not tell is a Mismatch in any field, because None would be a false answer.
    `known_by`: the field by which a row is known among others; "" where each stands for itself. `nameless`: whether
    that may be an empty text.
    """

    form: type[R]
    respell: Callable[[Row], None] = unchanged
    strict: bool = False
    known_by: str = ""
    nameless: bool = False
    _blank: Row = field(init=False, repr=False)
    _kinds: dict[str, frozenset[type]] = field(init=False, repr=False)
    _numbers: tuple[str, ...] = field(init=False, repr=False)
    _texts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.form)
        kinds = {name: _kinds(hint) for name, hint in hints.items()}
        put = object.__setattr__
        put(self, "_blank", dict.fromkeys(hints))
        put(self, "_kinds", {name: kind for name, kind in kinds.items() if object not in kind})
        put(self, "_numbers", tuple(name for name, kind in kinds.items() if int in kind))
        put(self, "_texts", tuple(name for name, hint in hints.items() if list[str] in _choices(hint)))

    def normal(self, row: Any) -> R:
        """`row` in its normal form. It may be changed in place."""
        if not isinstance(row, dict):
            raise Mismatch(f"{self.form.__name__}: no object, but {_called(row)}")
        self.respell(row)
        whole = self._blank | row
        for name, kinds in self._kinds.items():
            if type(whole[name]) not in kinds:
                whole[name] = self._instead(name, whole[name])
        for name in self._numbers:
            if whole[name] is not None and not -_LIMIT <= whole[name] < _LIMIT:
                whole[name] = self._instead(name, whole[name])
        for name in self._texts:
            whole[name] = whole[name] and [text for one in whole[name] if (text := scalar_text(one)) is not None]
        # Strict forms hold what was looked at item by item, and a chart has millions of them.
        for name, found in () if self.strict else whole.items():
            if (type(found) is dict or type(found) is list) and is_deep(found):
                whole[name] = self._instead(name, found) if name in self._kinds else None
        if self.known_by and not self.nameless and whole[self.known_by] == "":
            raise Mismatch(f"{self.form.__name__}: {self.known_by!r} is empty")
        return cast(R, whole)

    def _instead(self, name: str, found: Any) -> Any:
        """What stands for a field of a wrong type."""
        kinds = self._kinds[name]
        meant = _meant(found, kinds)
        if meant is not None:
            return meant
        if not self.strict and types.NoneType in kinds:
            return None
        if not self.strict and list in kinds:
            return []
        raise Mismatch(f"{self.form.__name__}: {name!r} is {_called(found)}")

    def read(self, body: bytes) -> R:
        """The row that is all of an answer."""
        row = _ROW.decode(bounded(body))
        _refuse_refusal(row, self._blank)
        return self.normal(row)

    def rows(self, body: bytes, name: str) -> list[R]:
        """The rows in the field `name` of an answer, which must have it."""
        return self._rows(_field(bounded(body), name))

    def rows_if_any(self, body: bytes, name: str) -> list[R]:
        """The same; none where the field is null or missing."""
        return self._rows(_field_if_any(bounded(body), name))

    def rows_within(self, row: Row, name: str) -> list[R]:
        """The rows in a field of another row; none where that is no list."""
        found = row.get(name)
        return self._each_once(list(readable(found if isinstance(found, list) else (), self.normal)))

    def _rows(self, raw: msgspec.Raw | None) -> list[R]:
        return self._each_once(some(_each(raw), lambda row: self.normal(_ANY.decode(row))))

    def _each_once(self, rows: list[R]) -> list[R]:
        """The rows without those of what a row before them stands for; noted where that says something else."""
        if not self.known_by:
            return rows
        first: dict[str, R] = {}
        for row in rows:
            stands = first.setdefault(cast(Row, row)[self.known_by], row)
            if stands is not row and stands != row:
                _note(f"{self.form.__name__}: another row has the same {self.known_by!r}")
        return rows if len(first) == len(rows) else list(first.values())


def mending(read: Callable[[bytes], R]) -> Callable[[bytes], R]:
    """`read`, for answers with texts and numbers that are none, too: a lone surrogate, and bytes that are no UTF-8,
    become U+FFFD, a NaN or an infinity the text that Comet has for it.

    Programs log them, and the JSON of a whole answer cannot be read for one of them.
    """

    def read_mended(body: bytes) -> R:
        body = body if body.isascii() else _valid(body)
        try:
            return read(body)
        except msgspec.DecodeError:  # of one of them, before any row is read
            mended = _ESCAPE.sub(lambda found: _REPLACED if found[1] else found[0], body)
            mended = _WORD.sub(lambda found: b'"%b"' % found[1] if found[1] else found[0], mended)
            if mended == body:
                raise
            return read(mended)

    return read_mended


def _valid(body: bytes) -> bytes:
    try:
        body.decode()
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace").encode()
    return body


def raw_rows(body: bytes, name: str) -> list[msgspec.Raw]:
    """The rows in the field `name` of an answer, not read yet; none where the field is null or missing."""
    return _each(_field_if_any(bounded(body), name))


def _each(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Row by row, not at once: a decoder in C lets no other thread run until it is done."""
    return [] if raw is None else _ROWS.decode(raw)


def texts(body: bytes, name: str) -> list[str]:
    """The texts in the field `name` of an answer, which must have it; each once."""
    return list(dict.fromkeys(some(_each(_field(bounded(body), name)), _text)))


def _text(raw: msgspec.Raw) -> str:
    found = _ANY.decode(raw)
    text = scalar_text(found)
    if text is None:
        raise Mismatch(f"no text, but {_called(found)}")
    return text


def value(body: bytes, name: str, kind: type[T]) -> T:
    """The field `name` of an answer, which must have it."""
    return _decoded(_field(body, name), name, kind)


def value_if_any(body: bytes, name: str, kind: type[T]) -> T | None:
    """The same; None where the field is null or missing."""
    raw = _field_if_any(body, name)
    return None if raw is None else _decoded(raw, name, kind)


def whole(body: bytes) -> Row:
    """All of an answer of no declared form."""
    row = _ROW.decode(bounded(body))
    if row.keys() <= _REFUSAL:
        _refuse_refusal(row, {})
    if is_deep(row):
        raise Mismatch("it is nested too deeply")
    return row


def _decoded(raw: msgspec.Raw, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as exc:
        raise Mismatch(f"{name!r}: {exc}") from exc


def _field(body: bytes, name: str) -> msgspec.Raw:
    raw = _fields(body, name).get(name)
    if raw is None or raw == _NULL:
        raise Mismatch(f"{name!r} is {_called(None)}")
    return raw


def _field_if_any(body: bytes, name: str) -> msgspec.Raw | None:
    fields = _fields(body, name)
    _refuse_refusal(fields, (name,))
    raw = fields.get(name)
    return None if raw == _NULL else raw


def _fields(body: bytes, name: str) -> dict[str, msgspec.Raw]:
    """That field of an answer and those of a refusal, as far as it has them: others take no memory."""
    wanted = [name, *_REFUSAL - {name}]
    found = _one_field(name).decode(body)
    raws = (getattr(found, f"f{number}") for number in range(len(wanted)))
    return {field: raw for field, raw in zip(wanted, raws, strict=True) if raw is not msgspec.UNSET}


@cache
def _one_field(name: str) -> msgspec.json.Decoder[Any]:
    wanted = [name, *_REFUSAL - {name}]
    kind = msgspec.defstruct(
        "Fields",
        [(f"f{number}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for number in range(len(wanted))],
        rename={f"f{number}": field for number, field in enumerate(wanted)},
    )
    return msgspec.json.Decoder(kind)


def bounded(body: bytes) -> bytes:
    """`body`; raises AnswerTooLarge where it would take more than `MOST` as Python's objects: a row some 300 bytes, an
    item 28, an entry of a row 34, a text 56 more."""
    if len(body) >= WEIGHED:
        entries = body.count(b":")
        texts = max(0, body.count(b'"') // 2 - entries)
        rows = body.count(b"{") + body.count(b"[")
        if 300 * rows + 28 * body.count(b",") + 34 * entries + 56 * texts > MOST:
            raise AnswerTooLarge(f"{len(body):,} bytes hold more than {MOST >> 20} MiB of rows")
    return body


def _refuse_refusal(found: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Raises Mismatch for an answer that has nothing of what it should have, and something of what a refusal has:
    some servers send theirs with status 200, and it does not mean that there is nothing."""
    if found.keys().isdisjoint(fields) and not found.keys().isdisjoint(_REFUSAL):
        raise Mismatch("it is a refusal, though its status is 200")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is types.UnionType else (hint,)


def _kinds(hint: Any) -> frozenset[type]:
    """The classes of the values that a field's type allows: ``float`` also takes integers, as in type hints."""
    kinds = frozenset(object if choice is Any else get_origin(choice) or choice for choice in _choices(hint))
    return kinds | {int} if float in kinds else kinds


def _meant(found: Any, kinds: frozenset[type]) -> Any:
    """What a value of a wrong type means for a field that takes `kinds`; None where that is not certain."""
    if str in kinds:
        return scalar_text(found)
    if bool in kinds:
        return _WORDS.get(found.lower()) if isinstance(found, str) else None
    return _number(found, kinds) if int in kinds else None


def _number(found: Any, kinds: frozenset[type]) -> int | float | None:
    """A text of digits, or of a number; and a whole number with a point where there must be none."""
    number = number_of(found)
    if number is None or not -_LIMIT <= number < _LIMIT:
        return None
    whole = whole_of(found.removeprefix("-")) if isinstance(found, str) else None
    if whole is not None:
        return -whole if found.startswith("-") else whole
    return number if float in kinds else int(number) if number.is_integer() else None


_WORDS = {"true": True, "false": False}


def scalar_text(found: Any) -> str | None:
    """A text, or the text of a number or of true and false; None for what is no single value."""
    return as_text(found) if isinstance(found, str | int | float) else None


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
