"""Answers that last longer than the process: read at once, written a little later, all that is due in one go.

Not here: the file (index.py), and for how long answers hold (lease.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path

import msgspec
import trio

from cometfs.cache.index import Answer, Index, Kept, Totals
from cometfs.cache.room import Room

FLUSH = 0.5
"""Seconds that an answer waits for others to be written with it: a transaction costs more than a row."""

QUEUE = 64 << 20
"""Bytes that may wait to be written; what does not fit is not kept. It is only a cache."""

LAST = 5.0
"""Seconds that the last writes may take when the mount ends."""

USED_EVERY = 600.0
"""Seconds between two notes that an answer is still used."""


NOTES = 100_000
"""Answers of which it is remembered when that was noted last."""


def key_of(key: Hashable) -> str | None:
    """The key as text; None for one that is not made of texts and numbers, which is not kept."""
    try:
        return msgspec.json.encode(key).decode()
    except (TypeError, UnicodeEncodeError):
        return None


class Keeper:
    """The answers of one account on disk, for one mount. `_due` is what the file does not have yet; None: to be
    dropped."""

    def __init__(
        self,
        folder: Path,
        room: Room,
        write_too: Callable[[Index], None] = lambda _index: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`room`: makes room for what is written, after each write; `write_too`: what else is written then."""
        self._index = Index(folder, wall)
        self._folder = folder
        self._room = room
        self._write_too = write_too
        self._wall = wall
        self._due: dict[str, Answer | None] = {}
        self._bytes = 0
        self._used: dict[str, float] = {}
        self._touched: set[str] = set()
        self._wake = trio.Event()

    def recall(self, key: Hashable) -> Kept | None:
        """The answer under `key` that still holds. Some 15 us; never waits."""
        name = key_of(key)
        if name is None:
            return None
        if name in self._due:
            due = self._due[name]
            return None if due is None or due.expires <= self._wall() else Kept(*due[1:])
        kept = self._index.answer(name)
        if kept is not None and self._wall() - self._used.get(name, 0.0) > USED_EVERY:
            self._touch(name)
        return kept

    def _touch(self, name: str) -> None:
        if len(self._used) > NOTES:
            self._used.clear()
        self._used[name] = self._wall()
        self._touched.add(name)
        self._wake.set()

    def keep(self, key: Hashable, value: bytes, arrived: float, expires: float) -> None:
        """Takes an answer, to be written soon; times in seconds since 1970."""
        name = key_of(key)
        if name is None or self._bytes + len(value) > QUEUE:
            return
        self._due[name] = Answer(name, value, arrived, expires)
        self._bytes += len(value)
        self._wake.set()

    def forget(self, key: Hashable) -> None:
        """Drops an answer."""
        name = key_of(key)
        if name is not None:
            self._due[name] = None
            self._wake.set()

    def totals(self) -> Totals:
        """How much is kept, as of the last writing."""
        return self._index.totals()

    async def run(self) -> None:
        """Writes what is due until it is cancelled, and then once more."""
        try:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                await trio.sleep(FLUSH)
                await self._flush()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(LAST):
                await self._flush()
            self._index.close()

    async def _flush(self) -> None:
        due, used, self._touched = dict(self._due), list(self._touched), set()
        await trio.to_thread.run_sync(self._write, due, used)
        # What was kept again while it was written stays due.
        for name, answer in due.items():
            if self._due.get(name) is answer:
                del self._due[name]
        self._bytes = sum(len(answer.value) for answer in self._due.values() if answer)

    def _write(self, due: dict[str, Answer | None], used: list[str]) -> None:
        index = Index(self._folder, self._wall)
        try:
            if due or used:
                answers = [answer for answer in due.values() if answer is not None]
                index.write(answers, [name for name, answer in due.items() if answer is None], used)
            self._write_too(index)
            self._room.make(index)
        finally:
            index.close()
