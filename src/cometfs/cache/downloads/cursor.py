"""Where programs read in a big body, and what to fetch ahead of them: a pure policy.

A program that reads on has a window of blocks ahead of it. The window starts late and small, because most reads of big
files are of their ends and indexes. It doubles each time that the program had to wait, so that only slow lines get wide
windows. One that never waits gets a quarter of what it has read, up to two parts: a request for each block takes more
CPU time than the block. The other figures are those of mountpoint-s3 (a first window of 1 MiB, skips of 16 MiB forward
and 1 MiB back).
Not here: fetching (parts.py).
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 1 << 20
"""Bytes ahead of a program that begins at the front of a file, or is found to read on."""

SURE = 2 << 20
"""Bytes in a row after which a program counts as reading on: the kernel splits a read of 1 MiB, and adds to it."""

LONG = 16 << 20
"""Bytes ahead of a program that has read four times as many and never had to wait: two parts."""

WIDEST = 64 << 20
"""Bytes ahead of a program, at most: eight parts that arrive abreast."""

FORWARD = 16 << 20
"""A read that begins up to so many bytes behind the last one's end is still the same program reading on."""

BACK = 1 << 20
"""So is one that begins up to so many bytes before it: the kernel sends reads out of order."""

PLACES = 8
"""Places in one body that are followed at once; the one left alone for longest is forgotten."""


@dataclass(slots=True, eq=False)
class Cursor:
    """A place up to which a program has read."""

    end: int
    begun: int
    """Where its first read began."""
    window: int = 0
    """Bytes to have at hand behind `end`; 0 as long as nothing shows that it reads on."""
    seen_to: tuple[int, int] = (0, 0)
    """The blocks behind `end` that were looked for last."""
    loaded_to: int = 0
    """The first block behind `end` that was not loaded from the disk ahead of it."""
    sure_to: int = 0
    """The first block behind `end` that is not known to be there or to come."""

    def is_read_on(self, offset: int) -> bool:
        """Whether a read that begins there is of the same program: skips are those of one that has read on before."""
        return -BACK <= offset - self.end <= (FORWARD if self.window else BACK)


class Cursors:
    """The places in one body at which it is read; the one used last comes last."""

    def __init__(self) -> None:
        self._cursors: list[Cursor] = []

    def doubt(self) -> None:
        """Something that was to come does not."""
        for cursor in self._cursors:
            cursor.sure_to = 0

    def read(self, offset: int, end: int, *, waited: bool) -> Cursor:
        """The program that reads these bytes; `waited`: they were not at hand."""
        cursor = next((one for one in reversed(self._cursors) if one.is_read_on(offset)), None)
        if cursor is None:
            # What begins with the file reads it to its end more often than not.
            cursor = Cursor(end, offset, FIRST if offset == 0 else 0)
            self._cursors.append(cursor)
            del self._cursors[:-PLACES]
            return cursor
        if end > cursor.end:
            cursor.end = end
            cursor.window = _next_window(cursor, waited=waited)
        self._cursors.remove(cursor)
        self._cursors.append(cursor)
        return cursor


def _next_window(cursor: Cursor, *, waited: bool) -> int:
    """Never more than was read: of a table's column a program may want no more than it has."""
    read = cursor.end - cursor.begun
    if not cursor.window:
        return FIRST if read > SURE else 0
    least = max(cursor.window, min(LONG, read // 4))
    return max(least, min(WIDEST, cursor.window * 2, max(FIRST, read))) if waited else least
