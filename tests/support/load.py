"""Programs at a mount of 10,000 experiments, 64 at once: what fails, the worst wait, what the daemon holds meanwhile
and what of it afterwards. What `scripts/soak --load` runs.

Not here: random operations and faults (stateful_model.py).
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fault_report import write_section
from tests.support.path_reads import FIXED
from tests.support.processes import Mounted, running_comet, running_mount
from tests.support.subprocesses import await_that

REPLICAS = 850
"""Of the experiments of the sample, which are 13 with one that is archived."""

PROCESSES = 64

SAMPLE_EVERY = 1.0
"""Seconds between two looks at the daemon's memory."""

HELD = ("loads", "open_directories", "open_files", "requests")
"""Gauges that fall back when nothing is asked: the look at them is a request and two loads itself."""

IDLE = {"loads": 2, "open_directories": 0, "open_files": 0, "requests": 1}

MOUNTED = ("--rate", "1000000000")

FLAT = 1.3
"""What the memory of the last third of the time may be of that of the third before it."""

FILLED = 60
"""Looks at the memory before that says anything: until then the cache fills."""


@dataclass
class Done:
    """What one kind of program did."""

    seconds: list[float] = field(default_factory=list)
    size: int = 0

    def row(self, name: str) -> str:
        ordered = sorted(self.seconds) or [0.0]
        middle, worst = ordered[len(ordered) // 2], ordered[-1]
        return f"| `{name}` | {len(self.seconds):,} | {self.size / 1e6:,.0f} | {middle:.2f} | {worst:.1f} |"


@dataclass
class Load:
    """Programs at a mount, and what they did. `done` and `wrong` are changed under `_changing` alone."""

    mounted: Mounted
    experiments: Sequence[Path]
    done: dict[str, Done] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def keep_going(self, seed: int) -> None:
        """One program after the other, until all is over."""
        chance = random.Random(seed)
        while not self.over.is_set():
            name = chance.choice(list(PROGRAMS))
            where = PROGRAMS[name](chance, self.experiments)
            self._run(name, [*name.split(), *where])

    def _run(self, name: str, command: Sequence[str]) -> None:
        began = time.monotonic()
        ended = subprocess.run(command, capture_output=True, check=False)
        took = time.monotonic() - began
        with self._changing:
            done = self.done.setdefault(name, Done())
            done.seconds.append(took)
            done.size += len(ended.stdout)
            if ended.stderr or ended.returncode:
                self.wrong.append(f"{command}: {ended.returncode} {ended.stderr[:300].decode(errors='replace')}")


def _some(chance: random.Random, experiments: Sequence[Path]) -> list[str]:
    """One or a few experiments."""
    return [str(path) for path in chance.sample(experiments, min(len(experiments), chance.choice((1, 1, 3))))]


def _files(chance: random.Random, experiments: Sequence[Path]) -> list[str]:
    """Files that every experiment has."""
    names = ("params.json", "metadata.json", "url.txt")
    return [f"{path}/{name}" for path in _some(chance, experiments) for name in names]


def _project(chance: random.Random, experiments: Sequence[Path]) -> list[str]:
    return [str(chance.choice(experiments).parent), "-maxdepth", "1", "-type", "d"]


PROGRAMS: dict[str, Callable[[random.Random, Sequence[Path]], list[str]]] = {
    "grep -r -c -a e": _some,
    "find": _some,
    "find -P": _project,
    "cat": _files,
    "stat": _files,
}
"""Commands, and what they are given."""


def loaded(folder: Path, minutes: float, replicas: int = REPLICAS, processes: int = PROCESSES) -> tuple[str, list[str]]:
    """A table for the manual, and what is wrong."""
    began = time.monotonic()
    with (
        running_comet(folder, "--replicate", str(replicas)) as comet,
        running_mount(folder, comet, *MOUNTED) as mounted,
    ):
        load = Load(mounted, _experiments(mounted))
        before = gauges(mounted)
        with _memory_of(mounted) as memory, _programs(load, processes):
            load.over.wait(minutes * 60)
        held = _at_rest(mounted)
        load.wrong += [f"the log has: {line}" for line in mounted.log.read_text().splitlines()[:20]]
        asked = len(comet.requests())
        if mounted.stop() != 0:
            load.wrong.append("it did not end well")
    load.wrong += _grown(memory) + [f"{name}: {held[name]} are left" for name in HELD if held[name] > IDLE[name]]
    return _table(load, memory, (before, held), processes, asked, time.monotonic() - began), load.wrong


def _experiments(mounted: Mounted) -> list[Path]:
    """Their directories."""
    return [
        Path(entry.path)
        for project in mounted.path.glob("[!.]*/[!.]*")
        if project.is_dir()
        for entry in os.scandir(project)
        if entry.is_dir(follow_symlinks=False) and entry.name not in FIXED
    ]


@contextmanager
def _programs(load: Load, processes: int) -> Iterator[None]:
    threads = [threading.Thread(target=load.keep_going, args=(number,)) for number in range(processes)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.over.set()
        for thread in threads:
            thread.join()


@contextmanager
def _memory_of(mounted: Mounted) -> Iterator[list[int]]:
    """Bytes that are resident, second after second."""
    found: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_EVERY):
            found.append(resident(mounted.process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def resident(pid: int) -> int:
    """VmRSS."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def gauges(mounted: Mounted) -> dict[str, int]:
    """What the mount says that it holds."""
    found: dict[str, int] = json.loads((mounted.path / ".cometfs/status.json").read_bytes())["gauges"]
    return found


def _at_rest(mounted: Mounted) -> dict[str, int]:
    """The gauges, once they have fallen back."""
    last: dict[str, int] = {}

    def fell() -> bool:
        last.update(gauges(mounted))
        return all(last[name] <= IDLE[name] for name in HELD)

    try:
        await_that(fell, "something is held")
    except AssertionError:
        return last
    return last


def _grown(memory: Sequence[int]) -> list[str]:
    """Whether the last third of the time held more than the third before it."""
    third = len(memory) // 3
    before, after = max(memory[third : 2 * third], default=0), max(memory[2 * third :], default=0)
    return (
        [f"memory grows: {before / 1e6:.0f} MB, then {after / 1e6:.0f}"]
        if len(memory) > FILLED and after > FLAT * before
        else []
    )


def _table(
    load: Load,
    memory: Sequence[int],
    held: tuple[dict[str, int], dict[str, int]],
    processes: int,
    asked: int,
    seconds: float,
) -> str:
    thirds = [max(memory[place * len(memory) // 3 : (place + 1) * len(memory) // 3], default=0) for place in range(3)]
    cores, day = os.cpu_count(), time.strftime("%Y-%m-%d")
    runs = sum(len(one.seconds) for one in load.done.values())
    before, after = held
    return "\n".join(
        [
            f"{processes} processes at a mount of {len(load.experiments):,} experiments: {runs:,} programs, "
            f"{asked:,} requests to the server, {len(load.wrong)} failures. "
            f"{cores} cores, Linux {platform.release()}, Python {platform.python_version()}; {day}, {seconds:.0f} s.",
            "",
            "| program | runs | MB printed | median, s | worst, s |",
            "|---|---|---|---|---|",
            *(done.row(name) for name, done in sorted(load.done.items())),
            "",
            f"- Memory of the daemon at most, in the three thirds of the time: "
            f"{', '.join(f'{part / 1e6:.0f}' for part in thirds)} MB",
            f"- Held before and after (`.cometfs/status.json`; the look itself is a request and two loads): "
            f"{', '.join(f'{name} {before[name]} and {after[name]}' for name in (*HELD, 'tasks', 'descriptors'))}",
        ]
    )


def run(minutes: float, *, write: bool = True) -> list[str]:
    """What is wrong."""
    with tempfile.TemporaryDirectory(prefix="cometfs-load-") as folder:
        table, wrong = loaded(Path(folder), minutes)
    print(table)
    if write:
        write_section("loads", table)
    return wrong
