"""Answers without what is private in them: names, keys, links and values become their types and lengths.

Names of fields are kept where they are Comet's own, as the declared forms have them; a name of any other field may be
a user's (a metric, a parameter, a variable of the environment). Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints, is_typeddict

ITEMS = 10_000
"""Items of a list that are looked at, as in `forms`."""


def names_in(form: Any) -> frozenset[str]:
    """The names of fields that a form declares, at any depth."""
    hints = get_type_hints(form) if is_typeddict(form) else form if isinstance(form, Mapping) else {}
    inner = [*hints.values(), *get_args(form)]
    return frozenset(hints).union(*map(names_in, inner))


def outline(values: Iterable[Any], known: frozenset[str]) -> dict[str, Any]:
    """What stands at one place of an answer, over all `values` there: each type with what it holds.

    `known`: names of fields that may be shown.
    """
    kinds: dict[str, list[Any]] = {}
    for value in values:
        kinds.setdefault(_kind(value), []).append(value)
    return {kind: _SHOWN.get(kind, _counted)(found, known) for kind, found in sorted(kinds.items())}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}
    return kinds[type(value)]


def _counted(found: list[Any], _known: frozenset[str]) -> dict[str, Any]:
    return {"count": len(found)}


def _texts(found: list[str], _known: frozenset[str]) -> dict[str, Any]:
    return {"count": len(found), "characters": _range(map(len, found))}


def _lists(found: list[list[Any]], known: frozenset[str]) -> dict[str, Any]:
    items = outline((item for one in found for item in one[:ITEMS]), known)
    return {"count": len(found), "items": _range(map(len, found)), "of": items}


def _objects(found: list[dict[str, Any]], known: frozenset[str]) -> dict[str, Any]:
    """Fields of names that may be shown one by one, all others together."""
    shown = {name: outline((one[name] for one in found if name in one), known) for name in sorted(_names(found, known))}
    others = [value for one in found for name, value in one.items() if name not in known]
    rest = {"others": outline(others, known), "names_of_others": _range(len(one.keys() - known) for one in found)}
    return {"count": len(found), "fields": shown} | (rest if others else {})


def _names(found: list[dict[str, Any]], known: frozenset[str]) -> set[str]:
    return {name for one in found for name in one} & known


_SHOWN: Mapping[str, Any] = {"text": _texts, "list": _lists, "object": _objects}


def _range(counts: Iterable[int]) -> str:
    found = sorted(counts)
    return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"
