"""Real parts: the embedded Comet in one process, the mount in another, and what this process sees through the kernel.

Readiness comes from the processes themselves (a line on stdout, a message on the service manager's socket), never from
a pause. Not here: fixtures (conftest.py).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cometfs.server import sample_directory
from tests.support.loaded_programs import Forked, Loaded, start

COMETFS = (sys.executable, "-W", "error", "-m", "cometfs")

PATIENT = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_patient")
"""The same, for tests that count calls: what holds for a minute may run out while a busy machine walks through all."""

PATIENCE = 180.0
"""Seconds after which a process that does not do what it should fails the test; all being well nothing waits it out.
Runs of comet_ml, of which three go on at once, take 30 on a machine that has much else to do."""


Process = subprocess.Popen[str] | Forked

_FORKED = ("cometfs", *(f"tests.support.cometfs_{name}" for name in ("patient", "hasty", "eager")))
"""Programs whose module may be imported before they run."""

_LOADED = {
    "mount": ("cometfs.app", "cometfs.fuse.session", "cometfs.process.daemon"),
    "serve": ("cometfs.exposure", "cometfs.server.http.app", "cometfs.serving"),
}
"""What these commands import when they run."""


@dataclass
class Comet:
    """An embedded Comet in a process of its own, and what it was asked."""

    url: str
    process: Process
    access_log: Path
    archives: Path

    def requests(self) -> list[dict[str, Any]]:
        """Everything that was asked so far, one object per request."""
        whole, _, _ = self.access_log.read_text().rpartition("\n")  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines()]

    @contextmanager
    def asked(self, about: str = "") -> Iterator[list[str]]:
        """The endpoints asked for while the block ran, in order, filled in at its end. `about`: the key of an
        experiment, without what was asked of others, such as what was still being fetched ahead."""
        before = len(self.requests())
        paths: list[str] = []
        yield paths
        for request in self.requests()[before:]:
            if about in request["query"] or "experimentKey=" not in request["query"]:
                paths.append(request["path"].removeprefix("/api/rest/v2/"))


@dataclass
class Mounted:
    """A mount in a process of its own."""

    path: Path
    process: Process
    log: Path
    comet: Comet

    def __truediv__(self, part: str) -> Path:
        return self.path / part

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the mount by a signal and returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def is_mounted(path: Path) -> bool:
    """Whether the kernel knows a mount at `path`."""
    return f" {path} " in Path("/proc/self/mountinfo").read_text()


@contextmanager
def running_comet(folder: Path, *options: str, archives: Path | None = None) -> Iterator[Comet]:
    """`cometfs serve` with an access log, until the block ends."""
    log = folder / "access.jsonl"
    log.touch()
    where = archives or sample_directory()
    command = [*COMETFS, "serve", str(where), "--access-log", str(log), *options]
    reading, writing = os.pipe()
    with open(reading) as stdout:  # noqa: PTH123  # a descriptor
        try:
            process = _started(command, dict(os.environ), writing, 2)
        finally:
            os.close(writing)
        try:
            said = stdout.readline()
            assert said.startswith("Comet at http://127.0.0.1:"), said
            yield Comet(said.split()[-1], process, log, where)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _started(command: list[str], environ: dict[str, str], out: int, err: int) -> Process:
    """In a group of its own: where the group of the tests is orphaned, as under a service manager, the kernel sends
    SIGHUP to all of it when one ends while another is stopped. Forked where a test cannot see that."""
    *python, module, verb = command[: len(COMETFS) + 1]
    usual = _for_interpreter(environ) == _for_interpreter(os.environ)
    if python != list(COMETFS[:-1]) or module not in _FORKED or not usual:
        return subprocess.Popen(command, env=environ, stdout=out, stderr=err, text=True, process_group=0)
    own = () if module == "cometfs" else (module,)
    loaded = Loaded((*own, *_LOADED[verb]), _for_interpreter(environ), COMETFS[1:-2])
    return start(loaded, command[len(python) - 1 :], Path.cwd(), environ, out, err)


def _for_interpreter(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What an interpreter, or the C library, reads when it starts."""
    read = ("PYTHON", "LANG", "LC_", "TZ", "LD_", "MALLOC_", "GLIBC_")
    return tuple(sorted((name, value) for name, value in environ.items() if name.startswith(read)))


@contextmanager
def running_mount(
    folder: Path,
    comet: Comet,
    *options: str,
    before: tuple[str, ...] = (),
    program: tuple[str, ...] = COMETFS,
    **environ: str,
) -> Iterator[Mounted]:
    """`cometfs mount --foreground` at `folder`/mnt, ready, until the block ends; nothing stays mounted."""
    mountpoint = folder / "mnt"
    with suppress(FileExistsError):  # a dead mount, too, is there
        mountpoint.mkdir()
    log = folder / "mount.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, ExitStack() as stack:
        address = str(folder / "notify")
        Path(address).unlink(missing_ok=True)  # of a mount that was killed
        ready.bind(address)
        ready.settimeout(PATIENCE)
        own = {"COMET_API_KEY": "test-key", "NOTIFY_SOCKET": address, "XDG_CACHE_HOME": str(folder / "cache")}
        environment = {**os.environ, **own, **environ}
        command = [*before, *program, "mount", str(mountpoint), "--url", comet.url, "--foreground", *options]
        stderr = stack.enter_context(log.open("w"))
        process = _started(command, environment, 1, stderr.fileno())
        mounted = Mounted(mountpoint, process, log, comet)
        try:
            _await_ready(ready, mounted)
            yield mounted
        finally:
            _end(mounted)
            Path(address).unlink(missing_ok=True)


def _await_ready(ready: socket.socket, mounted: Mounted) -> None:
    ready.settimeout(0.5)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            assert ready.recv(64) == b"READY=1"
            return
        except TimeoutError:
            assert mounted.process.poll() is None, mounted.log.read_text()
    raise AssertionError("the mount was not ready in time")


def _end(mounted: Mounted) -> None:
    if mounted.process.poll() is None:
        mounted.process.terminate()
        mounted.process.wait(PATIENCE)
    if is_mounted(mounted.path):
        subprocess.run(["fusermount3", "-u", "-z", str(mounted.path)], check=False)
