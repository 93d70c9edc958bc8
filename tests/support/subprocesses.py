"""Processes seen from outside: what they were started as, whether any is left, what a command of ours said.

Every process that a test starts inherits a mark in its environment, so that daemons are found whoever their parent is.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import COMETFS, PATIENCE
from tests.support.spawning import inside

MARK = "COMETFS_TEST_MARK"


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    status: int
    output: str
    complaint: str


@dataclass
class Stage:
    """A home of its own for the commands of one test, and their environment."""

    home: Path
    cwd: Path | None = None
    """Where the commands run; None: at home."""

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMET_", "NOTIFY_"))}
        return {**kept, "HOME": str(self.home), MARK: str(self.home), "LC_ALL": "C.UTF-8"}

    def run(self, *arguments: str | Path, **environ: str) -> Said:
        """`cometfs` with these arguments, to its end."""
        command = inside(self.cwd or self.home, *COMETFS, *arguments)
        out, err = self.home / ".stdout", self.home / ".stderr"
        with out.open("wb") as output, err.open("wb") as complaint:
            ended = subprocess.run(
                command,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaint,
                timeout=PATIENCE,
                check=False,
            )
        return Said(ended.returncode, out.read_text(), err.read_text())

    def processes(self) -> list[int]:
        """All that run under this stage's mark, daemons too; not those that ended and were not waited for."""
        mark = f"{MARK}={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    marked = mark in (entry / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if marked:
                    found.append(int(entry.name))
        return found

    def await_no_process(self) -> None:
        """Daemons end by themselves, soon."""
        await_that(lambda: not self.processes(), f"{self.processes()} are left")


def await_that(condition: Callable[[], bool], complaint: str) -> None:
    """Polls what only shows from outside, until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.01)


def await_of(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """The same of what a process does, which must not end before."""
    await_that(lambda: process.poll() is not None or condition(), "it did not come that far")
    assert process.poll() is None


def mounts_at(path: Path) -> int:
    """How many mounts are stacked at `path`."""
    return Path("/proc/self/mountinfo").read_text().count(f" {path} ")


def clean_up(stage: Stage, *mountpoints: Path) -> None:
    """What a failed test has left behind."""
    for path in mountpoints:
        while mounts_at(path):
            subprocess.run(["fusermount3", "-u", "-z", str(path)], check=True)
    for process in stage.processes():
        os.kill(process, 9)
