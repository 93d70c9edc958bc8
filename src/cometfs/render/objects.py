"""Answers that become JSON: sorted, one name a line, so that `diff` and `grep` show what a person wants to see."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cometfs.render.numbers import spelt
from cometfs.render.text import text
from cometfs.text.numbers import number_of

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?0*[0-9]{1,3})?")
"""An exponent of more digits overflows, or is one of zero, which some readers refuse for it."""

_LONGEST = 63
"""Characters of a number: cJSON reads no more of one."""


def pretty(answer: Any) -> bytes:
    """The value as indented JSON with sorted keys; ``null`` for None, for an empty file is no JSON."""
    return text(dumped(answer, indent=2, sort_keys=True) + "\n")


def dumped(value: Any, **options: Any) -> str:
    """The value as JSON, which has no NaN and no infinities: null stands for them, as JavaScript writes them."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def without(answer: Mapping[str, Any] | None, *names: str) -> dict[str, Any] | None:
    """`answer` less the fields in `names`; None where all other fields are empty."""
    kept = {name: value for name, value in (answer or {}).items() if name not in names}
    return kept if any(value not in (None, [], "") for value in kept.values()) else None


def is_agreed(value: str) -> bool:
    """Whether a text is a number of which every reader of JSON has the same value.

    Readers keep doubles. So of integers only those are that a double holds, whether they are below 2**53 or not: Python
    and DuckDB would have other ones of the rest. What is too great for a double is an error to some and an infinity to
    others (git hashes such as ``980e663509`` look like that), and what is too small for one becomes zero.
    """
    if len(value) > _LONGEST or not _NUMBER.fullmatch(value):
        return False
    number = float(value)
    if not math.isfinite(number):
        return False
    if value.lstrip("-").isdecimal():
        return int(value) == number
    return number != 0 or not re.search("[1-9]", value.lower().partition("e")[0])


def literal(value: Any) -> str:
    """How Comet's text of a value stands in JSON: true, false, and a number that all readers agree on (`is_agreed`) as
    such, the digits kept, else a string.

    Comet answers every value as text; one that is no text, or null, is written as the JSON it is.
    """
    if isinstance(value, str) and (value in ("true", "false") or is_agreed(value)):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(str(value))
    return dumped(value)


def _digits(value: str) -> str:
    return value if is_agreed(value) else f'"{value}"'


def native(value: Any) -> str:
    """The same for programs that compute: what Comet spells as JSON text, null, lists and objects too, as that."""
    if value == "null":
        return "null"
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return dumped(json.loads(value, parse_int=_agreed(int), parse_float=_agreed(float)))
    return literal(value)


def _agreed(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads the numbers inside a value: those that readers do not agree on stay texts there, too."""
    return lambda found: kind(found) if is_agreed(found) else found


def numeric(value: Any) -> str:
    """A metric's value: a number, else null, for a column of numbers with a word in it is one of texts."""
    number = number_of(value)
    return "null" if number is None or not math.isfinite(number) else literal(spelt(value))


def named_values(rows: Iterable[Mapping[str, Any]] | None) -> bytes:
    """Parameters or others (rows with `name` and `valueCurrent`) as an object, keys sorted, one a line."""
    return _object((row["name"], literal(row["valueCurrent"])) for row in rows or ())


def values_by_name(values: Mapping[str, Any]) -> bytes:
    """Name -> Comet's text of the value, as an object; keys sorted, one a line."""
    return _object((name, literal(value)) for name, value in values.items())


def metric_spreads(spreads: Mapping[str, Sequence[Any]]) -> bytes:
    """Metrics as an object: name -> last, min, max and the steps of the three (see `spreads.Spread`)."""
    return _object((name, _spread(values)) for name, values in spreads.items())


_SPREAD = ("last", "last_step", "min", "min_step", "max", "max_step")


def _spread(values: Sequence[Any]) -> str:
    fields = (f'"{word}": {literal(value)}' for word, value in zip(_SPREAD, values, strict=True))
    return "{" + ", ".join(fields) + "}"


def _object(members: Iterable[tuple[str, str]]) -> bytes:
    body = ",\n".join(f"  {json.dumps(name, ensure_ascii=False)}: {value}" for name, value in sorted(members))
    return text("{\n" + body + "\n}\n" if body else "{}\n")
