"""The life of a mount: mounting, answering, unmounting when it ends.

Not here: what stands in its way (mountpoints.py), what the mount shows (vfs/) and how requests are answered
(operations.py).
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyfuse3
import trio

from cometfs.compat.pyfuse3_wait import descriptors, looking_first
from cometfs.errors import SetupError
from cometfs.fuse.mountinfo import SUBTYPE
from cometfs.fuse.operations import Operations
from cometfs.fuse.unmounting import limit_files
from cometfs.fuse.writable import WritableOperations
from cometfs.mountstate.access import Access
from cometfs.mountstate.limits import RequestLimiter
from cometfs.text.printable import printable
from cometfs.vfs.engine.vfs import Vfs

STDERR = 2

TASKS = 400
"""Requests that are handled at once; the next ones wait in the kernel."""

ROOM = 300
"""Requests that may wait for the server; the other tasks are kept for those that need none."""

ENDING = 1.0
"""Seconds that a mount that ends takes at most to answer the requests that wait."""


def _worth_saying(record: logging.LogRecord) -> bool:
    """False for pyfuse3's complaint that a reply was not wanted: the program was killed, or the mount is gone."""
    return not record.getMessage().endswith(f"failed with {os.strerror(errno.ENOENT)}")


def _init(operations: Operations, mountpoint: Path, options: set[str]) -> None:
    """Mounts. Raises SetupError with what libfuse and fusermount3 write to stderr."""
    output: list[str] = []
    try:
        with stderr_of_fuse() as output:
            pyfuse3.init(operations, os.fspath(mountpoint), options)
    except RuntimeError as error:
        reason = "; ".join(dict.fromkeys(output)) or str(error)
        raise SetupError(f"cannot mount on {mountpoint}: {reason}{_remark(reason)}") from error


def _remark(reason: str) -> str:
    """What fusermount3's own words do not tell, where that is known."""
    if "could not determine username" in reason:
        return " (it mounts only for users that have an entry in /etc/passwd, and this one has none)"
    if "user_allow_other" in reason:
        return " (root adds that line to it: echo user_allow_other | sudo tee -a /etc/fuse.conf)"
    if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text("utf-8", "replace"):
        return " (no_new_privs is set here, and so fusermount3 has no privileges to mount)"
    return ""


async def serve(
    vfs: Vfs,
    mountpoint: Path,
    *,
    source: str,
    deadline: float,
    access: Access,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Mounts `vfs` at `mountpoint` and answers until it is unmounted or cancelled; leaves nothing mounted.

    `source` is what `df` and `mount` show; `deadline`: seconds that a request may take; `access`: which users may look.
    Reports started when the mount answers. Raises SetupError where the kernel refuses the mount.
    """
    logging.getLogger("pyfuse3").addFilter(_worth_saying)
    limit_files()
    limiter = RequestLimiter(deadline, ROOM)
    operations = (WritableOperations if vfs.writing.rw else Operations)(vfs, limiter, access.owner)
    # Not "ro": the kernel itself would refuse `touch`, which drops what is cached.
    options = {"nosuid", "nodev", f"subtype={SUBTYPE}", f"fsname={source}"} | access.options
    others = descriptors()
    _init(operations, mountpoint, options)
    try:
        opened = descriptors() - others
        operations.invalidator.descriptor = max(opened, default=-1)
        with looking_first(opened):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(limiter.watch)
                nursery.start_soon(operations.run)
                nursery.start_soon(_answer, limiter, nursery)
                await trio.to_thread.run_sync(os.statvfs, mountpoint, abandon_on_cancel=True)
                task_status.started()
    finally:
        operations.invalidator.close()
        pyfuse3.close(unmount=True)
        operations.close()


async def _answer(limiter: RequestLimiter, nursery: trio.Nursery) -> None:
    """Answers until it is unmounted from outside; where it is cancelled, requests that wait are answered first.

    As long as a lookup is not, the kernel keeps its directory locked, and neither the processes that wait for that lock
    nor the one that asked can be killed: a thread of our own among them would keep the connection open for ever.
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
                await limiter.end()
            answering.cancel()


@contextmanager
def stderr_of_fuse() -> Iterator[list[str]]:
    """Collects what libfuse and fusermount3 write to stderr while the body runs; the list is filled at the end.

    What others write meanwhile, a logging thread perhaps, appears then, late but whole.
    """
    lines: list[str] = []
    kept = os.dup(STDERR)
    with os.fdopen(os.memfd_create("stderr"), "r+b") as file:
        os.dup2(file.fileno(), STDERR)
        try:
            yield lines
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines(keepends=True):
                if _OF_FUSE.match(line):
                    lines.append(printable(line.strip()))
                else:
                    os.write(STDERR, line.encode())


_OF_FUSE = re.compile(r"(lib)?fuse(rmount)?3?: ")
