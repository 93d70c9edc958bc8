"""What the event loop reads of the index: at once, or not at all.

It never opens, writes or waits: whatever takes longer is left to the thread that writes (index.py), and what cannot be
read meanwhile counts as not kept.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from cometfs.cache.persistent.rows import Kept, KeptBody, Unsound, is_sound
from cometfs.cache.persistent.schema import ANSWERS, BODIES

log = logging.getLogger(__name__)

_ANSWER = f"SELECT value, arrived, expires, mark FROM {ANSWERS} WHERE key = ?"
_NAMED = f"SELECT key FROM {BODIES} WHERE key IN ({{}})"
_BODIES = f"SELECT key, file, size, sums, mark FROM {BODIES} WHERE key IN ({{}})"


class View:
    """A connection of its own. `fault` is why it must be opened anew, if it must; `unsound` what is to be dropped."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall`: seconds since 1970."""
        self.wall = wall
        self.fault: sqlite3.Error | None = None
        self.unsound: list[Unsound] = []
        self.dropped: list[Callable[[str], bool]] = []
        """Which rows count as not there, until they are not."""
        self.expired: list[Callable[[str], bool]] = []
        """The same of bodies; of these answers none holds."""
        self.changed: Callable[[], None] = lambda: None
        """Called when there is something to do for the thread that writes."""
        self._db: sqlite3.Connection | None = None
        self.bytes_read = 0
        """Of answers."""

    def take(self, connection: sqlite3.Connection) -> None:
        """From now on reads by `connection`, which must not wait."""
        self.close()
        self._db, self.fault = connection, None

    def answer(self, key: str) -> Kept | None:
        """The answer under `key` that still holds; None too for one that is not what was written. Some 15 us."""
        kept = self.last(key)
        return kept if kept is not None and kept.holds(self.wall()) and not _is_of(self.expired, key) else None

    def last(self, key: str) -> Kept | None:
        """The same, even where it holds no more."""
        row = None if _is_of(self.dropped, key) else self._one(_ANSWER, key)
        if row is None:
            return None
        if not is_sound(key, row[3], *row[:3]):
            self._report(key, row[3])
            return None
        self.bytes_read += len(row[0])
        return Kept(*row[:3])

    def body(self, key: str) -> KeptBody | None:
        """Where the body under `key` is."""
        return self.bodies((key,)).get(key)

    def bodies(self, keys: Collection[str]) -> dict[str, KeptBody]:
        """Where the bodies under these keys are, those that there are."""
        found = self._among(_BODIES, keys)
        for key, *body, mark in found:
            if not is_sound(key, mark, *body):
                self._report(key, mark)
        return {key: KeptBody(*body) for key, *body, mark in found if is_sound(key, mark, *body)}

    def named(self, keys: Collection[str]) -> list[str]:
        """Which of these keys have a row of a body, sound or not. A microsecond or two each."""
        return [key for (key,) in self._among(_NAMED, keys)]

    def close(self) -> None:
        """Closes its connection."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _is_dropped(self, key: str) -> bool:
        return _is_of(self.dropped, key) or _is_of(self.expired, key)

    def _report(self, key: str, checksum: Any) -> None:
        log.warning("a row of the cache was damaged on disk, and what it told is asked for again: %s", key)
        self.unsound.append(Unsound(key, checksum))
        self.changed()

    def _among(self, question: str, keys: Collection[str]) -> Sequence[Any]:
        found = self._all(question.format(",".join("?" * len(keys))), tuple(keys))
        return [row for row in found if not self._is_dropped(row[0])]

    def _one(self, question: str, key: str) -> Any:
        return next(iter(self._all(question, (key,))), None)

    def _all(self, question: str, values: tuple[str, ...]) -> Sequence[Any]:
        if self._db is None:
            return ()
        try:
            return self._db.execute(question, values).fetchall()
        except sqlite3.Error as error:
            # Busy for a moment: another process puts right what one that died has left.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                self.close()
                self.fault = error
                self.changed()
            return ()


def _is_of(some: Sequence[Callable[[str], bool]], key: str) -> bool:
    return any(which(key) for which in some)
