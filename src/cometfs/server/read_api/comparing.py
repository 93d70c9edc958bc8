"""How a value that was logged compares with the one that a query asks for: pure functions of two values.

Not here: where values come from (`query`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

from cometfs.numbers import number_of
from cometfs.server.runs.values import text_of

Comparable = str | float


class Unknown(ValueError):
    """An operator, or a value, that no comparison is known for; the text says which."""


def meets(logged: str | None, operator: str, wanted: Any, kind: str, *, absent_differs: bool = False) -> bool:
    """Whether `logged` meets the comparison; `kind` is the type of its column, ``string``, ``double`` and so on.

    What was not logged, None, meets ``is_null`` and ``is_empty``, and with `absent_differs` also ``not_equal``. Raises
    Unknown.
    """
    if operator in _EMPTINESS:
        return _EMPTINESS[operator](logged)
    positive = operator.removeprefix("not_")
    if positive not in _COMPARISONS:
        raise Unknown(f"unknown operator {operator!r}")
    if logged is None:
        return absent_differs and operator == "not_equal"
    return _COMPARISONS[positive](logged, wanted, kind) == (positive == operator)


def _equal(logged: str, wanted: Any, kind: str) -> bool:
    if kind == "boolean":
        return _truth(logged) == _truth(text_of(wanted))
    return logged == text_of(wanted) or _ordered(logged, wanted, kind, lambda one, other: one == other)


def _ordered(logged: str, wanted: Any, kind: str, order: Callable[[Any, Any], bool]) -> bool:
    """As moments, or as numbers if both are; text has an order only where both are no numbers."""
    one: Comparable | None
    other: Comparable | None
    if kind == "datetime":
        one, other = _moment(logged), _moment(text_of(wanted))
    else:
        one, other = number_of(logged), number_of(wanted)
        if kind == "string" and one is None and other is None:
            one, other = logged, text_of(wanted)
    return one is not None and other is not None and order(one, other)


def _between(logged: str, wanted: Any, kind: str) -> bool:
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise Unknown(f"between takes two values, not {wanted!r}")
    return _ordered(logged, wanted[0], kind, ge) and _ordered(logged, wanted[1], kind, le)


def _moment(text: str) -> float | None:
    """Seconds since 1970; a time without a zone is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _truth(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


_EMPTINESS: dict[str, Callable[[str | None], bool]] = {
    "is_null": lambda logged: logged is None,
    "is_not_null": lambda logged: logged is not None,
    "is_empty": lambda logged: not logged,
    "is_not_empty": lambda logged: bool(logged),
}

_COMPARISONS: dict[str, Callable[[str, Any, str], bool]] = {
    "equal": _equal,
    "less": partial(_ordered, order=lt),
    "less_or_equal": partial(_ordered, order=le),
    "greater": partial(_ordered, order=gt),
    "greater_or_equal": partial(_ordered, order=ge),
    "between": _between,
    "contains": lambda logged, wanted, _: text_of(wanted) in logged,
    "begins_with": lambda logged, wanted, _: logged.startswith(text_of(wanted)),
    "ends_with": lambda logged, wanted, _: logged.endswith(text_of(wanted)),
}
