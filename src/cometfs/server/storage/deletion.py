"""Deletes an experiment's folders and archives, so that a kill at any moment leaves all of it or nothing.

What this server logged is removed. An archive that was put into the directory is moved into its folder ``.deleted``,
which is not searched for archives, and stays: to destroy it is up to its owner. So is every copy, be it one
of what was logged here.

Of an experiment of several parts the last one, which is ours, first gets a mark with what goes with it, and goes last
itself; where it is still there, the next server finishes that.

Not here: which experiment (`write_api.manage`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from cometfs.server.runs.load import read_heading
from cometfs.server.runs.zip_reader import BrokenArchive, open_archive
from cometfs.server.storage.atomic import free
from cometfs.server.storage.run_dir import HIDDEN, RunDir, open_folder

LOG = logging.getLogger("cometfs.server")

DELETED = ".deleted"

GOES_WITH = "deleted_with"
COPIES = "deleted_copies"
"""The fields of ``experiment.json`` that say that a folder is to be deleted, with which parts and copies."""


def marked_deleted(parts: Sequence[Path], copies: Sequence[Path]) -> dict[str, Any]:
    """The mark in the last part's ``experiment.json``."""
    return {GOES_WITH: [path.name for path in parts[:-1]], COPIES: [path.name for path in copies]}


UNMARKED: dict[str, Any] = {GOES_WITH: None, COPIES: None}


def delete(directory: Path, parts: Sequence[Path], copies: Sequence[Path] = ()) -> Path:
    """Take these out of the directory; returns a hidden folder with what is to be removed.

    Raises OSError, and then all of them are where they were.
    """
    trash = directory / f"{HIDDEN}{secrets.token_hex(8)}"
    trash.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for path in [*copies, *parts]:
            if path.exists():
                removed = path not in copies and open_folder(path) is not None
                goal = trash / path.name if removed else _kept(directory / DELETED, path.name)
                moved.append((path, path.rename(goal)))
    except OSError:
        for path, goal in reversed(moved):
            with suppress(OSError):
                goal.rename(path)
        with suppress(OSError):
            trash.rmdir()
        raise
    return trash


def finish_deletions(directory: Path) -> None:
    """Finish what a killed server had begun. Raises OSError when the directory cannot be read."""
    for entry in list(directory.iterdir()):
        folder = None if not entry.is_dir() else open_folder(entry)
        if folder is None or not isinstance(folder.heading.get(GOES_WITH), list):
            continue
        try:
            with_it, copies = _named(folder, GOES_WITH), _named(folder, COPIES)
            rmtree(delete(directory, [*with_it, entry], copies), ignore_errors=True)
        except OSError as exc:
            LOG.warning("%s: it is to be deleted, and cannot be: %s", entry, exc.strerror)


def _named(folder: RunDir, field: str) -> list[Path]:
    """Archives beside a folder that it names and that are of its own experiment; it names nothing else of ours."""
    names = folder.heading.get(field)
    if not isinstance(names, list):
        return []
    plain = [name for name in names if isinstance(name, str) and name == Path(name).name and name not in ("", "..")]
    found = (folder.path.parent / name for name in plain if name != folder.path.name)
    return [path for path in found if _key_of(path) == folder.heading["offline_id"]]


def _key_of(path: Path) -> str | None:
    try:
        return read_heading(open_archive(path)).offline_id or path.stem
    except (BrokenArchive, OSError):
        return None


def _kept(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    return free(folder, name, lambda number: f"{number}-{name}")
