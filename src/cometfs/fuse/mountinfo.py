"""Which mounts there are, and what path the kernel knows one by. Only `is_dead` asks a daemon, and not for long.

Not here: mounting and unmounting (mountpoints.py, session.py).
"""

from __future__ import annotations

import errno
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from cometfs.errors import SetupError
from cometfs.host.home import expand

SUBTYPE = "cometfs"
"""Mounts of ours have the type fuse.cometfs."""

PATIENCE = 5.0
"""Seconds that a daemon may take to show that it lives; a stopped one would take for ever."""

LINKS = 40
"""Symbolic links that one path may lead through; the kernel's own limit."""


@dataclass(frozen=True)
class Mount:
    """A line of /proc/self/mountinfo."""

    path: Path
    type: str
    source: str = ""
    """What is mounted: of ours the address of the server."""
    user: int | None = None
    """By which user, where the file system says so: FUSE does."""

    @property
    def ours(self) -> bool:
        return self.type == f"fuse.{SUBTYPE}"


def mounts() -> list[Mount]:
    """All mounts that this process sees, oldest first."""
    result = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        # Blanks and backslashes in a path stand there as octal escapes.
        path = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal.group(1), 8)]), before.split()[4])
        kind, source, options = (os.fsdecode(word) for word in after.split(b" ")[:3])
        user = re.search(r"(?:^|,)user_id=(\d+)", options)
        result.append(Mount(Path(os.fsdecode(path)), kind, source, int(user[1]) if user else None))
    return result


def mount_at(path: Path) -> Mount | None:
    """What is mounted at `path`, which is resolved (the topmost, where several are), or None."""
    found = [mount for mount in mounts() if mount.path == path]
    return found[-1] if found else None


NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|afs|9p|ceph|lustre|gpfs|beegfs|orangefs|ncpfs|coda|virtiofs"
    r"|fuse\.(?:sshfs|s3fs|gcsfuse|rclone|glusterfs|ceph-fuse|davfs2?|cometfs)"
)
"""Types of file systems that are on other machines, or stand for that."""


def network_of(path: Path, among: list[Mount] | None = None) -> str:
    """The type of the file system that a path lies on, or would, if that is on a network; else nothing."""
    place = Path(os.path.realpath(path))
    around = [mount for mount in (mounts() if among is None else among) if place.is_relative_to(mount.path)]
    mount = max(reversed(around), key=lambda found: len(found.path.parts), default=None)
    return mount.type if mount is not None and NETWORK.fullmatch(mount.type) else ""


def is_dead(path: Path) -> bool:
    """Whether `path` is a mount whose daemon is gone; one that does not answer for `PATIENCE` seconds is not."""
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_is_unconnected(path)), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answers == [True]


def _is_unconnected(path: Path) -> bool:
    """Asks the daemon: statvfs is never answered by the kernel itself."""
    try:
        os.statvfs(path)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def resolve(path: Path) -> Path:
    """`path` as the kernel names it: absolute, without links and `..`. Raises SetupError.

    A mountpoint is not looked at, since its daemon may be dead or stopped: it is a directory and no link.
    `os.path.realpath` would ask it.
    """
    path = expand(path)
    mountpoints = {os.fspath(mount.path) for mount in mounts()}
    place = "/" if path.is_absolute() else _here(path)
    rest = list(reversed(_parts(path)))
    links = 0
    while rest:
        part = rest.pop()
        inner = os.path.dirname(place) if part == ".." else os.path.join(place, part)  # noqa: PTH118, PTH120
        target = None if part == ".." or inner in mountpoints else _target(inner)
        if target is None:
            place = inner
            continue
        links += 1
        if links > LINKS:
            raise SetupError(f"{path} leads nowhere: its symbolic links go round in a circle")
        place = "/" if target.is_absolute() else place
        rest += reversed(_parts(target))
    return Path(place)


def _parts(path: Path) -> tuple[str, ...]:
    return path.parts[1:] if path.is_absolute() else path.parts


def _here(path: Path) -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError as error:
        raise SetupError(f"{path} leads nowhere: the current directory is gone ({error.strerror})") from error


def _target(path: str) -> Path | None:
    """Where a symbolic link leads; None for all else, also for what is not there or cannot be reached."""
    try:
        return Path(os.readlink(path))  # noqa: PTH115
    except UnicodeEncodeError:  # the locale has no way to it: the command says so
        raise
    except (OSError, ValueError):
        return None
