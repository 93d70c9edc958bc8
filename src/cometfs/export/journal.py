"""What was exported to a directory before: a line of JSON for each file, added when the file is whole.

A process that dies leaves a line that is cut, at most: it is not read. Not here: the files (target.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import NamedTuple


class Kept(NamedTuple):
    """A file as it was written: the version that it was, until when that holds (s since 1970), size and digest."""

    version: str
    until: float
    size: int
    digest: str


class Journal:
    """Open while files are exported; `descriptor` is of its file, open to be read and appended to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._known = _read(descriptor)
        os.write(descriptor, b"\n")  # a line that was cut ends here

    def get(self, path: str) -> Kept | None:
        return self._known.get(path)

    def add(self, path: str, kept: Kept) -> None:
        self._known[path] = kept
        os.write(self._descriptor, json.dumps([path, *kept]).encode() + b"\n")


def _read(descriptor: int) -> dict[str, Kept]:
    size = os.fstat(descriptor).st_size
    known: dict[str, Kept] = {}
    for line in os.pread(descriptor, size, 0).split(b"\n"):
        known.update(_parsed(line))
    return known


def _parsed(line: bytes) -> Mapping[str, Kept]:
    try:
        path, version, until, size, digest = json.loads(line)
    except (ValueError, TypeError):
        return {}
    return {path: Kept(version, until, size, digest)} if isinstance(until, float | int) else {}
