"""The folder of a run that is being logged, as files: ``experiment.json``, ``messages.json`` that grows, members.

The form is the offline archive's own, so that any tool that reads archives reads such a folder. Whatever the moment at
which this process is killed: `append` adds all of its bytes or they are cut off when the folder is mended,
``experiment.json`` is the old or the new one, and a file that was half received has a hidden name. What was appended is
with the operating system, not yet on the disk: it survives a kill, not a power cut.

Not here: what is written (`journal`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec

from cometfs.host.files import open_regular, read_regular
from cometfs.server.runs.decode import BrokenLine, decode
from cometfs.server.runs.zip_reader import EXPERIMENT, MESSAGES
from cometfs.server.storage.atomic import append, free, replace
from cometfs.server.storage.errors import StorageFull, full_disk

HIDDEN = ".arriving-"
"""How names of files and folders begin that are not whole yet; no archive's member is called so."""

Heading = dict[str, Any]

UNFINISHED = "unfinished"
"""The field of ``experiment.json`` for a run that has not ended. Its `stop_time`, None here, stands there all the same,
as the time of its last sign of life: without one comet_ml's uploader refuses an archive (its schema wants an integer).
"""

LOG = logging.getLogger("cometfs.server")


class RunDir:
    """One such folder; `heading` is what is in its ``experiment.json``, unknown fields included."""

    def __init__(self, path: Path, heading: Heading) -> None:
        self.path, self.heading = path, heading

    def append(self, added: bytes) -> int:
        """Add to ``messages.json`` in one write, or nothing at all; returns where it begins. Raises StorageFull."""
        with full_disk(), open_regular(self.path / MESSAGES, "r+b", 0) as file:
            return append(file, added)

    def amend(self, **changes: Any) -> None:
        """Replace fields of ``experiment.json``. Raises StorageFull."""
        changed = self.heading | changes
        with full_disk():
            _replace(self.path / EXPERIMENT, changed)
        self.heading = changed

    def adopt(self, received: Path) -> str:
        """Keep a file that is on this disk already: the name that it has as a member. Raises StorageFull."""
        name = f"tmp{secrets.token_hex(8)}"
        with full_disk():
            received.rename(self.path / name)
        return name


def make_folder(directory: Path, name: str, heading: Heading) -> RunDir:
    """A new folder in `directory`, there as a whole or not at all; `name`-2 if that is taken. Raises StorageFull."""
    hidden = directory / f"{HIDDEN}{name}"
    try:
        with full_disk():
            hidden.mkdir()
            (hidden / MESSAGES).touch()
            _replace(hidden / EXPERIMENT, heading)
            path = hidden.rename(free(directory, name, lambda number: f"{name}-{number}"))
    except StorageFull:
        rmtree(hidden, ignore_errors=True)
        raise
    return RunDir(path, heading)


def is_ours(heading: Heading) -> bool:
    """Whether a folder with this heading was made by a server to be logged into, and not put there as an archive."""
    return "last_seen" in heading


def open_folder(path: Path) -> RunDir | None:
    """The folder at `path`, if it is one that a server logged into; others are never written to, nor is a copy of one
    under another name.
    """
    if path.is_symlink():
        return None
    try:
        heading = json.loads(read_regular(path / EXPERIMENT))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(heading, dict) or not is_ours(heading):
        return None
    if heading.pop(UNFINISHED, False):
        heading["stop_time"] = None
    named = re.fullmatch(re.escape(str(heading.get("offline_id"))) + r"(-[0-9]+)?", path.name)
    return RunDir(path, heading) if named else None


def mend(folder: RunDir) -> None:
    """Make good what a killed server left: half a line or half a file was acknowledged to no client. Raises OSError."""
    for left in folder.path.glob(f"{HIDDEN}*"):
        _remove(left)
    path = folder.path / MESSAGES
    path.touch()
    with open_regular(path, "r+b") as log:
        size = log.seek(0, os.SEEK_END)
        start = _start_of_last_line(log.fileno(), size)
        if start == size:
            return
        log.seek(start)
        try:
            decode(log.read())
        except BrokenLine:
            log.truncate(start)
        else:
            log.write(b"\n")


def mend_all(directory: Path) -> None:
    """Mend every folder in `directory` that a server logged into; what cannot be mended is left with a warning.

    Raises OSError when the directory cannot be read.
    """
    for entry in list(directory.iterdir()):
        try:
            if entry.name.startswith(HIDDEN):
                _remove(entry)
            elif folder := open_folder(entry):
                mend(folder)
        except OSError as exc:
            LOG.warning("%s: left as it is; %s", entry, exc.strerror)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):  # another process removes it
        if path.is_dir() and not path.is_symlink():
            rmtree(path)
        else:
            path.unlink()


def _start_of_last_line(file: int, size: int, step: int = 1 << 16) -> int:
    """Behind the last newline."""
    at = size
    while at > 0:
        begin = max(0, at - step)
        found = os.pread(file, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0


def _replace(path: Path, content: Heading) -> None:
    if content.get("stop_time") is None:
        times = [content.get(field) or 0 for field in ("last_seen", "start_time")]
        content = content | {UNFINISHED: True, "stop_time": max(times)}
    replace(path, msgspec.json.encode(content), path.with_name(f"{HIDDEN}{path.name}"))
