"""The life of a mount: what stands in its way, mounting, answering, unmounting.

Not here: what the mount shows (tree/) and how requests are answered (operations.py).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyfuse3
import trio

from cometfs.errors import SetupError
from cometfs.fuse.operations import Operations
from cometfs.fuse.requests import Patience
from cometfs.fuse.waiting import descriptors, looking_first
from cometfs.fuse.writable import WritableOperations
from cometfs.tree.vfs import Vfs

SUBTYPE = "cometfs"
"""Mounts of ours have the type fuse.cometfs."""

TASKS = 400
"""Requests that are handled at once; the next ones wait in the kernel."""

ROOM = 300
"""Requests that may wait for the server; the other tasks are kept for those that need none."""

ENDING = 1.0
"""Seconds that a mount that ends takes at most to answer who waits."""

STATUS = Path(".cometfs", "status.json")
"""Where a mount tells of itself."""


@dataclass(frozen=True)
class Mount:
    """A line of /proc/self/mountinfo."""

    path: Path
    type: str

    @property
    def ours(self) -> bool:
        return self.type == f"fuse.{SUBTYPE}"


def mount_at(path: Path) -> Mount | None:
    """What is mounted at `path` (the topmost, where several are), or None. Never touches the mount itself."""
    wanted = path.resolve()
    found = [mount for mount in mounts() if mount.path == wanted]
    return found[-1] if found else None


def mounts() -> list[Mount]:
    """All mounts that this process sees, oldest first."""
    result = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        # Blanks and backslashes in a path stand there as octal escapes.
        path = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal.group(1), 8)]), before.split()[4])
        result.append(Mount(Path(os.fsdecode(path)), os.fsdecode(after.split()[0])))
    return result


def is_dead(path: Path) -> bool:
    """Whether `path` is a mount whose daemon is gone. statvfs is never answered by the kernel itself."""
    try:
        os.statvfs(path)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def prepare(mountpoint: Path) -> None:
    """Checks all that a mount needs of this machine, and clears away a dead mount of ours. Raises SetupError."""
    if not Path("/dev/fuse").exists():
        raise SetupError("/dev/fuse is missing: load the fuse kernel module, or give the container the device")
    if shutil.which("fusermount3") is None:
        raise SetupError("fusermount3 is missing: install the package fuse3")
    mount = mount_at(mountpoint)
    if mount is not None and is_dead(mountpoint):
        if not mount.ours:
            raise SetupError(f"{mountpoint} is a dead mount of another program: unmount it first (fusermount3 -u -z)")
        clear(mountpoint)
    elif mount is not None and mount.ours:
        raise SetupError(f"{mountpoint} is mounted by cometfs already: 'cometfs umount {mountpoint}' ends that mount")
    elif mount is not None:
        raise SetupError(f"{mountpoint} is in use as a mountpoint ({mount.type}): choose another directory")
    _check_directory(mountpoint)


def _check_directory(mountpoint: Path) -> None:
    if not mountpoint.exists():
        raise SetupError(f"{mountpoint} does not exist: create it first (mkdir -p {mountpoint})")
    if not mountpoint.is_dir():
        raise SetupError(f"{mountpoint} is not a directory: choose or create one to mount on")
    if not os.access(mountpoint, os.W_OK | os.X_OK):
        raise SetupError(f"{mountpoint} is not yours to mount on: choose a directory that you may write to")


def clear(mountpoint: Path) -> None:
    """Takes away every mount of ours at `mountpoint` whose daemon is gone."""
    while (mount := mount_at(mountpoint)) is not None and mount.ours and is_dead(mountpoint):
        _fusermount("-u", "-z", str(mountpoint))


def unmount(mountpoint: Path) -> None:
    """Unmounts a mount of ours, dead or alive, in use or not. Raises SetupError where there is none.

    Nothing is lost: who has a file open reads or writes it to its end, and the daemon ends then.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        raise SetupError(f"{mountpoint} is not mounted")
    if not mount.ours:
        raise SetupError(f"{mountpoint} is no mount of cometfs ({mount.type})")
    _fusermount("-u", "-z", str(mountpoint))


def our_mounts() -> list[Path]:
    """Where something is mounted by cometfs. Raises SetupError where nothing is."""
    found = [mount.path for mount in mounts() if mount.ours]
    if not found:
        raise SetupError("nothing is mounted by cometfs")
    return found


def status(mountpoint: Path) -> dict[str, Any]:
    """What a mount says of itself. Raises SetupError where there is none of ours, or none that answers."""
    if mountpoint not in our_mounts():
        raise SetupError(f"{mountpoint} is no mount of cometfs")
    try:
        found: dict[str, Any] = json.loads((mountpoint / STATUS).read_bytes())
        return found
    except OSError as error:
        raise SetupError(f"{mountpoint} does not answer: {error.strerror}") from error


def refresh(path: Path) -> None:
    """Has what is known at `path` and below it asked again by whoever wants it next. Raises SetupError.

    That is `touch`, in clearer words. Symbolic links are followed.
    """
    try:
        place = path.resolve()
    except RuntimeError as error:  # what pathlib makes of it up to Python 3.12
        raise SetupError(f"{path} leads nowhere: its symbolic links go round in a circle") from error
    except OSError as error:
        raise SetupError(f"{path} is not refreshed: {error.strerror}") from error
    around = [mount for mount in reversed(mounts()) if place.is_relative_to(mount.path)]
    mount = max(around, key=lambda found: len(found.path.parts), default=None)
    if mount is None or not mount.ours:
        raise SetupError(f"{path} is in no mount of cometfs")
    try:
        os.utime(path)
    except OSError as error:
        raise SetupError(_unrefreshed(path, mount.path, error)) from error


def _unrefreshed(path: Path, mountpoint: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no {path}"
    if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
        return f"the daemon of {mountpoint} is gone: 'cometfs mount {mountpoint}' clears that away and mounts again"
    if error.errno == errno.EROFS:
        return f"{mountpoint} was mounted by an older cometfs: mount it again"
    return f"{path} is not refreshed: {error.strerror}"


def _fusermount(*arguments: str) -> None:
    done = subprocess.run(["fusermount3", *arguments], capture_output=True)
    if done.returncode == 0:
        return
    raise SetupError(f"fusermount3 cannot unmount: {os.fsdecode(done.stderr).strip()}")


def _worth_saying(record: logging.LogRecord) -> bool:
    """False for pyfuse3's complaint that a reply found nobody: whoever asked was killed, or the mount is gone."""
    return not record.getMessage().endswith(f"failed with {os.strerror(errno.ENOENT)}")


def _allow_files() -> None:
    """Takes as many file descriptors as this process may have: downloads and connections hold some each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(
    vfs: Vfs,
    mountpoint: Path,
    *,
    source: str,
    deadline: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Mounts `vfs` at `mountpoint` and answers until it is unmounted or cancelled; leaves nothing mounted.

    `source` is what `df` and `mount` show; `deadline`: seconds that a request may take. Reports started when the mount
    answers. Raises SetupError where the kernel refuses the mount.
    """
    logging.getLogger("pyfuse3").addFilter(_worth_saying)
    _allow_files()
    patience = Patience(deadline, ROOM)
    operations = WritableOperations(vfs, patience) if vfs.writing.rw else Operations(vfs, patience)
    # Without default_permissions: it makes the kernel ask for attributes, so for sizes, before every look at a file.
    # And not "ro": the kernel itself would refuse `touch`, by which somebody asks again.
    options = {"nosuid", "nodev", f"subtype={SUBTYPE}", f"fsname={source}"}
    others = descriptors()
    try:
        pyfuse3.init(operations, os.fspath(mountpoint), options)
    except RuntimeError as error:
        raise SetupError(f"the kernel refuses to mount on {mountpoint}: {error}") from error
    try:
        opened = descriptors() - others
        operations.notices.descriptor = max(opened, default=-1)
        with looking_first(opened):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(patience.watch)
                nursery.start_soon(operations.live.run)
                nursery.start_soon(_answer, patience, nursery)
                await trio.to_thread.run_sync(os.statvfs, mountpoint, abandon_on_cancel=True)
                task_status.started()
    finally:
        operations.notices.close()
        pyfuse3.close(unmount=True)
        operations.close()


async def _answer(patience: Patience, nursery: trio.Nursery) -> None:
    """Answers until somebody unmounts it from outside; where it is cancelled, those who wait are answered first.

    As long as a lookup is not, the kernel keeps its directory locked, and neither who waits for that lock nor who asked
    can be killed: a connection to the kernel that one of our own threads waits by would then never end.
    """
    answering = trio.CancelScope(shield=True)

    async def answer() -> None:
        with answering:
            await pyfuse3.main(max_tasks=TASKS)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as both:
        both.start_soon(answer)
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(ENDING, shield=True):
                await patience.end()
            answering.cancel()
