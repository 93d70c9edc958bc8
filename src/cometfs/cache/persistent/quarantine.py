"""Damaged files are set aside, to be looked at by a person; but not for ever, and not without a bound.

Not here: how damage is found (index.py, blobs.py, inspection.py).
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

DAMAGED = "damaged"
"""The folder where damaged files are set aside."""

MOST = 64 << 20
"""Bytes that are kept there at most: the newest stay."""

PLACES = 100
"""Damages of which something is kept there at most."""


def set_aside(folder: Path, files: Sequence[str], why: str) -> None:
    """Moves damaged files out of the way, with one line in the log. Never raises; in a thread."""
    place = folder / DAMAGED / f"{time.time_ns()}-{os.getpid()}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        moved = sum(_move(folder / file, place) for file in files)
        if not moved:
            place.rmdir()  # another process was faster
            return
        _bound(folder / DAMAGED)
        where = f"it lies in {place} now" if place.exists() else "it was too big to be set aside"
        log.warning("%s in the cache was damaged (%s); %s and is rebuilt", files[0], why, where)
    except OSError as error:
        log.warning("%s in the cache is damaged (%s) and cannot be moved away: %s", files[0], why, error)


def _move(path: Path, place: Path) -> bool:
    try:
        path.rename(place / path.name)
    except FileNotFoundError:
        return False
    return True


def _bound(damaged: Path) -> None:
    left = MOST
    for number, place in enumerate(sorted(damaged.iterdir(), reverse=True)):
        left -= bytes_below(place)
        if left < 0 or number >= PLACES:
            shutil.rmtree(place, ignore_errors=True)


def bytes_below(folder: Path) -> int:
    """What a folder takes of its disk, in bytes."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in (".", *files):
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except OSError:
                continue  # gone meanwhile
    return total
