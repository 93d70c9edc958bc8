"""What every witness does: he takes something to look at, and holds what he has seen against what was ever true.

What may be seen beside the truth is ENOENT and ESTALE, and those only where an experiment, a name or a file was not
there all along. Not here: the ways to look (path_reads.py, held_reads.py), and what was true (history.py).
"""

from __future__ import annotations

import errno
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.account_history import Account, Experiment, Place, Told
from tests.support.history import Bytes, Wrong, explained

GONE = frozenset({errno.ENOENT, errno.ESTALE})

OUTPUT = "output.txt"


@dataclass(frozen=True)
class Target:
    """A file of what bears a name now, or bore it a while ago."""

    place: Place
    directory: str
    file: str

    @property
    def path(self) -> str:
        return f"{self.place.path}/{self.directory}/{self.file}"


@dataclass
class Findings:
    """What all witnesses have seen: how often what, and the first thing that is wrong."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    shown: dict[str, int] = field(default_factory=dict)
    """How much of an experiment's output somebody has read: nobody reads less later."""


class Onlooker:
    """Looks below `root` by `chance`."""

    def __init__(self, root: Path, account: Account, findings: Findings, chance: random.Random) -> None:
        self.root, self.account, self.findings, self.chance = root, account, findings, chance

    # -- What to look at -----------------------------------------------------------------------------------------------

    def place(self) -> Place:
        return self.chance.choice(list(self.account.listings))

    def experiment(self) -> Experiment:
        return self.chance.choice(list(self.account.experiments.values()))

    def file(self, one: Experiment) -> str:
        return self.chance.choice([OUTPUT, OUTPUT, *list(one.files)])

    def target(self, file: str | None = None) -> Target:
        """A name that stands now or did not long ago, and a file of who bears it."""
        while True:
            place = self.place()
            since = time.monotonic() - self.chance.choice((0, 0, 0, 0, 0, 0, 1, 5))
            names = [name for one in self.account.listings[place].within(since) for name in one.directories.items()]
            if names:
                directory, key = self.chance.choice(names)
                return Target(place, directory, file or self.file(self.account.experiments[key]))

    def target_of(self, one: Experiment, file: str) -> Target | None:
        for directory, key in self.account.listings[one.place].now.directories.items():
            if key == one.key:
                return Target(one.place, directory, file)
        return None

    # -- What to hold it against ---------------------------------------------------------------------------------------

    def versions(self, target: Target, began: float) -> dict[str, list[Bytes]]:
        return self.account.of_name(target.place, target.directory, target.file, began, time.monotonic())

    def hold_whole(self, target: Target, data: bytes, began: float, before: dict[str, int]) -> None:
        found = self.versions(target, began)
        fitting = [key for key, versions in found.items() if any(one.equals(data) for one in versions)]
        if not fitting:
            raise Wrong(f"{target.path} since {began:.3f}: {explained(data, found)}")
        if len(fitting) == 1:
            self.hold_growth(fitting[0], target.file, data, before)
        self.count("whole")

    def hold_growth(self, key: str, file: str, data: bytes, before: dict[str, int]) -> None:
        """Output only grows: nobody reads less than what was read by anybody before he began."""
        if file != OUTPUT:
            return
        if len(data) < before.get(key, 0):
            raise Wrong(f"{OUTPUT} of {key[:8]} has {len(data)} bytes, and {before[key]} were read before")
        shown = self.findings.shown
        shown[key] = max(shown.get(key, 0), len(data))

    def outputs_shown(self) -> dict[str, int]:
        return dict(self.findings.shown)

    def told_of(self, target: Target, key: str, began: float) -> list[Told]:
        if key not in self.account.holders(target.place, target.directory, began, time.monotonic()):
            return []
        return self.account.experiments[key].told.within(began - self.account.lag)

    def names_of(self, one: Experiment, place: Place, began: float) -> set[str]:
        listed = self.account.listings[place].within(began - self.account.lag)
        return {name for each in listed for name, key in each.directories.items() if key == one.key}

    def lacks(self, one: Experiment, file: str, began: float) -> bool:
        return self.account.lacks(one.key, file, began, time.monotonic())

    @contextmanager
    def absence(self, target: Target, began: float) -> Iterator[None]:
        """Nothing but "no such file", and that only where it may be."""
        try:
            yield
        except OSError as error:
            if error.errno not in GONE:
                raise Wrong(f"{target.path} since {began:.3f}: {error}") from error
            self.hold_absence(target, str(error), began)

    def hold_absence(self, target: Target, said: str, began: float) -> None:
        file = "metadata.json" if target.file == "." else target.file
        if file == "metrics":
            file = "metrics/loss.csv"
        if not self.account.may_lack(target.place, target.directory, file, began, time.monotonic()):
            raise Wrong(f"{target.path} was there all along since {began - self.account.lag:.3f}: {said}")
        self.count("absent")

    def hold_complaint(self, target: Target, said: bytes, began: float) -> None:
        if not any(word in said for word in (b"No such file", b"Stale file handle")):
            raise Wrong(f"{target.path} since {began:.3f}: {said!r}")
        self.hold_absence(target, said.decode(), began)

    def count(self, what: str) -> None:
        self.findings.seen[what] += 1
