"""An answer held against its declared form: what is of another type, what is missing, what is new. Pure functions.

A form is a type: a TypedDict of `cometfs.comet.answers` for a row, `list[...]`, `dict[str, ...]` by names of users or
keys, unions, `Any`; a plain dict of forms stands for an object with these fields.
"""

from __future__ import annotations

import functools
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

Form = Any

_WORDS: Mapping[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


ITEMS = 10_000
"""Items of a list that are looked at: those behind them are like them."""


@dataclass
class Comparison:
    """What differs, by place and words, with how often; and what does no harm: fields that are new or left out."""

    differences: Counter[str] = field(default_factory=Counter)
    new: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    @property
    def left_out(self) -> set[str]:
        """Declared fields that no row has."""
        return self.declared - self.seen


def compared(value: Any, form: Form) -> Comparison:
    """How `value`, decoded JSON, differs from `form`."""
    found = Comparison()
    for difference in _compare(value, form, "", found):
        found.differences[difference] += 1
    return found


def _compare(value: Any, form: Form, place: str, found: Comparison) -> Iterator[str]:
    if isinstance(form, Mapping) or is_typeddict(form):
        yield from _fields(value, form, place, found)
    elif _kind(form) is list:
        yield from _items(value, get_args(form)[0], place, found)
    elif _kind(form) is dict:
        yield from _entries(value, get_args(form)[1], place, found)
    elif not _is_of(value, form):
        yield _otherwise(value, place, form)


def _fields(value: Any, form: Form, place: str, found: Comparison) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _otherwise(value, place, dict)
        return
    hints = form if isinstance(form, Mapping) else _hints_of(form)
    if place not in found.places:
        found.places.add(place)
        found.declared |= {f"{place}{name}" for name in hints}
    for name, one in value.items():
        at = f"{place}{name}"
        if name in hints:
            found.seen.add(at)
            if type(one) not in _flat_types(hints[name]):
                yield from _compare(one, hints[name], f"{at}.", found)
        elif form is not hints:
            found.new.add(at)
    for name in hints.keys() - value.keys():
        if not _is_of(None, hints[name]):
            yield f"{place}{name} is missing"


def _flat_types(form: Form) -> frozenset[type]:
    """What a form allows that has no inside: a short way for nearly all values, of which there may be a million."""
    return frozenset() if isinstance(form, Mapping) else _flat_types_of(form)


@functools.cache
def _flat_types_of(form: Form) -> frozenset[type]:
    kinds = set(_choices(form))
    return frozenset((kinds | {int} if float in kinds else kinds) & {type(None), bool, int, float, str})


@functools.cache
def _hints_of(form: Form) -> dict[str, Any]:
    """Once for all rows: there may be many."""
    return get_type_hints(form)


def _items(value: Any, form: Form, place: str, found: Comparison) -> Iterator[str]:
    """Null for a list means none, in several answers."""
    if not isinstance(value, list | None):
        yield _otherwise(value, place, list)
        return
    for one in (value or ())[:ITEMS]:
        yield from _compare(one, form, place, found)


def _entries(value: Any, form: Form, place: str, found: Comparison) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _otherwise(value, place, dict)
        return
    for one in value.values():
        yield from _compare(one, form, place, found)


def _kind(form: Form) -> Any:
    """``list`` for ``list[str]``."""
    origin: Any = get_origin(form)
    return form if origin is None else origin


def _choices(form: Form) -> tuple[Form, ...]:
    return get_args(form) if isinstance(form, types.UnionType) else (form,)


def _is_of(value: Any, form: Form) -> bool:
    """Whether `value` is of one of the kinds that `form` allows; what is in lists and objects does not count here."""
    return any(_is_one(value, _kind(choice)) for choice in _choices(form))


def _is_one(value: Any, kind: Form) -> bool:
    if kind is Any:
        return True
    if kind is None or kind is type(None) or kind is list:
        return value is None or (kind is list and isinstance(value, list))
    if isinstance(kind, Mapping) or is_typeddict(kind):
        return isinstance(value, dict)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _otherwise(value: Any, place: str, form: Form) -> str:
    expected = " or ".join(_WORDS.get(_kind(choice), "an object") for choice in _choices(form))
    return f"{place.rstrip('.') or 'it'} is {_WORDS[type(value)]} instead of {expected}"
