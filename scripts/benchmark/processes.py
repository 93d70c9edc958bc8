"""Processes that the benchmark starts and ends: the embedded Comet, mounts, and what a server was asked meanwhile.

Everything here is a context manager that ends what it began, by its own process and its own mountpoint, however the
block ends. Not here: programs that a user would take instead (peers.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Command = Sequence[str | Path]

COMETFS = (sys.executable, "-m", "cometfs")

PATIENCE = 60.0
"""Seconds after which a process that is not ready has failed."""

QUIET = 0.3
"""Seconds without a request after which a server is taken to be left alone; several times the latency."""


class BenchError(Exception):
    """The benchmark cannot go on, or something is not as it must be. The message says what."""


@dataclass(frozen=True)
class Traffic:
    """What a server was asked: requests, and the bytes of the answers' bodies."""

    calls: int
    sent: int
    paths: tuple[str, ...] = ()


@dataclass
class Daemon:
    """A process whose memory is of interest."""

    process: subprocess.Popen[bytes]

    def peak(self) -> int:
        """Bytes of memory that it had at most since `forget_peak`."""
        return self._status("VmHWM")

    def resident(self) -> int:
        """Bytes of memory that it has now."""
        return self._status("VmRSS")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, word: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{word}:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"process {self.process.pid} has ended")


@dataclass
class Server:
    """Something that answers over HTTP, and its access log."""

    url: str
    log: Path

    def mark(self) -> int:
        """How far the access log goes."""
        return self.log.stat().st_size

    def since(self, mark: int) -> Traffic:
        with self.log.open("rb") as file:
            file.seek(mark)
            asked = [json.loads(line) for line in file]
        paths = tuple(entry["path"].removeprefix("/api/rest/v2/") for entry in asked)
        return Traffic(len(asked), sum(entry["bytes"] for entry in asked), paths)

    def settle(self) -> None:
        """Returns when nobody asks any more: what was fetched ahead is counted too."""
        seen, since = self.mark(), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(0.02)
            if self.mark() != seen:
                seen, since = self.mark(), time.monotonic()


@dataclass
class Mount:
    """A mounted directory and the process behind it."""

    path: Path
    daemon: Daemon
    begun: float
    """Seconds from the start of the process until it was mounted."""


def is_mounted(path: Path) -> bool:
    return f" {path} " in Path("/proc/self/mountinfo").read_text()


@contextmanager
def running(
    command: Command, log: Path, environ: Mapping[str, str] | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own (Ctrl-C is for the benchmark, which ends it), until the block ends."""
    with log.open("ab") as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=said if stdout is None else stdout,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)
        if process.stdout is not None:
            process.stdout.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends it the polite way, else the other."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(command: Command, folder: Path) -> Iterator[Server]:
    """A server that says its address, as the last word of a line, once it answers; its access log is a new file."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "access.jsonl"
    log.write_bytes(b"")
    with running([*command, "--access-log", log], folder / "server.log", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode().split()
        if not said:
            raise BenchError(f"a server did not start: {(folder / 'server.log').read_text()}")
        yield Server(said[-1], log)


@contextmanager
def mounted(command: Command, path: Path, log: Path, environ: Mapping[str, str]) -> Iterator[Mount]:
    """What `command` mounts at `path` until the block ends; nothing stays mounted."""
    path.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    try:
        with running(command, log, environ) as process:
            while not is_mounted(path):
                if process.poll() is not None or time.monotonic() - begin > PATIENCE:
                    raise BenchError(f"{command[0]} did not mount: {log.read_text()[-2000:]}")
                time.sleep(0.005)
            os.statvfs(path)
            yield Mount(path, Daemon(process), time.monotonic() - begin)
    finally:
        if is_mounted(path):
            subprocess.run(["fusermount3", "-u", "-z", str(path)], check=False)


@contextmanager
def comet_mounted(server: Server, folder: Path) -> Iterator[Mount]:
    """`cometfs mount` of a server with its cache in `folder`, which may be that of an earlier mount."""
    folder.mkdir(parents=True, exist_ok=True)
    point = Path(tempfile.mkdtemp(prefix="mnt-", dir=folder))
    command: Command = [*COMETFS, "mount", point, "--url", server.url, "--foreground", "--cache-dir", folder / "cache"]
    environ = {"COMET_API_KEY": "any", "XDG_CACHE_HOME": str(folder / "xdg"), "XDG_STATE_HOME": str(folder / "state")}
    try:
        with mounted(command, point, folder / "mount.log", environ) as mount:
            yield mount
    finally:
        point.rmdir()
    _check_log(folder / "mount.log")


def _check_log(log: Path) -> None:
    """A figure of a mount that complained is none."""
    said = log.read_text()
    if "ERROR" in said or "Traceback" in said:
        raise BenchError(f"the mount complained: {said[-2000:]}")
