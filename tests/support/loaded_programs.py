"""Processes that have loaded what programs import, and fork for each program, which so starts in no time: comet_ml
takes seconds to import, `cometfs` most of one, and a run of the tests starts hundreds.

Each program is a process of its own all the same: with its own environment, directory, group, threads, exit handlers
and status. Not here: what the programs are given (comet_ml_client.py, processes.py). What must be a fresh interpreter,
or is looked at by its command line or its first environment in /proc, is started as usual.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
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
from typing import Any, NamedTuple

MOST = 1 << 16
"""Bytes of a request."""


class Forked:
    """A program in a process of its own. Has what tests use of `subprocess.Popen`."""

    def __init__(self, answer: socket.socket) -> None:
        self._answer = answer
        self.pid = int(answer.recv(MOST))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._answer.settimeout(timeout)
            try:
                status = self._answer.recv(MOST)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None
            self.returncode = os.waitstatus_to_exitcode(int(status))
            self._answer.close()
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Loaded(NamedTuple):
    """What all programs of one such process have in common."""

    modules: tuple[str, ...]
    """What it has imported."""
    environ: tuple[tuple[str, str], ...]
    """With what it was started: the interpreter and some modules read it then."""
    options: tuple[str, ...] = ()
    """The interpreter's."""


@functools.cache
def _server(loaded: Loaded) -> socket.socket:
    """The end of a new process's socket; closed at exit, which ends that process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, *loaded.options, __file__, str(theirs.fileno()), *loaded.modules]
    process = subprocess.Popen(
        command, env=dict(loaded.environ), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], process_group=0
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


_starting = threading.Lock()


def start(loaded: Loaded, words: Sequence[str], folder: Path, environ: Mapping[str, str], out: int, err: int) -> Forked:
    """Runs `python WORDS` in `folder`; its output goes to these descriptors."""
    with _starting:
        server = _server(loaded)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        request = json.dumps([list(words), str(folder), dict(environ)]).encode()
        assert len(request) < MOST
        socket.send_fds(server, [request], [theirs.fileno(), out, err])
    return Forked(ours)


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
        os.close(out)
        os.close(err)
        os.write(answer, str(child).encode())
        _, status = os.waitpid(child, 0)
        with suppress(OSError):
            os.write(answer, str(status).encode())
        os._exit(0)
    os.close(answer)
    os.setpgid(0, 0)
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
        if not hasattr(sys.modules.get(words[1]), "__path__"):
            sys.modules.pop(words[1], None)  # runpy warns of modules that run twice
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of each program copies all of it
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
