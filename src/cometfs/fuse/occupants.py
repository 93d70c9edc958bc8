"""Which processes use a mount, by /proc. The mount itself is asked nothing: its daemon may be dead.

Not here: unmounting (mountpoints.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cometfs.caller import command_of

SHOWN = 8
"""Processes that are named; the rest is counted."""


class Occupant(NamedTuple):
    """A process, and the first thing by which it uses the mount."""

    pid: int
    command: str
    use: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid}, {self.use})"


def occupants(mountpoint: Path) -> list[Occupant]:
    """The processes that have their working directory, their root, a file or memory below `mountpoint`.

    Those of other users are seen by root alone.
    """
    found = []
    for process in Path("/proc").iterdir():
        use = next(_uses(process, os.fspath(mountpoint)), None) if process.name.isdigit() else None
        if use is not None:
            found.append(Occupant(int(process.name), command_of(int(process.name)), use))
    return sorted(found)


def sentence(mountpoint: Path, found: list[Occupant]) -> str:
    """The sentence about a mount that was unmounted while it was in use."""
    named = [*map(str, found[:SHOWN]), *([f"{len(found) - SHOWN} more"] if len(found) > SHOWN else [])]
    users = ", ".join(named) or "a process that this user may not see"
    return f"{mountpoint} is unmounted, but still in use by {users}: its daemon ends when they have let go of it"


def _uses(process: Path, mountpoint: str) -> Iterator[str]:
    for link, use in (("cwd", "working directory"), ("root", "root directory"), ("exe", "running")):
        path = _target(process / link)
        if _is_below(path, mountpoint):
            yield f"{use} {path}"
    for path in _open_files(process):
        if _is_below(path, mountpoint):
            yield f"{path} open"
    for path in _mapped_files(process):
        if _is_below(path, mountpoint):
            yield f"{path} in memory"


def _is_below(path: str, mountpoint: str) -> bool:
    return f"{path}/".startswith(f"{mountpoint}/")


def _target(link: Path) -> str:
    try:
        return os.fspath(link.readlink())
    except OSError:
        return ""  # it has ended, or is another user's


def _open_files(process: Path) -> Iterator[str]:
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    yield from map(_target, links)


def _mapped_files(process: Path) -> Iterator[str]:
    try:
        lines = (process / "maps").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        _, slash, path = os.fsdecode(line).partition("/")
        yield slash + path
