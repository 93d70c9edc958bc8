"""A process in the background that reports when it is ready: to the shell that started it, and to systemd.

Not here: what the process does (app.py).
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from cometfs.errors import CometFSError, SetupError

_READY = b"\0ready"

_STDERR = 2

MANAGER_PATIENCE = 1.0
"""Seconds that the service manager may take to make room for a message."""

log = logging.getLogger(__name__)


def open_streams() -> None:
    """Opens /dev/null as stdin, stdout and stderr where the parent has closed them.

    Else the next file that is opened takes such a number, and is taken for the stream by all that prints.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(opened, True)
    os.close(opened)
    # What is closed at the start is None here.
    sys.stdin = sys.stdin or open(0, encoding="locale", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="locale", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(  # noqa: SIM115
        2, "w", buffering=1, encoding="locale", errors="backslashreplace", closefd=False
    )


def in_background(main: Callable[[Callable[[str], None]], None], log_file: BinaryIO | None) -> str:
    """Runs `main(ready)` in a daemon and returns, when it has called `ready`, what it was called with.

    Raises SetupError with the daemon's own sentence if it ends before that. The daemon's stderr goes to `log_file`;
    without one it stays where it is.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _become_daemon(main, writer, log_file)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    if not report.startswith(_READY):
        place = "the journal" if log_file is None else log_file.name
        raise SetupError(
            report.decode("utf-8", "surrogateescape") or f"the daemon ended before it was ready: see {place}"
        )
    return report.removeprefix(_READY).decode("utf-8", "surrogateescape")


def leave() -> NoReturn:
    """Ends a process that has nothing left to do, and well: taking the interpreter apart is a sixth of a start."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _become_daemon(main: Callable[[Callable[[str], None]], None], writer: int, log_file: BinaryIO | None) -> NoReturn:
    """Never returns into the caller's stack: what the parent would do next is not the daemon's."""
    status = 1
    try:
        _redirect(log_file)
        os.chdir("/")

        def ready(note: str) -> None:
            # Not before: an automount lets the process group through that mounts, and keeps all others waiting.
            os.setsid()
            os.write(writer, _READY + note.encode("utf-8", "surrogateescape"))
            os.close(writer)

        main(ready)
        status = 0
    except CometFSError as error:
        log.error("%s", error)
        _report(writer, str(error))
    except BaseException:
        log.exception("the daemon failed")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _report(writer: int, sentence: str) -> None:
    try:
        os.write(writer, sentence.encode("utf-8", "surrogateescape"))
    except OSError:
        return  # it was ready already: the parent has ended, and the log has the sentence


def _redirect(log_file: BinaryIO | None) -> None:
    """Lets go of the terminal: a shell that waits for the end of a pipe must not wait for the daemon."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    if log_file is not None:
        os.dup2(log_file.fileno(), _STDERR)
        log_file.close()
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8")  # one log, whatever the locale of a process that writes to it


@contextmanager
def claim(mountpoint: Path) -> Iterator[None]:
    """Holds a lock on the directory `mountpoint`; the kernel lets go of it when the process dies, however it does.

    Raises SetupError where another process holds it: two that mount on one place at once would stack their mounts.
    It is the directory itself: a lock elsewhere would need a home, and would be another one for another user.
    """
    try:
        descriptor = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SetupError(f"cannot mount on {mountpoint}: {error.strerror}; choose another directory") from error
    try:
        _lock(descriptor, mountpoint)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, mountpoint: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SetupError(f"another cometfs is mounting on {mountpoint} right now: wait for it") from None
    except OSError as error:  # a file system of another machine, perhaps
        log.info("%s takes no lock, and so keeps no second mount away: %s", mountpoint, error)


def notify_systemd(state: str, *, may_be_lost: bool = False) -> None:
    """Sends `state` ("READY=1", "STATUS=...") to the service manager that started this process, if one did.

    `may_be_lost`: where the manager is behind with reading, it is not waited for.
    """
    address = manager_address()
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(0 if may_be_lost else MANAGER_PATIENCE)
        try:
            sock.sendto(state.encode("utf-8", "replace"), address)
        except OSError as error:
            if not may_be_lost:
                log.warning("cannot tell systemd %r: %s", state, error)


def manager_address() -> str:
    """The socket of the service manager; empty where none wants to hear of this process."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    # "@" stands for the NUL byte of Linux's abstract addresses.
    return "\0" + address[1:] if address.startswith("@") else address
