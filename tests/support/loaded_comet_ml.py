"""A process that has loaded comet_ml and forks for each program, which so starts in no time: the import takes seconds.

Each program is a process of its own all the same: with its own environment, directory, threads, exit handlers and
status. Not here: what the programs are given (comet_ml_client.py). What must be a fresh interpreter, or must be killed,
is started as usual.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PATIENCE = 180.0
"""Seconds that a program may take; `processes` says why."""

MOST = 1 << 16
"""Bytes of a request."""


@functools.cache
def _server(environ: tuple[tuple[str, str], ...]) -> socket.socket:
    """The end of a new process's socket; closed at exit, which ends that process.

    `environ` is what programs have in common. comet_ml and the interpreter read some of it when they are loaded.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    process = subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


_starting = threading.Lock()


def run(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    common: Mapping[str, str],
    out: IO[Any],
    err: IO[Any],
) -> int:
    """Runs `python WORDS` in `folder` to its end; returns its status, as subprocess does. `common`: see `_server`."""
    with _starting:
        server = _server(tuple(sorted(common.items())))
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            request = json.dumps([list(words), str(folder), dict(environ)]).encode()
            assert len(request) < MOST
            socket.send_fds(server, [request], [theirs.fileno(), out.fileno(), err.fileno()])
        return _ended(ours)


def _ended(answer: socket.socket) -> int:
    answer.settimeout(PATIENCE)
    with answer.makefile("r") as lines:
        process = int(lines.readline())
        try:
            return os.waitstatus_to_exitcode(int(lines.readline()))
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise


def _serve(requests: socket.socket) -> list[str]:
    """Forks for each request; returns what to run, in the process that is to run it."""
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, MOST, 3)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return _accept(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _accept(request: list[Any], answer: int, out: int, err: int) -> list[str]:
    """Forks once more: one process runs the program, the other says how that ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.write(answer, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(answer, f"{status}\n".encode())
        os._exit(0)
    os.close(answer)
    for descriptor, standard in ((out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    words, folder, environ = request
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    return list(words)


def _run(words: Sequence[str]) -> None:
    """As `python WORDS` does."""
    if words[0] == "-m":
        sys.argv, sys.path[0] = list(words[1:]), str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    import comet_ml.experiment  # noqa: F401

    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
