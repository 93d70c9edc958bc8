"""Attributes whose value takes calls: programs ask for each twice, with little room first, and pay once. And such as
are about several files together, for which a program asks one after the other.

Not here: what the values are (operations.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cometfs.cache.memory import Recent

T = TypeVar("T")

MOST = 1000
"""Files that are asked about together."""

AGAIN = 5.0
"""Seconds within which the second request comes."""


class AskedTwice:
    """Values that were answered once; each is given once more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: Recent[Hashable, tuple[float, bytes]] = Recent(64)

    def keep(self, value: bytes, *asked: Hashable) -> bytes:
        """Has it for the second request; returns it for the first."""
        self._kept[asked] = (self._clock() + AGAIN, value)
        return value

    def pop(self, *asked: Hashable) -> bytes | None:
        """What the first request was answered, if that was just now."""
        until, value = self._kept.pop(asked, (0.0, None))
        return value if until > self._clock() else None


class Together(Generic[T]):
    """What was asked about under one word: it adds up."""

    def __init__(self) -> None:
        self._asked: Recent[str, list[T]] = Recent(64)

    def with_others(self, word: str, one: T) -> list[T]:
        """All that were asked about under that word, `one` included; under no word that alone."""
        if not word:
            return [one]
        found = self._asked.get(word) or []
        if one not in found:
            found = [*found, one][-MOST:]
        self._asked[word] = found
        return found
