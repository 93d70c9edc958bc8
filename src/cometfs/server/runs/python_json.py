"""JSON as Python's ``json`` writes it: with NaN, infinities and halves of surrogate pairs, which no JSON has.

They become text: ``NaN``, ``Infinity``, ``-Infinity``, and a question mark.

Not here: what is in it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from cometfs.text.numbers import word_of

DEEPEST = 200
"""How deep lists and objects may stand in each other. Python's own limit depends on the caller's stack: what one reader
takes in would be too deep for the next."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def too_deep(body: bytes, most: int = DEEPEST) -> bool:
    """Whether more than `most` stand in each other."""
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    depth = 0
    for found in _TOKEN.finditer(body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > most:
            return True
    return False


def decoded(body: bytes, shape: type[Any]) -> Any:
    """The value of `shape` that `body` says. Raises ValueError, msgspec's and UnicodeDecodeError among them."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except RecursionError:
        raise ValueError(f"it is more than {DEEPEST} levels deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        try:
            return msgspec.convert(_clean(json.loads(body)), shape)
        except RecursionError:
            raise exc from None


def _clean(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return word_of(value)
        case str() if not value.isascii():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_clean(one) for one in value]
        case dict():
            return {_clean(name): _clean(one) for name, one in value.items()}
    return value
