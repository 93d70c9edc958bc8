"""A mount from outside: what stands in its way, which are ours, asking them again, unmounting.

No daemon is needed for it, so neither pyfuse3 nor an event loop is loaded, but by what is about to mount: `cometfs
umount` does not wait for them, and works without them. Not here: mounting and answering (session.py).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from cometfs.errors import SetupError
from cometfs.fuse import unmounting
from cometfs.fuse.mountinfo import PATIENCE, is_dead, mount_at, mounts, resolve
from cometfs.fuse.occupants import Occupant, occupants
from cometfs.host import installing
from cometfs.telemetry import logs

AUTOMOUNT = "autofs"
"""What systemd mounts where the first look is to mount something."""


def require_fuse() -> None:
    """Raises SetupError where this machine cannot mount at all."""
    try:
        import pyfuse3  # noqa: F401
    except ModuleNotFoundError:
        raise SetupError(f"mounting needs the extra cometfs[fuse]: {installing.remedy()}") from None
    except ImportError as error:
        raise SetupError(f"pyfuse3 cannot be loaded ({error}): {installing.remedy()}") from error
    if not Path("/dev/fuse").exists():
        raise SetupError("/dev/fuse is missing: load the fuse kernel module, or give the container the device")
    if shutil.which("fusermount3") is None:
        raise SetupError("fusermount3 is missing: install the package fuse3")


def prepare(mountpoint: Path, *, allow_non_empty: bool = False) -> None:
    """Checks all that a mount needs of this machine, and clears away a dead mount of ours. Raises SetupError.

    `allow_non_empty`: files in the directory, which the mount will hide, are no obstacle.
    """
    require_fuse()
    mount = mount_at(mountpoint)
    if mount is not None and mount.type == AUTOMOUNT:
        mount = None  # it waits for this one
    if mount is not None and is_dead(mountpoint):
        if not mount.ours:
            raise SetupError(f"{mountpoint} is a dead mount of another program: unmount it first (fusermount3 -u -z)")
        clear(mountpoint)
    elif mount is not None and mount.ours:
        raise SetupError(f"{mountpoint} is mounted by cometfs already: 'cometfs umount {mountpoint}' ends that mount")
    elif mount is not None:
        raise SetupError(f"{mountpoint} is in use as a mountpoint ({mount.type}): choose another directory")
    _check_directory(mountpoint)
    if not allow_non_empty:
        _check_empty(mountpoint)


SYS_ADMIN = 1 << 21


def _mounts_by_itself() -> bool:
    """Whether this process may mount wherever it likes; others have fusermount3 do it, which looks at the directory."""
    try:
        lines = Path("/proc/self/status").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("CapEff:") and int(line.split()[1], 16) & SYS_ADMIN for line in lines)


def _check_directory(mountpoint: Path) -> None:
    try:
        found = mountpoint.stat()
    except FileNotFoundError:
        raise SetupError(f"{mountpoint} does not exist: create it first (mkdir -p {mountpoint})") from None
    except OSError as error:
        raise SetupError(f"cannot mount on {mountpoint}: {error.strerror}; choose another directory") from error
    if not stat.S_ISDIR(found.st_mode):
        raise SetupError(f"{mountpoint} is not a directory: choose or create one to mount on")
    if not os.access(mountpoint, os.W_OK | os.X_OK) and not _mounts_by_itself():
        raise SetupError(f"{mountpoint} is not yours to mount on: choose a directory that you may write to")


def _check_empty(mountpoint: Path) -> None:
    remedy = "choose an empty directory, or say --allow-non-empty"
    try:
        empty = next(mountpoint.iterdir(), None) is None
    except OSError as error:
        raise SetupError(f"cannot tell whether {mountpoint} is empty ({error.strerror}): {remedy}") from error
    if not empty:
        raise SetupError(f"{mountpoint} is not empty, and the mount would hide what is in it: {remedy}")


def clear(mountpoint: Path) -> None:
    """Takes away every mount of ours at `mountpoint` whose daemon is gone."""
    while (mount := mount_at(mountpoint)) is not None and mount.ours and is_dead(mountpoint):
        unmounting.detach(mountpoint)


@contextmanager
def directory_at(mountpoint: Path) -> Iterator[None]:
    """Clears away a dead mount of ours at `mountpoint`, and has a directory there while the body runs.

    One that was made for that is removed again. Raises SetupError.
    """
    clear(mountpoint)
    made = not os.path.lexists(mountpoint)
    if made:
        try:
            mountpoint.mkdir(parents=True)
        except OSError as error:
            raise SetupError(f"cannot make {mountpoint}: {error.strerror}; name another directory") from error
    try:
        yield
    finally:
        if made:
            _remove(mountpoint)


def _remove(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError as error:
        raise SetupError(f"{directory} was made for the demo and stays: {error.strerror}") from error


def unmount(mountpoint: Path) -> list[Occupant] | None:
    """Unmounts a mount of ours, dead or alive, and returns the processes that still use it; None where none does.

    Nothing is lost: open files are read or written to their end, and the daemon ends then. Raises SetupError where
    there is no mount of ours.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        raise SetupError(f"{mountpoint} is not mounted")
    if not mount.ours:
        raise SetupError(f"{mountpoint} is no mount of cometfs ({mount.type})")
    if unmounting.is_unmounted(mountpoint):
        return None
    found = occupants(mountpoint)  # before it is detached: its files have no such paths then
    unmounting.detach(mountpoint)
    return found


def our_mounts() -> list[Path]:
    """Where something is mounted by cometfs. Raises SetupError where nothing is."""
    found = [mount.path for mount in mounts() if mount.ours]
    if not found:
        raise SetupError("nothing is mounted by cometfs")
    return found


def status(mountpoint: Path, file: PurePath) -> dict[str, Any]:
    """What a mount reports in `file`, a path inside it. Raises SetupError where no mount of ours answers."""
    if mountpoint not in our_mounts():
        raise SetupError(f"{mountpoint} is no mount of cometfs")
    return asked(mountpoint, file)


def asked(mountpoint: Path, file: PurePath) -> dict[str, Any]:
    """What a mount of ours reports in `file`. Raises SetupError where it does not, within `PATIENCE` seconds."""
    answers: list[dict[str, Any] | OSError] = []

    def ask() -> None:
        try:
            answers.append(json.loads((mountpoint / file).read_bytes()))
        except OSError as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if not answers:
        raise SetupError(f"{mountpoint} does not answer: its daemon is stopped or very busy")
    if isinstance(answers[0], OSError):
        raise SetupError(f"{mountpoint} does not answer: {answers[0].strerror}") from answers[0]
    return answers[0]


def log_level(mountpoint: Path) -> str:
    """What a mount logs. Raises SetupError where no mount of ours answers."""
    if mountpoint not in our_mounts():
        raise SetupError(f"{mountpoint} is no mount of cometfs")
    try:
        return os.getxattr(mountpoint, logs.ATTRIBUTE).decode()
    except OSError as error:
        raise SetupError(f"{mountpoint} does not answer: {error.strerror}") from error


def set_log_level(mountpoint: Path, level: str) -> None:
    """Has a mount log that level and those above it. Raises SetupError."""
    log_level(mountpoint)
    try:
        os.setxattr(mountpoint, logs.ATTRIBUTE, level.encode())
    except OSError as error:
        raise SetupError(f"{mountpoint} goes on as it was: {error.strerror} (only its owner may change it)") from error


def refresh(path: Path) -> None:
    """Drops what is known at `path` and below it, so that the next look asks Comet again. Raises SetupError.

    That is `touch`, in clearer words. Symbolic links are followed.
    """
    place = resolve(path)
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
    if error.errno == errno.ENETUNREACH:
        return f"{path} is not refreshed: Comet cannot be reached, and what is cached is all there is"
    if error.errno == errno.EROFS:
        return f"{mountpoint} was mounted by an older cometfs: mount it again"
    return f"{path} is not refreshed: {error.strerror}"
