"""The mounts of a user, each with what it says of itself: one that is dead, or does not answer, is among them.

Not here: what a mount is (mountinfo.py), and how a list is printed (report.py).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple

from cometfs.errors import SetupError
from cometfs.fuse.mountinfo import Mount, is_dead, mounts
from cometfs.fuse.mountpoints import asked

State = Literal["mounted", "dead", "silent"]

ABREAST = 16
"""Mounts that are asked at once: one that is stopped takes seconds."""


class Seen(NamedTuple):
    """A mount as it was found."""

    mountpoint: Path
    server: str
    state: State
    """"dead": its daemon is gone; "silent": it does not answer, or not to this user."""
    says: dict[str, Any] | None
    """What it reports of itself, where it does."""


def of_user(file: PurePath, user: int | None = None) -> list[Seen]:
    """The mounts of ours that `user` has made, of this process by default; for root all. Oldest first. `file`: where
    each reports on itself."""
    user = os.getuid() if user is None else user
    topmost = {mount.path: mount for mount in mounts()}
    mine = [mount for mount in topmost.values() if mount.ours and user in (0, mount.user)]
    with ThreadPoolExecutor(ABREAST) as pool:
        return list(pool.map(lambda mount: _seen(mount, file), mine))


def _seen(mount: Mount, file: PurePath) -> Seen:
    if is_dead(mount.path):
        return Seen(mount.path, mount.source, "dead", None)
    try:
        return Seen(mount.path, mount.source, "mounted", asked(mount.path, file))
    except SetupError:
        return Seen(mount.path, mount.source, "silent", None)
