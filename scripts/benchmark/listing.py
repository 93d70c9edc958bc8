"""Workloads that list: `ls`, `ls -l`, `find`, the start of a mount, and what memory listing takes.

Not here: reading files (reading.py) and moving bytes (moving.py).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from functools import partial
from statistics import median as middle

from benchmark.figures import Figures, Row, Runs, calls, execute, median, no_more, shell, timed
from benchmark.processes import BenchError, Mount, comet_mounted
from benchmark.stage import LATENCY, PROJECT, Stage, States

RUNS, MANY, MORE, MOST = 1_000, 5_000, 10_000, 25_000

PAGES = "experiments"
"""The endpoint that lists a project."""

NAMES = frozenset(
    [PAGES, "project/column-names", "project/query", "experiment/asset/list", "experiment/metrics/summary"]
)
"""Endpoints that answer with names, and with nothing of what they name."""


def ls(stage: Stage) -> list[Row]:
    """`ls` of a project of 5,000, its workspace listed."""
    found = _listing(stage, ["ls", PROJECT], MANY)
    pages = calls(found["cold"])
    return [
        _row(found, "cold", f"1 call a page, {LATENCY} ms a page + 1 s", _pages_only(found["cold"], pages)),
        _row(found, "warm", "0 calls, 0.3 s", no_more(found["warm"], 0, 0.3)),
        _row(found, "remounted", "0 calls, 0.5 s", no_more(found["remounted"], 0, 0.5)),
    ]


def _row(found: States, state: str, reach: str, met: bool, what: str = "ls") -> Row:
    return Row(f"`{what}` of a project of {MANY:,}", state, found[state], reach, met)


def _listing(stage: Stage, command: Sequence[str], least: int, count: int = MANY) -> States:
    def action(mount: Mount) -> None:
        execute(command, mount.path, stage.out)

    def check(_: Mount) -> None:
        _counted(stage, least)

    return stage.states(stage.comet(count), action, prepare=lambda mount: _look(stage, mount), check=check)


def _look(stage: Stage, mount: Mount) -> None:
    """Lists the workspace: what is measured is the project."""
    execute(["ls", PROJECT.partition("/")[0]], mount.path, stage.out)


def _counted(stage: Stage, least: int) -> int:
    lines = stage.out.read_bytes().count(b"\n")
    if lines < least:
        raise BenchError(f"a listing of {least} has {lines} lines")
    return lines


def _pages_only(runs: Runs, pages: int) -> bool:
    """Whether nothing was asked but the project's pages, and in time."""
    asked = all(set(run.paths) == {PAGES} for run in runs)
    return asked and median(runs) <= pages * LATENCY / 1000 + 1


def ls_long(stage: Stage) -> list[Row]:
    """`ls -l` of a project of 5,000, its workspace listed."""
    return _as_few(_listing(stage, ["ls", "-l", PROJECT], MANY), "ls -l")


def find_params(stage: Stage) -> list[Row]:
    """`find -maxdepth 2 -name params.json` on a project of 5,000, its workspace listed."""
    command = ["find", PROJECT, "-maxdepth", "2", "-name", "params.json"]
    return _as_few(_listing(stage, command, MANY), "find -maxdepth 2 -name params.json")


def _as_few(found: States, what: str) -> list[Row]:
    cold = all(set(run.paths) == {PAGES} for run in found["cold"])
    return [
        _row(found, "cold", "no call more than `ls`", cold, what),
        _row(found, "warm", "no call more than `ls`", no_more(found["warm"], 0), what),
        _row(found, "remounted", "no call more than `ls`", no_more(found["remounted"], 0), what),
    ]


def find_code(stage: Stage) -> list[Row]:
    """`find PROJECT -name code.py` over 1,000 experiments, all their directories listed."""
    found = _listing(stage, ["find", PROJECT, "-name", "code.py"], RUNS, RUNS)
    only_names = all(not run.paths or NAMES.issuperset(run.paths) for run in found["cold"])
    reach = f"{RUNS + 30:,} calls, no body, no point"
    what = f"`find PROJECT -name code.py`, {RUNS:,} experiments"
    return [
        Row(what, "cold", found["cold"], reach, no_more(found["cold"], RUNS + 30) and only_names),
        Row(what, "warm", found["warm"], "0 calls", no_more(found["warm"], 0)),
        Row(what, "remounted", found["remounted"], "", None),
    ]


def start(stage: Stage) -> list[Row]:
    """`cometfs mount` of a warm cache until its first `ls` is answered."""
    server, runs = stage.comet(MANY), []
    with stage.scratch() as folder:
        with comet_mounted(server, folder) as mount:
            execute(["ls", PROJECT], mount.path, stage.out)
        for _ in range(stage.runs):
            server.settle()
            mark, begin = server.mark(), time.perf_counter()
            with comet_mounted(server, folder) as mount:
                subprocess.run(["ls", mount.path], check=True, stdout=subprocess.DEVNULL)
                wall = time.perf_counter() - begin
                server.settle()
                traffic = server.since(mark)
                runs.append(Figures(wall, traffic.calls, traffic.sent, mount.daemon.peak()))
    return [Row("`mount` to the first `ls` answered", "remounted", runs, "0.5 s", median(runs) <= 0.5)]


def find_memory(stage: Stage) -> list[Row]:
    """Resident memory after `find -maxdepth 2` over 10,000 experiments."""
    return [_memory(stage, f"find {PROJECT} -maxdepth 2", MORE, 200)]


def ls_memory(stage: Stage) -> list[Row]:
    """Resident memory after `ls` of a project of 25,000."""
    return [_memory(stage, f"ls {PROJECT}", MOST, 150)]


def _memory(stage: Stage, command: str, count: int, most: int) -> Row:
    server, runs, lines = stage.comet(count), [], 0
    for _ in range(stage.runs):
        with stage.scratch() as folder, comet_mounted(server, folder) as mount:
            runs.append(timed(partial(shell, command, mount.path, stage.out), server, mount.daemon))
            lines = _counted(stage, count)
    resident = middle(run.resident for run in runs) / 1e6
    name = f"`{command.replace(PROJECT, 'PROJECT')}` of {count:,}: {lines:,} names, {resident:.0f} MB resident after"
    return Row(name, "cold", runs, f"under {most} MB resident", resident < most)
