"""A process in the background that says when it is ready: to the shell that started it, and to systemd.

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
from typing import NoReturn

from cometfs.errors import CometFSError, SetupError

_READY = b"ready"

log = logging.getLogger(__name__)


def in_background(main: Callable[[Callable[[], None]], None], log_path: Path) -> None:
    """Runs `main(ready)` in a daemon and returns when it has called `ready`.

    Raises SetupError with the daemon's own sentence if it ends before that. The daemon's stderr goes to `log_path`.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _become_daemon(main, writer, log_path)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read()
    if said != _READY:
        raise SetupError(
            said.decode("utf-8", "surrogateescape") or f"the daemon ended before it was ready: see {log_path}"
        )


def leave() -> NoReturn:
    """Ends a process that has nothing left to do, and well: taking the interpreter apart is a sixth of a start."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _become_daemon(main: Callable[[Callable[[], None]], None], writer: int, log_path: Path) -> NoReturn:
    """Never returns into the caller's stack: what the parent would do next is not the daemon's."""
    status = 1
    try:
        os.setsid()
        _redirect(log_path)
        os.chdir("/")

        def ready() -> None:
            os.write(writer, _READY)
            os.close(writer)

        main(ready)
        status = 0
    except CometFSError as error:
        log.error("%s", error)
        _tell(writer, str(error))
    except BaseException:
        log.exception("the daemon failed")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _tell(writer: int, sentence: str) -> None:
    try:
        os.write(writer, sentence.encode("utf-8", "surrogateescape"))
    except OSError:
        return  # it was ready already: the parent has gone its way, and the log has the sentence


def _redirect(log_path: Path) -> None:
    """Lets go of the terminal: a shell that waits for the end of a pipe must not wait for the daemon."""
    null = os.open(os.devnull, os.O_RDWR)
    target = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, descriptor in ((null, 0), (null, 1), (target, 2)):
        os.dup2(source, descriptor)
    os.close(null)
    os.close(target)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8")  # one log, whatever the locales of those who write to it


@contextmanager
def claim(path: Path, mountpoint: Path) -> Iterator[None]:
    """Holds the lock at `path` while the body runs; the kernel lets go of it when the process dies, however it does.

    Raises SetupError where another process holds it: two that mount on one place at once would stack their mounts.
    """
    with path.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"another cometfs is mounting on {mountpoint} right now: wait for it") from None
        yield


def tell_systemd(state: str) -> None:
    """Sends `state` ("READY=1", "STOPPING=1") to the service manager that started this process, if one did."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # "@" stands for the NUL byte of Linux's abstract addresses.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError as error:
            log.warning("cannot tell systemd %r: %s", state, error)
