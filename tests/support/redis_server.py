"""A real redis-server of the test's own, which can be killed, stopped, filled and given a password."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server")


class Redis:
    """It keeps nothing on disk: one that is killed has lost everything."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        assert PROGRAM is not None
        command = [
            PROGRAM,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
            *options,
        ]
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

    def ask(self, *words: str) -> str:
        """What the server answers to a command, as it stands on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall((" ".join(words) + "\r\nQUIT\r\n").encode())
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode("utf-8", "surrogateescape")


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Redis]:
    if PROGRAM is None:
        pytest.skip("there is no redis-server here")
    server = Redis(folder)
    server.start(*options)
    try:
        yield server
    finally:
        server.kill()
