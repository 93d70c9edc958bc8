"""What a request that failed was about, and which program made it: by its name and its arguments, as pyfuse3 has them.

Not here: which errors are worth a line (requests.py), and where it goes (vfs/error_log.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pyfuse3

from cometfs.errors import Stale
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.vfs.schema import names

NAMED = frozenset({"lookup", "create", "unlink", "rename", "mknod", "mkdir", "rmdir", "symlink"})
"""Requests for a name in a directory."""

OPEN = frozenset({"read", "write", "flush", "fsync", "release"})
"""Requests with a handle of a file."""

LISTED = frozenset({"readdir", "releasedir"})
"""Requests with a handle of a directory."""


class Subject(NamedTuple):
    """What a request is about."""

    path: str
    pid: int


def subject(request: str, args: tuple[Any, ...], inodes: Inodes, handles: Handles) -> Subject:
    """That of a request; without a path where what it is about is not known any more."""
    pid = args[-1].pid if args and isinstance(args[-1], pyfuse3.RequestContext) else 0
    try:
        if request in OPEN:
            return Subject(handles.behind(args[0]).inode.path, handles.opener(args[0]))
        if request in LISTED:
            opened = handles.dir(args[0])
            return Subject(opened.inode.path, opened.pid)
        inode: Inode = inodes.at(args[0])
    except Stale:
        return Subject("", pid)
    return Subject(f"{inode.path}/{names.decoded(args[1])}".lstrip("/") if request in NAMED else inode.path, pid)
