"""What no mount lets be done, in the words of a file system that is only read.

The kernel believes the mount to be writable: on one that is not, it refuses `touch` itself, without a request. So
each way to change something is refused here. Not here: what may be written with `--rw` (writable.py).
"""

# ruff: noqa: ARG002  # pyfuse3 decides what a handler is given

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NoReturn

import pyfuse3
from pyfuse3 import EntryAttributes, FileInfo, InodeT, RequestContext, SetattrFields

from cometfs.errors import ReadOnly
from cometfs.fuse.requests import at_once
from cometfs.mountstate.limits import RequestLimiter
from cometfs.telemetry.gauges import Histogram
from cometfs.vfs.nodes import Attributes

NOW = 2_000_000_000
"""Nanoseconds for which a time counts as that of the request: pyfuse3 gives "now" as a time like any other."""


class ReadOnlyOperations(pyfuse3.Operations):
    """EROFS for all that makes, moves, takes away or marks something."""

    limiter: RequestLimiter
    timings: defaultdict[str, Histogram]
    errnos: Counter[str]

    def failed(self, request: str, args: tuple[Any, ...], name: str, sentence: str) -> Mapping[str, Any]:
        """For a class that knows where a failure is kept."""
        return {}

    @at_once
    def create(
        self, parent_inode: InodeT, name: bytes, mode: int, flags: int, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        refuse()

    @at_once
    def mknod(self, parent_inode: InodeT, name: bytes, mode: int, rdev: int, ctx: RequestContext) -> EntryAttributes:
        refuse()

    @at_once
    def mkdir(self, parent_inode: InodeT, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        refuse()

    @at_once
    def symlink(self, parent_inode: InodeT, name: bytes, target: bytes, ctx: RequestContext) -> EntryAttributes:
        refuse()

    @at_once
    def link(self, inode: InodeT, new_parent_inode: InodeT, new_name: bytes, ctx: RequestContext) -> EntryAttributes:
        refuse()

    @at_once
    def unlink(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        refuse()

    @at_once
    def rmdir(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        refuse()

    @at_once
    def rename(
        self,
        parent_inode_old: InodeT,
        name_old: bytes,
        parent_inode_new: InodeT,
        name_new: bytes,
        flags: int,
        ctx: RequestContext,
    ) -> None:
        refuse()

    @at_once
    def setxattr(self, inode: InodeT, name: bytes, value: bytes, ctx: RequestContext) -> None:
        refuse()

    @at_once
    def removexattr(self, inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        refuse()


def writes(flags: int) -> bool:
    """Whether a file is opened to be changed."""
    return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & os.O_TRUNC)


def runs(mode: int, seen: Attributes) -> bool:
    """Whether it is asked for a program to run: nothing here is one."""
    return bool(mode & os.X_OK) and seen.kind == "file"


def is_touch(attr: EntryAttributes, fields: SetattrFields) -> bool:
    """Whether attributes are set as `touch` does without options: times alone, and to now."""
    wanted = [attr.st_atime_ns] * fields.update_atime + [attr.st_mtime_ns] * fields.update_mtime
    others = fields.update_mode or fields.update_uid or fields.update_gid or fields.update_size
    now = time.time_ns()
    return bool(wanted) and not others and all(abs(now - moment) < NOW for moment in wanted)


def refuse() -> NoReturn:
    """Raises ReadOnly."""
    raise ReadOnly("what Comet has is only shown here")
