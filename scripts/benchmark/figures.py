"""Figures: what one execution took, what a row of the table holds. Pure, but for the clock in `timed`."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.processes import BenchError, Command, Daemon, Server


@dataclass(frozen=True)
class Figures:
    """One execution."""

    wall: float
    """Seconds."""
    calls: int = 0
    sent: int = 0
    """Bytes that the server sent."""
    peak: int = 0
    """Bytes of memory that the daemon had at most meanwhile."""
    resident: int = 0
    """Bytes of memory that the daemon had at the end."""
    paths: tuple[str, ...] = ()
    """What was asked."""


Runs = list[Figures]

PLAIN = {**os.environ, "LC_ALL": "C"}
"""Surroundings of commands: names in the order of their bytes."""


def timed(action: Callable[[], object], server: Server | None = None, daemon: Daemon | None = None) -> Figures:
    """Executes it. Requests that come after its end, but because of it, count; waiting for them does not."""
    if daemon:
        daemon.forget_peak()
    mark = server.mark() if server else 0
    begin = time.perf_counter()
    action()
    wall = time.perf_counter() - begin
    if server is None:
        return Figures(wall, peak=daemon.peak() if daemon else 0)
    server.settle()
    traffic = server.since(mark)
    peak, resident = (daemon.peak(), daemon.resident()) if daemon else (0, 0)
    return Figures(wall, traffic.calls, traffic.sent, peak, resident, traffic.paths)


def shell(command: str, cwd: Path, out: Path) -> None:
    """Runs a line of a shell, its output into a file. grep may find nothing (1); every other failure is one."""
    execute(["sh", "-c", command], cwd, out)


def execute(command: Command, cwd: Path, out: Path) -> None:
    with out.open("wb") as file:
        done = subprocess.run(command, cwd=cwd, env=PLAIN, stdout=file, stderr=subprocess.PIPE, check=False)
    if done.returncode > 1 or done.stderr:
        raise BenchError(f"{command}: status {done.returncode}, {done.stderr.decode(errors='replace')[-2000:]}")


@dataclass
class Peer:
    """What a user would take instead: its executions, or why there are none."""

    name: str
    runs: Runs = field(default_factory=list)
    missing: str = ""

    @property
    def wall(self) -> float | None:
        return median(self.runs) if self.runs else None


@dataclass
class Row:
    """A line of the table."""

    workload: str
    state: str
    runs: Runs
    reach: str
    met: bool | None
    """Whether the reach is reached; None where that cannot be said."""
    peers: list[Peer] = field(default_factory=list)


def median(runs: Runs) -> float:
    """The median wall time in seconds."""
    return statistics.median(run.wall for run in runs)


def calls(runs: Runs) -> int:
    """The most calls of any run: a promise about calls holds each time."""
    return max(run.calls for run in runs)


def no_more(runs: Runs, calls_most: int, seconds: float | None = None) -> bool:
    """Whether no run made more calls, and the median took no longer."""
    return calls(runs) <= calls_most and (seconds is None or median(runs) <= seconds)


def at_most(runs: Runs, peer: Peer, ratio: float) -> bool | None:
    """Whether the median is at most `ratio` of the peer's; None without the peer."""
    return None if peer.wall is None else median(runs) <= ratio * peer.wall
