"""A real server of Redis or Valkey of the test's own, which can be killed, stopped, filled and given a password.

Programs are those of the variable `REDIS_SERVERS` (paths, with colons between), else valkey-server and redis-server as
far as they are installed. Most tests take one of them; what depends on the program runs with each.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMED = os.environ.get("REDIS_SERVERS", "")

INSTALLED = [found for found in map(shutil.which, ("valkey-server", "redis-server")) if found]

PROGRAMS = NAMED.split(os.pathsep) if NAMED else INSTALLED

FIRST = PROGRAMS[0] if PROGRAMS else None

EACH = [pytest.param(program, id=Path(program or "none").name) for program in (PROGRAMS or (None,))]
"""For tests that run with each of them."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Redis:
    """It keeps nothing on disk: one that is killed has lost everything."""

    def __init__(self, folder: Path, program: str) -> None:
        self.port = free_port()
        self.program, self.folder, self.url = program, folder, f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.folder), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, process_group=0)
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until
                assert self._process.poll() is None
                time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """With all that it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: str | bytes) -> bytes:
        """What the server answers to a command, as it stands on the wire."""
        command = [b"*%d" % len(words)]
        for word in map(_as_bytes, words):
            command += [b"$%d" % len(word), word]
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"\r\n".join([*command, b"QUIT", b""]))
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).removesuffix(b"+OK\r\n")

    def names(self, pattern: str = "*") -> list[bytes]:
        """The keys of all that is there."""
        return [word for word in self.ask("KEYS", pattern).split() if word.startswith(b"cometfs:")]

    def value(self, name: bytes) -> bytes:
        """What stands under a key."""
        head, _, rest = self.ask("GET", name).partition(b"\r\n")
        return rest[: int(head[1:])]


def _as_bytes(word: str | bytes) -> bytes:
    return word.encode() if isinstance(word, str) else word


@contextmanager
def running(folder: Path, *options: str, program: str | None = FIRST) -> Iterator[Redis]:
    if program is None:
        pytest.skip("there is no redis-server and no valkey-server here")
    server = Redis(folder, program)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()
