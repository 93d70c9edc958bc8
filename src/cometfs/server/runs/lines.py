"""A log as lines, in bounded memory: whatever is put into a directory, it is served or left out, and the server starts.

Not here: what a line says (`decode`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

LONGEST_LINE = 128 << 20
"""Bytes of a line that is read: more than the longest that a server writes."""

MOST_LINES = 1 << 25
"""Of one log. Each takes some bytes of memory, also where it is empty."""


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a log and where they begin, of a line that is too long its beginning. Raises OSError, also for too
    many.
    """
    at = 0
    for _ in range(MOST_LINES):
        line = file.readline(LONGEST_LINE)
        if not line:
            return
        yield at, line
        at += len(line)
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
            at += len(line)
    raise OSError(None, f"it has more than {MOST_LINES} lines")
