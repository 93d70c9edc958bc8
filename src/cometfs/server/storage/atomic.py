"""Files that appear as a whole or not at all, and files that grow by all of what is added or by nothing.

Not here: what is in them (`run_dir`, `artifact_store`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copymode
from typing import BinaryIO

from cometfs.host.files import open_regular, write_all


def replace(path: Path, content: bytes, fresh: Path | None = None, *, synced: bool = False) -> None:
    """Write a file anew. It survives a kill, and a power cut only if `synced`; a leftover of a killed server is
    overwritten. `fresh`: where it is written first, beside it."""
    fresh = _successor(path, fresh or path.with_name(f".{path.name}.new"))
    with open_regular(fresh, "wb", 0) as file:
        write_all(file.fileno(), [content], 0)
        if synced:
            os.fsync(file.fileno())
    fresh.replace(path)
    if synced:
        _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _successor(path: Path, fresh: Path) -> Path:
    """The file `fresh`, to take the place of another: others may do with it what they may with that."""
    fresh.touch()
    with suppress(FileNotFoundError):
        copymode(path, fresh)
    return fresh


def free(folder: Path, name: str, numbered: Callable[[int], str]) -> Path:
    """A path in `folder` that is not taken: `name`, else the first that `numbered` makes of a number from 2 on."""
    path, number = folder / name, 1
    while os.path.lexists(path):
        number += 1
        path = folder / numbered(number)
    return path


def append(file: BinaryIO, added: bytes) -> int:
    """Add to an open file in one write, or nothing at all; returns where it begins. Raises OSError."""
    before = file.seek(0, os.SEEK_END)
    try:
        if os.write(file.fileno(), added) < len(added):
            raise OSError(None, "the disk is full")
    except OSError:
        file.truncate(before)
        raise
    return before
