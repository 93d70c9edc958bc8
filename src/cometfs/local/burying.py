"""Deletes an experiment's folders and archives, so that a kill at any moment leaves all of it or nothing.

What this server logged is removed. An archive that somebody put into the directory is moved into its folder
``.deleted``, where nobody looks for archives, and stays: to destroy it is up to its owner.

Of an experiment of several parts the last one, which is ours, is told first what goes with it, and goes last itself;
where it is still there, the next server finishes that.

Not here: which experiment (`managing`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from cometfs.local.folder import HIDDEN, open_folder

DELETED = ".deleted"

GOES_WITH = "deleted_with"
"""The field of ``experiment.json`` that says a folder is to be deleted, and with which others."""


def bury(directory: Path, paths: Sequence[Path]) -> Path:
    """Take these out of the directory; returns a hidden folder with what is to be removed. Raises OSError."""
    grave = directory / f"{HIDDEN}{secrets.token_hex(8)}"
    grave.mkdir()
    for path in paths:
        if not path.exists():
            continue
        if open_folder(path) is not None:
            path.rename(grave / path.name)
        else:
            path.rename(_free(directory / DELETED, path.name))
    return grave


def bury_again(directory: Path) -> None:
    """Finish what a killed server had begun. Raises OSError."""
    for entry in list(directory.iterdir()):
        folder = None if entry.is_symlink() or not entry.is_dir() else open_folder(entry)
        names = folder.heading.get(GOES_WITH) if folder else None
        if isinstance(names, list):
            with_it = [directory / name for name in names if isinstance(name, str) and name == Path(name).name]
            rmtree(bury(directory, [*with_it, entry]), ignore_errors=True)


def _free(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path, number = folder / name, 1
    while path.exists() or path.is_symlink():
        number += 1
        path = folder / f"{number}-{name}"
    return path
