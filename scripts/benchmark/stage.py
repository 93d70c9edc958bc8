"""The stage on which workloads run: the work folder, the servers that are up, fresh folders, states of a mount.

Not here: what is measured (workloads), and how processes live (processes.py).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import archives, peers
from benchmark.figures import Figures, Runs, timed
from benchmark.processes import COMETFS, Command, Mount, Server, comet_mounted, serving

LATENCY = 50
"""Milliseconds that the server takes for each answer, as the issue has it."""

PROJECT = f"{archives.WORKSPACE}/{archives.PROJECT}"

States = dict[str, Runs]
Check = Callable[[Mount], None]


def nothing(_: Mount) -> None:
    """Neither prepared nor checked."""


@dataclass
class Stage:
    """Where workloads run. `ending` ends all that is up, servers first of all."""

    work: Path
    runs: int
    ending: ExitStack
    fast: Path | None
    """A folder on tmpfs; None where there is none."""
    _up: dict[tuple[str, int, bool], tuple[Server, ExitStack]] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """Where commands write what they say."""
        return (self.fast or self.work) / "out"

    def comet(self, count: int, which: str = "runs", *, old: bool = False) -> Server:
        """The embedded Comet with so many experiments, maybe as an older one. One at a time is up: they want memory and
        are quickly made."""
        if (which, count, old) not in self._up:
            self.shut()
            stack = self.ending.enter_context(ExitStack())
            times = 1 if which == "big" else count // archives.RUNS
            folder = archives.make(self.work, which)
            program = (sys.executable, peers.HERE / "old_comet.py") if old else COMETFS
            command: Command = [*program, "serve", folder, "--latency", str(LATENCY), "--replicate", str(times)]
            place = self.work / f"{'old-' if old else ''}comet-{which}-{count}"
            self._up[which, count, old] = stack.enter_context(serving(command, place)), stack
        return self._up[which, count, old][0]

    def shut(self) -> None:
        """Ends all servers that are up."""
        for _, stack in self._up.values():
            stack.close()
        self._up.clear()

    def static(self, folder: Path, latency: float, place: Path, stack: ExitStack) -> Server:
        """A web server over a folder, as long as the stack; its log is in `place`."""
        return stack.enter_context(serving(peers.static_command(folder, latency), place))

    @contextmanager
    def scratch(self, fast: bool = False) -> Iterator[Path]:
        """An empty folder, on tmpfs if there is one and `fast` is wanted, that goes with the block."""
        folder = Path(tempfile.mkdtemp(dir=self.fast if fast and self.fast else self.work))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def states(
        self,
        server: Server,
        action: Callable[[Mount], object],
        *,
        prepare: Check = nothing,
        check: Check = nothing,
        last: Check = nothing,
        beside: Callable[[], None] = lambda: None,
    ) -> States:
        """Runs `action` cold, warm and remounted, `runs` times in alternation with `beside`.

        `prepare` is done in each mount before anything is measured, `check` after each execution, `last` once, at the
        end of the first run.
        """
        found: States = {"cold": [], "warm": [], "remounted": []}
        for run in range(self.runs):
            with self.scratch() as folder:
                with comet_mounted(server, folder) as mount:
                    prepare(mount)
                    found["cold"].append(self._one(server, mount, action, check))
                    found["warm"].append(self._one(server, mount, action, check))
                with comet_mounted(server, folder) as mount:
                    prepare(mount)
                    found["remounted"].append(self._one(server, mount, action, check))
                    if run == 0:
                        last(mount)
            beside()
        return found

    def _one(self, server: Server, mount: Mount, action: Callable[[Mount], object], check: Check) -> Figures:
        server.settle()
        figures = timed(lambda: action(mount), server, mount.daemon)
        check(mount)
        return figures


@contextmanager
def open_stage(work: Path | None, runs: int) -> Iterator[Stage]:
    """A stage in `work`, or in a folder that goes with the block."""
    with ExitStack() as ending:
        if work is None:
            work = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="cometfs-bench-")))
        work.mkdir(parents=True, exist_ok=True)
        fast = None
        shm = Path("/dev/shm")
        if shm.is_dir() and peers.filesystem(shm) == "tmpfs":
            fast = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="cometfs-bench-", dir=shm)))
        yield Stage(work.resolve(), runs, ending, fast)


def say(text: str) -> None:
    """Tells whoever waits what is going on."""
    print(text, file=sys.stderr, flush=True)
