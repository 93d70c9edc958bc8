"""The account as it ever was: experiments, the bytes of their files, and where they stood under which name, when.

Not here: who changes it (log_client.py), and who looks (random_readers.py).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

from tests.support.expected_files import Point, directories_of, json_of
from tests.support.history import Bytes, History, Wrong, explained

T = TypeVar("T")


class Place(NamedTuple):
    """A listing of experiments: of a project, or of its archive."""

    project: str
    archived: bool = False

    @property
    def path(self) -> str:
        return f"{self.project}/archived" if self.archived else self.project


class Listed(NamedTuple):
    """A listing: directory -> key, and key -> state."""

    directories: dict[str, str]
    states: dict[str, str]


class Told(NamedTuple):
    """What ``metadata.json`` says, as far as it is foreseen."""

    experimentKey: str
    experimentName: str | None
    projectName: str
    running: bool
    hasCrashed: bool
    archived: bool
    startTimeMillis: int


class Experiment:
    """One experiment: what is true of it, and what was."""

    def __init__(self, key: str, place: Place, start: int) -> None:
        self.key, self.place, self.start = key, place, start
        self.state = "running"
        self.name: str | None = None
        self.gone = False
        self.ended_at: int | None = None
        """How much of its output there was when its run ended first."""
        self.names: set[str] = set()
        """What it was called since it ended."""
        self.never_moved = False
        """Whether it keeps its name and its place as long as the model runs."""
        self.never_ends = False
        self.params: dict[str, Any] = {}
        self.others: dict[str, str] = {}
        self.tags: set[str] = set()
        self.points: dict[str, list[Point]] = {}
        self.files: dict[str, History[Bytes]] = {
            "output.txt": History(Bytes.of(b"")),
            "params.json": History(Bytes.of(json_of({}))),
            "others.json": History(Bytes.of(json_of({}))),
            "tags.txt": History(Bytes.of(b"")),
        }
        self.metrics: History[frozenset[str]] = History(frozenset())
        self.told: History[Told] = History(self.telling())

    def telling(self) -> Told:
        return Told(
            self.key,
            self.name,
            self.place.project.partition("/")[2],
            self.state == "running",
            self.state == "crashed",
            self.place.archived,
            self.start,
        )


class Account:
    """All experiments, where they stand, and what was true when. Written by one thread, read by others."""

    def __init__(self, lag: float) -> None:
        """`lag`: seconds that what is read may lag behind at most, on a machine however slow."""
        self.lag = lag
        self.experiments: dict[str, Experiment] = {}
        self.listings: dict[Place, History[Listed]] = {}
        self._begun: list[History[Any]] = []

    def begin(self, history: History[T], value: T) -> None:
        """Something may be true from now on."""
        history.begin(value)
        self._begun.append(history)

    def settle(self) -> None:
        """The server has acknowledged all that was begun."""
        for history in self._begun:
            history.settle()
        self._begun.clear()

    def relist(self) -> bool:
        """Where experiments stand follows from what they are: begins every listing that is not what it was, and tells
        whether there is one."""
        moved = False
        for place, history in self.listings.items():
            there = [one for one in self.experiments.values() if one.place == place and not one.gone]
            now = Listed(directories_of({one.key: one.name for one in there}), {one.key: one.state for one in there})
            if now != history.now:
                self.begin(history, now)
                moved = True
        for one in self.experiments.values():
            if one.telling() != one.told.now:
                self.begin(one.told, one.telling())
        return moved

    def holders(self, place: Place, directory: str, since: float, until: float) -> set[str | None]:
        """Who bore that name, None for nobody."""
        return {one.directories.get(directory) for one in self.listings[place].within(since - self.lag, until)}

    def versions(self, key: str, file: str, since: float, until: float) -> list[Bytes]:
        """What a file of an experiment was; nothing for a file that it never had."""
        history = self.experiments[key].files.get(file)
        return [] if history is None else history.within(since - self.lag, until)

    def of_name(self, place: Place, directory: str, file: str, since: float, until: float) -> dict[str, list[Bytes]]:
        """What could stand there: versions by key."""
        keys = self.holders(place, directory, since, until) - {None}
        return {key: self.versions(key, file, since, until) for key in keys if key is not None}

    def may_lack(self, place: Place, directory: str, file: str, since: float, until: float) -> bool:
        """Whether at some time there was no such file."""
        holders = self.holders(place, directory, since, until)
        if len(holders) != 1:
            return True  # on the way from one to the next
        (key,) = holders
        return key is None or self.lacks(key, file, since, until)

    def lacks(self, key: str, file: str, since: float, until: float) -> bool:
        """The same of an experiment."""
        one = self.experiments[key]
        if one.gone:
            return True
        if file in ("metadata.json", "url.txt"):
            return False
        versions = self.versions(key, file, since, until)
        return not versions or any(version.may_lack for version in versions)


class Following:
    """What one open file may be, ever less the more of it is seen: one version, and if it grows, those that go on."""

    def __init__(self, account: Account, file: str, candidates: dict[str, list[Bytes]], since: float) -> None:
        self._account, self._file, self._since = account, file, since
        self._candidates = {key: versions for key, versions in candidates.items() if versions}
        self.grows = file == "output.txt" or file.startswith("metrics/")

    def sized(self, size: int) -> None:
        """Its size was seen."""
        self._narrow(lambda version: version.size == size, f"a size of {size}")

    def seen(self, start: int, length: int, data: bytes) -> None:
        """`length` bytes were asked for, and these came."""
        self._narrow(lambda version: version.part(start, length) == data, f"{data[:200]!r} ... at {start}", data)

    def _narrow(self, fits: Any, what: str, data: bytes = b"") -> None:
        before = {key: self._grown(key, versions) for key, versions in self._candidates.items()}
        after = {key: [one for one in versions if fits(one)] for key, versions in before.items()}
        self._candidates = {key: versions for key, versions in after.items() if versions}
        if not self._candidates:
            raise Wrong(f"{self._file} open since {self._since:.3f} showed {what}: {explained(data, before)}")

    def _grown(self, key: str, versions: list[Bytes]) -> list[Bytes]:
        if not self.grows:
            return versions
        now = self._account.versions(key, self._file, self._since, math.inf)
        known = set(map(id, versions))
        least = min(versions, key=lambda version: version.size)
        later = [one for one in now if id(one) not in known and one.size > least.size]
        return [*versions, *(one for one in later if any(one.goes_on_from(before) for before in versions))]
