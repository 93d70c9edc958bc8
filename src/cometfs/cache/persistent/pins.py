"""What eviction leaves: paths that a user has pinned, with the owners of what is cached of them.

A file of its own beside the index: it stays where another format empties that, or damage does. Read anew by each
eviction, so that mounts obey what a command has just written. Not here: which owners a path has (warming/pinned.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cometfs.cache.persistent.rows import of_name
from cometfs.errors import SetupError

FILE = "pins.json"

Pins = Mapping[str, Sequence[str]]
"""Owners, by path below the account's root."""


def read(folder: Path) -> Pins:
    """What is pinned in the cache of an account; nothing where the file cannot be read."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(path): [str(one) for one in owners] for path, owners in found.items() if isinstance(owners, list)}


def pin(folder: Path, path: str, owners: Sequence[str]) -> None:
    """Raises SetupError where it cannot be written."""
    _write(folder, {**read(folder), path: list(owners)})


def unpin(folder: Path, path: str) -> list[str]:
    """Lets go of a path and all below it; returns those that were pinned. Raises SetupError."""
    pins = read(folder)
    gone = [one for one in pins if one == path or one.startswith(f"{path}/") or not path]
    _write(folder, {one: owners for one, owners in pins.items() if one not in gone})
    return gone


def _write(folder: Path, pins: Pins) -> None:
    part = folder / f"{FILE}.{os.getpid()}.part"
    try:
        part.write_text(json.dumps(pins), encoding="utf-8")
        part.replace(folder / FILE)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise SetupError(f"cannot write what is pinned to {folder}: {error.strerror}") from error


def covering(folder: Path) -> Callable[[str], bool] | None:
    """Whether a key of the index, as text, is of something pinned; None where nothing is."""
    owners = {owner for some in read(folder).values() for owner in some}
    return (lambda name: _owner(name) in owners) if owners else None


def _owner(name: str) -> object:
    """The first word of the place of a key: see `vfs/keys.Key.words`."""
    words = of_name(name)
    if not isinstance(words, tuple) or not words:
        return None
    at = 1 if words[0] == "sizes" else 2
    return words[at] if len(words) > at and isinstance(words[at], str) else None
