"""FUSE, kernel, locale and limits of this machine, and mounts whose daemon is gone."""

from __future__ import annotations

import locale
import os
import platform
import pwd
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from cometfs.doctor.local.finding import Finding, ok
from cometfs.errors import SetupError
from cometfs.fuse import mountpoints
from cometfs.fuse.mountinfo import is_dead, mounts

DEVICE = Path("/dev/fuse")

CONF = Path("/etc/fuse.conf")

KERNEL = (5, 4)
"""The oldest that cometfs is tried with."""

FILES = 4096
"""Descriptors that a mount takes with many readers."""


def fuse(device: Path = DEVICE, conf: Path = CONF) -> Iterator[Finding]:
    """Whether this machine mounts, and for which users."""
    try:
        mountpoints.require_fuse()
        yield ok("fuse", "pyfuse3, /dev/fuse and fusermount3 are there")
    except SetupError as error:
        sentence, _, remedy = str(error).partition(": ")
        yield Finding("wrong", "fuse", sentence, remedy)
    if device.exists() and not os.access(device, os.R_OK | os.W_OK):
        remedy = f"join the group that owns it, or as root: chmod 666 {device}"
        yield Finding("wrong", "fuse", f"{device} may not be opened by this user", remedy)
    yield from _privileges()
    yield from _others(conf)


def _privileges() -> Iterator[Finding]:
    """fusermount3 mounts for users by being setuid, and asks passwd for their names."""
    helper = shutil.which("fusermount3")
    if os.geteuid() == 0 or helper is None:
        return
    if not os.stat(helper).st_mode & stat.S_ISUID:  # noqa: PTH116  # a path of its own
        yield Finding("wrong", "permissions", f"{helper} is not setuid root", f"as root: chmod u+s {helper}")
    if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text("utf-8", "replace"):
        remedy = "take NoNewPrivileges from the unit, or allowPrivilegeEscalation: true in the container"
        yield Finding("wrong", "permissions", "no_new_privs is set, so fusermount3 cannot mount", remedy)
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        remedy = "add one: fusermount3 mounts for no other users"
        yield Finding("wrong", "permissions", "this user has no entry in /etc/passwd", remedy)


def _others(conf: Path) -> Iterator[Finding]:
    try:
        words = [line.split("#")[0].strip() for line in conf.read_text("utf-8", "replace").splitlines()]
    except OSError:
        words = []
    if "user_allow_other" in words or os.geteuid() == 0:
        yield ok("other users", "a mount may be opened to other users")
    else:
        remedy = f"for --allow-other, as root: echo user_allow_other >>{conf}"
        yield Finding("note", "other users", "mounts are for this user alone", remedy)


def dead_mounts() -> Iterator[Finding]:
    """Mounts of ours that answer nothing any more."""
    found = list(dict.fromkeys(mount.path for mount in mounts() if mount.ours))
    dead = [path for path in found if is_dead(path)]
    for path in dead:
        yield Finding("wrong", "mounts", f"the daemon of {path} is gone", f"cometfs umount {path}")
    if not dead:
        yield ok("mounts", f"{len(found)} mounted by cometfs, none of them dead")


def system() -> Iterator[Finding]:
    """Kernel, locale, limits."""
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if version < KERNEL:
        wanted = ".".join(map(str, KERNEL))
        yield Finding("note", "kernel", f"Linux {release} is older than {wanted}", "cometfs is not tried with it")
    else:
        yield ok("kernel", f"Linux {release}")
    encoding = locale.getencoding()
    if encoding.lower().replace("-", "") != "utf8":
        remedy = "set LC_ALL=C.UTF-8: names that the locale lacks cannot be typed or printed"
        yield Finding("note", "locale", f"its encoding is {encoding}", remedy)
    else:
        yield ok("locale", encoding)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FILES:
        remedy = f"raise it: ulimit -Hn {FILES}, LimitNOFILE= of a unit, --ulimit nofile= of a container"
        yield Finding("note", "limits", f"a process may open {most} files", remedy)
    else:
        yield ok("limits", "enough files may be open")
