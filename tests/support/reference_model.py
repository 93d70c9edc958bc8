"""The reference model at work: a scribe logs at random, witnesses read at random, and all that they see must be true.

``python -m tests.support.reference_model --minutes 10`` lets it run for long; the seed of a failure is said with it,
and ``--seed`` takes the same steps again (who reads what in between is up to the machine).

Not here: what is true (history.py), who logs (log_client.py), who reads (random_readers.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import random_lifecycle
from tests.support.account_history import Account, Place
from tests.support.history import Wrong
from tests.support.log_client import Scribe
from tests.support.observer import Findings
from tests.support.path_reads import FIXED, names_in
from tests.support.processes import PATIENCE, Mounted, running_comet, running_mount
from tests.support.random_readers import witness
from tests.support.subprocesses import await_that
from tests.support.tail_programs import EAGER_TAIL, TAIL, tail_of

EAGER = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_eager")

LIVE = 0.03
"""Seconds between two looks at what is running."""

LAG = 20.0
"""Seconds that what is read may lag behind what was acknowledged: a listing holds for half a second, an answer about
what is running for next to nothing, and the rest is for machines that are slow."""

READERS = 8

SETTLE_EVERY = 400
"""Steps between two times at which the scribe waits until all is read as it is."""

BREATH = 0.005
"""Seconds between two steps, so that who reads comes to see one."""

SERVED = ("--crashed-after", "3600")
"""Nobody is taken to have crashed because the machine is slow."""

MOUNTED = ("--live-interval", str(LIVE), "--rate", "1000000000")


@dataclass
class Model:
    """A scribe and its witnesses at a mount."""

    mounted: Mounted
    account: Account
    scribe: Scribe
    findings: Findings
    seed: int

    def go(self, seconds: float, most: int) -> None:
        """At most so many steps in at most so much time, with a settling every now and then. Raises what was seen."""
        with ExitStack() as stack:
            tails = [
                stack.enter_context(tail_of(self.mounted.path, one, command))
                for one in self.account.experiments.values()
                for command in (TAIL, *[EAGER_TAIL] * (6 if one.never_ends else 1))
            ]
            self._watched(seconds, most)
            self.settled()
            for tail in tails:
                await_that(tail.has_all, f"{tail.path} was not printed to the end")

    def _watched(self, seconds: float, most: int) -> None:
        threads = [
            witness(self.mounted.path, self.account, self.findings, self.seed * 100 + number)
            for number in range(READERS)
        ]
        for thread in threads:
            thread.start()
        try:
            self._steps(time.monotonic() + seconds, most)
        finally:
            self.findings.over.set()
            for thread in threads:
                thread.join(PATIENCE)
                assert not thread.is_alive(), f"{thread.name} waits for ever"
        self._raise()

    def _steps(self, deadline: float, most: int) -> None:
        for number in range(1, most + 1):
            if time.monotonic() > deadline or self.findings.over.wait(BREATH):
                return
            random_lifecycle.step(self.scribe)
            if number % SETTLE_EVERY == 0:
                self.settled()

    def _raise(self) -> None:
        if self.findings.wrong:
            raise self.findings.wrong[0]

    def settled(self) -> None:
        """When nothing happens any more, all that is read becomes what is true last."""
        deadline = time.monotonic() + PATIENCE
        for place in self.account.listings:
            for shown in self._differences(place):
                while complaint := shown.complaint():
                    self._raise()
                    if time.monotonic() > deadline:
                        raise Wrong(f"{PATIENCE} s after the last step {complaint}")
                    time.sleep(0.02)

    def _differences(self, place: Place) -> Iterator[Shown]:
        listed = self.account.listings[place].now
        folder = self.mounted.path / place.path
        yield Shown(folder, set(listed.directories), lambda path: names_in(path) - FIXED)
        for directory, key in listed.directories.items():
            for file, history in list(self.account.experiments[key].files.items()):
                yield Shown(folder / directory / file, history.now.whole, read_or_nothing)
        if not place.archived:
            yield Shown(folder / "views/by-key", set(listed.directories.values()), names_in)
            for state in ("running", "finished", "crashed"):
                there = {name for name, key in listed.directories.items() if listed.states[key] == state}
                yield Shown(folder / "views" / state, there, names_in)


@dataclass
class Shown:
    """What a path must come to show."""

    path: Path
    truth: object
    look: Callable[[Path], object]

    def complaint(self) -> str:
        """That it does not, yet."""
        seen = self.look(self.path)
        return "" if seen == self.truth else f"{self.path} is {seen!r:.300}, and not {self.truth!r:.300}"


def about_the_gone(line: str, account: Account) -> bool:
    """Whether a warning says that there is no such experiment of one that was deleted."""
    return "does not exist" in line and any(one.gone and one.key in line for one in account.experiments.values())


def read_or_nothing(file: Path) -> bytes:
    """The bytes; of a file of which there is nothing what it would have."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b"{}\n" if file.suffix == ".json" else b""


@contextmanager
def _explained(seed: int, scribe: Scribe, findings: Findings) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"seed {seed}, {scribe.count} steps, seen {dict(findings.seen)}; the last ones:")
        error.add_note("\n".join(sorted([*scribe.moves, *scribe.steps])))
        raise


def play(folder: Path, seed: int, *, seconds: float, most: int) -> str:
    """One whole run in an empty folder; what was done and seen. Raises Wrong."""
    served = folder / "served"
    served.mkdir()
    with running_comet(folder, *SERVED, archives=served) as comet:
        account, findings = Account(LAG), Findings()
        with closing(Scribe(comet.url, account, random.Random(seed))) as scribe, _explained(seed, scribe, findings):
            random_lifecycle.set_out(scribe)
            with running_mount(folder, comet, *MOUNTED, program=EAGER) as mounted:
                Model(mounted, account, scribe, findings, seed).go(seconds, most)
                assert mounted.stop() == 0
                said = mounted.log.read_text().splitlines()
                assert [line for line in said if not about_the_gone(line, account)] == []
            with running_mount(folder, comet, *MOUNTED, program=EAGER) as mounted:
                Model(mounted, account, scribe, findings, seed).settled()
        assert [request for request in comet.requests() if request["status"] >= 500] == []
        done, seen = dict(scribe.kinds), dict(findings.seen)
        return f"seed {seed}: {scribe.count} steps {done}, {len(comet.requests())} requests, seen {seen}"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--seed", type=int)
    asked = arguments.parse_args()
    end = time.monotonic() + asked.minutes * 60
    while time.monotonic() < end:
        seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
        with tempfile.TemporaryDirectory() as folder:
            print(play(Path(folder), seed, seconds=min(60.0, end - time.monotonic()), most=1 << 30), flush=True)


if __name__ == "__main__":
    main()
