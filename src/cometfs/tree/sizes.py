"""The sizes of files that were read, and when their bytes changed: remembered for longer than the bytes, and on disk.

Comet tells neither of a file that is made of an answer; so `ls -l`, `du` and `find -size` of what was read before would
cost the answer again. What is remembered of all files at a place (an experiment, a project) is one value under one key.
Not here: the sizes of assets, which Comet tells (questions.py) and the library of bodies knows.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from cometfs.cache.store import Store
from cometfs.lease import Lease
from cometfs.tree.node import At

REMEMBERED = Lease(24 * 3600.0)
"""For how long something is remembered of a place of which no file is read."""


class Seen(NamedTuple):
    """The bytes that a file had when they were made last."""

    size: int
    digest: int
    changed_ms: float
    """When they were first seen to differ from what they had been, in ms since 1970; 0 for never."""
    version: str
    """Of the experiment."""
    until: float
    """Seconds since 1970: until then they are what they were."""


class Sizes:
    """What is remembered of files, by a word for the file and its place."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._wall = wall

    def of(self, word: str, at: At) -> Seen | None:
        """What is remembered of a file, whether or not it still holds; asks nobody."""
        found = self._all(at).get(_name(word, at))
        return None if found is None else Seen(*found)

    def size(self, word: str, at: At) -> tuple[int | None, float]:
        """The size of a file and the seconds for which it holds; (None, 0) where nobody knows."""
        seen = self.of(word, at)
        if seen is None or seen.version != at.version:
            return None, 0.0
        left = seen.until - self._wall()
        return (seen.size, left) if left > 0 else (None, 0.0)

    def note(self, word: str, at: At, data: bytes, holds: float) -> None:
        """A file has these bytes, for so many seconds."""
        before, digest, now = self.of(word, at), zlib.crc32(data), self._wall()
        changed = 0.0 if before is None else before.changed_ms
        if before is not None and (before.digest, before.size) != (digest, len(data)):
            changed = now * 1000
        seen = Seen(len(data), digest, changed, at.version, now + holds)
        if before is not None and before[:4] == seen[:4] and before.until >= seen.until - 1:
            return
        known = {**self._all(at), _name(word, at): list(seen)}
        self._store.keep(_key(at), known, REMEMBERED, lasting=at.experiment is None or bool(at.version))

    def _all(self, at: At) -> dict[str, list[Any]]:
        key = _key(at)
        held = self._store.recall(key) or self._store.keep(key, {}, REMEMBERED)
        found: dict[str, list[Any]] = held.value
        return found


def _key(at: At) -> Hashable:
    return ("sizes", *at.key[:1])


def _name(word: str, at: At) -> str:
    return "\n".join((word, *map(str, at.key[1:])))
