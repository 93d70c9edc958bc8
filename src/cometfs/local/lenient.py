"""JSON as Python's ``json`` writes it: with NaN, infinities and halves of surrogate pairs, which no JSON has.

They become text: ``NaN``, ``Infinity``, ``-Infinity``, and a question mark.

Not here: what is in it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec


def decoded(body: bytes, shape: type[Any]) -> Any:
    """The value of `shape` that `body` says. Raises ValueError, msgspec's and UnicodeDecodeError among them."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        try:
            return msgspec.convert(_clean(json.loads(body)), shape)
        except RecursionError:
            raise exc from None


def _clean(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case str() if not value.isascii():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_clean(one) for one in value]
        case dict():
            return {_clean(name): _clean(one) for name, one in value.items()}
    return value
