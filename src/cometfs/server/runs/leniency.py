"""JSON of clients that are less strict than a declared shape: of it as much is taken as has a meaning.

Comet's server is Java and takes a number where text is declared, and R's client sends a list of one as its item. In a
list of items that stand for themselves one that is wrong costs the others nothing.

Not here: JSON itself (`python_json`), and questions, which are taken as they are or not at all.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from cometfs.server.runs.python_json import DEEPEST, decoded, too_deep
from cometfs.server.runs.values import text_of

AROUND = 3
"""Levels of a line of the log around a logged value."""


def fitted(body: bytes, shape: type[Any]) -> tuple[Any, list[str]]:
    """The value of `shape` that `body` says, and which items of its lists were left out, each with the reason.

    Where all items of a list are wrong, so is the body. Raises ValueError.
    """
    try:
        return decoded(body, shape), []
    except msgspec.ValidationError:
        left_out: list[str] = []
        return msgspec.convert(_fit(decoded(body, Any), shape, "", left_out), shape), left_out


def check_depth(value: Any) -> None:
    """Raises ValueError for a value that is too deep to be read again from a line of the log."""
    if type(value) in (list, dict) and too_deep(msgspec.json.encode(value), DEEPEST - AROUND):
        raise ValueError(f"it is more than {DEEPEST} levels deep")


def _fit(value: Any, shape: Any, name: str, left_out: list[str]) -> Any:
    kinds = get_args(shape) if get_origin(shape) in (UnionType, Union) else (shape,)
    if type(value) in (int, float, bool):
        return text_of(value) if str in kinds and type(value) not in kinds else _alone(value, kinds)
    for kind in kinds:
        if get_origin(kind) is list and isinstance(value, list):
            return _fit_items(value, get_args(kind)[0], name, left_out)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            return _fit_fields(value, kind, name, left_out)
    return _alone(value, kinds)


def _alone(value: Any, kinds: tuple[Any, ...]) -> Any:
    """A lone text where a list of texts is declared is that list."""
    is_listed = list[str] in kinds and str not in kinds and isinstance(value, str | int | float)
    return [text_of(value)] if is_listed else value


def _fit_fields(value: dict[str, Any], shape: type[msgspec.Struct], name: str, left_out: list[str]) -> dict[str, Any]:
    within = f"{name}." if name else ""
    changed = {
        field.encode_name: _fit(value[field.encode_name], field.type, within + field.encode_name, left_out)
        for field in msgspec.structs.fields(shape)
        if field.encode_name in value
    }
    return value | changed


def _fit_items(values: list[Any], shape: Any, name: str, left_out: list[str]) -> list[Any]:
    kept, wrong = [], []
    for number, value in enumerate(values):
        item = _fit(value, shape, f"{name}[{number}]", left_out)
        try:
            msgspec.convert(item, shape)
        except msgspec.ValidationError as exc:
            wrong.append(f"{name}[{number}]: {exc}")
        else:
            kept.append(item)
    if not kept:
        return values
    left_out += wrong
    return kept
