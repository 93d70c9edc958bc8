"""What /proc tells of a program that asks. Not here: signals that are pending on it (requests.py)."""

from __future__ import annotations

import os
from pathlib import Path

from cometfs.vfs.schema import names


def still_holds(pid: int, inode: int, name: str) -> bool:
    """Whether `pid` has a descriptor left of the file with that inode and name; False where that cannot be seen.

    A shell that redirects opens the file, copies the descriptor and closes the first: the program is yet to write.
    Never follows the links of /proc: that would ask this very mount.
    """
    directory = Path(f"/proc/{pid}/fd")
    try:
        descriptors = os.listdir(directory)  # noqa: PTH208  # names are all that is wanted
    except OSError:
        return False
    return any(_is(pid, number, inode, names.encoded(name)) for number in descriptors)


def _is(pid: int, number: str, inode: int, name: bytes) -> bool:
    try:
        # A number alone may be another file system's.
        if name not in os.readlink(f"/proc/{pid}/fd/{number}".encode()):  # noqa: PTH115
            return False
        lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text("ascii").splitlines()
    except OSError:
        return False  # closed meanwhile
    return f"ino:\t{inode}" in lines
