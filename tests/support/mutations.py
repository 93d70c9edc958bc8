"""Answers of a Comet with a few values that nobody sends: what a server, or what stands before it, might make of them.

Not here: what must become of them (inprocess/test_mutated_answers.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]
"""Keys and indices from the top of an answer to one of its values."""

_NUMBERS = [
    0,
    -1,
    7,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    0.5,
    -0.0,
    1e300,
    9.3e18,
    -9.3e18,
]
_TEXTS = [
    *("", "true", "12", "-3", "x", "NaN", "-Infinity", "1e999", "9" * 5000),
    *("..", ".", "/", "a/b", "a//b", "/abs", "../../etc/passwd", "%41", "%", "project.json", ".cometfs", "README.md"),
    *("\x00", "a\nb", "\x1b]0;x\x07", "n" * 10_000, "\ud800", "\u00e9", "e\u0301", "\u202e", "=1+1", "<script>"),
]
_OTHERS: list[Any] = [None, True, False, [], {}, [None], ["x"], [[]], {"x": 1}, {"name": "x"}]

ODD = st.sampled_from([*_NUMBERS, *_TEXTS, *_OTHERS])

DROPPED, TWICE = object(), object()
"""Instead of a value: without it, and, in a list, once more."""

CHANGES = st.one_of(ODD, ODD, ODD, st.sampled_from([DROPPED, TWICE]))


def places(answer: Any, few: int = 4) -> list[Path]:
    """Where the values of an answer are; of a list, in its first items."""
    return list(_places(answer, few, ()))


def _places(found: Any, few: int, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _places(value, few, (*path, name))
    elif isinstance(found, list):
        for index, value in enumerate(found[:few]):
            yield from _places(value, few, (*path, index))


def changed(answer: Any, path: Path, change: Any) -> Any:
    """The answer with another value at a place; as it is where a change before has taken that place away."""
    name, *below = path
    inside = name in answer if isinstance(answer, dict) else isinstance(answer, list) and name in range(len(answer))
    if not inside:
        return answer
    found = copy.copy(answer)
    if below:
        found[name] = changed(found[name], tuple(below), change)
    elif change is DROPPED:
        del found[name]
    elif change is not TWICE:
        found[name] = change
    elif isinstance(found, list):
        found.insert(name, found[name])
    return found
