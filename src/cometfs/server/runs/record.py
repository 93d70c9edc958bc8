"""What one experiment logged, as an index: summaries, the list of its assets, and the numbers of the lines that hold
the rest.

A record is made of parts, one per archive; a run that was resumed offline has several, in the order of their start.
Lines are numbered from 1 through all parts, and that number is what Comet calls ``offset``. The text of a line is
read again on request (`RunRecord.payloads`); what stays in memory is where each line begins.

A line that is appended later is applied like those found at the start, but never to a record that others read: it is
applied to the next version (`RunRecord.grown`), which then takes its place. Invariants that let a thread walk through a
record without a lock:

- A dictionary of a record is not changed once the record is served. The next version shares every one of them, and
  copies one the first time it changes it; the methods below are the only way to change one.
- What versions share and still change, the arrays of lines and the summaries of metrics, only grows, and what was read
  of it stays true.
- What concerns the whole run, its end and whether it crashed or is archived, changes in place.

Not here: experiments' names and places (`catalog`), and answers (`read_api`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any

from cometfs.server.runs.decode import decode
from cometfs.server.runs.schema import Number, Payload, RegisterModel
from cometfs.server.runs.values import Logged, Summary
from cometfs.server.runs.zip_reader import MESSAGES, Archive

_SERIALS = count()


@dataclass(slots=True)
class Part:
    """One archive of a record. `starts[i]` is where in ``messages.json`` the line with number ``base + i + 1``
    begins.
    """

    archive: Archive
    base: int = 0
    starts: array[int] = field(default_factory=lambda: array("Q"))


@dataclass(slots=True)
class LoggedAsset:
    """A file of an experiment. `member` names it in `part`'s archive; without one it is only a `link` somewhere else.

    `size` in bytes (0 for a link), `created_at` in epoch milliseconds, `metadata` is JSON text, `model` the model it
    belongs to, `items` the ids of the assets that a 3-D image is made of.
    """

    id: str
    name: str
    type: str
    part: Part
    member: str | None
    size: int
    created_at: int
    step: Number | None = None
    context: str | None = None
    metadata: str | None = None
    link: str | None = None
    model: str | None = None
    items: tuple[str, ...] = ()


@dataclass(slots=True)
class Series:
    """A metric: its summary and the numbers of the lines that hold its points."""

    summary: Summary
    lines: array[int]


@dataclass(frozen=True, slots=True)
class Registration:
    """That a model was put into the registry, and when (epoch milliseconds)."""

    asked: RegisterModel
    timestamp: int | None


@dataclass(slots=True)
class RunRecord:
    """Everything that the archives of one key say; all names are shown names (with the context in front).

    `lines` holds, per kind of long text (``output``, ``html``, ...), the numbers of the lines it is spread over.
    `code` is the asset with the script that made the run, `patch` the one with its uncommitted changes. Times in epoch
    milliseconds; `crashed` means that the run was never ended, which one that is running was not either. `serial` is
    the same for all versions of a record, and no other's. `last_seen` is the time of the last line that has one,
    `latest` the greatest.
    """

    parts: list[Part] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    crashed: bool = False
    archived: bool = False
    tags: frozenset[str] = frozenset()
    parameters: Mapping[str, Logged] = field(default_factory=dict)
    others: Mapping[str, Logged] = field(default_factory=dict)
    metrics: Mapping[str, Series] = field(default_factory=dict)
    assets: Mapping[str, LoggedAsset] = field(default_factory=dict)
    registrations: tuple[Registration, ...] = ()
    lines: Mapping[str, array[int]] = field(default_factory=dict)
    file_path: str | None = None
    user: str | None = None
    code: LoggedAsset | None = None
    patch: LoggedAsset | None = None
    last_seen: int | None = None
    latest: int | None = None
    serial: int = field(default_factory=_SERIALS.__next__)
    _copied: set[str] = field(default_factory=set)
    """The fields whose dictionaries this version does not share."""

    def grown(self) -> RunRecord:
        """The next version, to be changed by the methods below. Costs the same however much was logged."""
        return replace(self, _copied=set())

    def add_value(self, name: str, number: int, value: Logged) -> None:
        """A point of a metric, which line `number` holds."""
        series = self.metrics.get(name)
        if series is None:
            self._own("metrics")[name] = Series(Summary.of(value), array("Q", [number]))
        else:
            series.summary.add(value)
            series.lines.append(number)

    def set_parameter(self, name: str, value: Logged) -> None:
        self._own("parameters")[name] = value

    def set_other(self, name: str, value: Logged) -> None:
        self._own("others")[name] = value

    def add_line(self, kind: str, number: int) -> None:
        """Line `number` holds a piece of a text of this kind."""
        numbers = self.lines.get(kind)
        if numbers is None:
            self._own("lines")[kind] = array("Q", [number])
        else:
            numbers.append(number)

    def put_asset(self, asset: LoggedAsset, *, overwrite: bool = False) -> None:
        """Add an asset, or replace that of its id; with `overwrite` also those of its name and type."""
        assets: dict[str, LoggedAsset] = self._own("assets")
        if overwrite:
            equal = [old.id for old in assets.values() if (old.name, old.type) == (asset.name, asset.type)]
            for old in equal:
                del assets[old]
        assets[asset.id] = asset

    def _own(self, name: str) -> dict[str, Any]:
        """The dictionary of this field, to be changed: copied unless it was already."""
        if name not in self._copied:
            setattr(self, name, dict(getattr(self, name)))
            self._copied.add(name)
        owned: dict[str, Any] = getattr(self, name)
        return owned

    def begun(self, start: int) -> RunRecord:
        """The next version, of a run that began at another time: what was logged before any time was given did, too."""
        made, before = self.grown(), self.start
        made.start = start
        made.last_seen = start if self.last_seen == before else self.last_seen
        for name, value in self.others.items():
            if value.timestamp == before:
                made.set_other(name, replace(value, timestamp=start))
        for asset in self.assets.values():
            if asset.created_at == before:
                made.put_asset(replace(asset, created_at=start))
        return made

    def detached(self) -> RunRecord:
        """A record of its own that says the same, for one that others are to go on serving as it is."""
        made = self.grown()
        made.parts = [*self.parts[:-1], *(replace(part, starts=part.starts[:]) for part in self.parts[-1:])]
        made.metrics = {name: Series(copy(one.summary), one.lines[:]) for name, one in self.metrics.items()}
        made.lines = {kind: numbers[:] for kind, numbers in self.lines.items()}
        made.serial = next(_SERIALS)
        return made

    @property
    def archives(self) -> list[Archive]:
        return [part.archive for part in self.parts]

    @property
    def line_count(self) -> int:
        """How many lines all parts have; the next one has the number after it."""
        return self.parts[-1].base + len(self.parts[-1].starts) if self.parts else 0

    @property
    def name(self) -> str | None:
        """The experiment's name: the last ``Name`` among its others."""
        named = self.others.get("Name")
        return named.text if named else None

    def payloads(self, numbers: Iterable[int]) -> Iterator[tuple[int, Payload]]:
        """The messages of these lines (ascending numbers), read from their archives now."""
        for part, run in groupby(numbers, self._part_of):
            with closing(part.archive.open(MESSAGES)) as file:
                for number in run:
                    file.seek(part.starts[number - part.base - 1])
                    for payload in decode(file.readline()):
                        yield number, payload

    def _part_of(self, number: int) -> Part:
        return self.parts[bisect_right(self.parts, number - 1, key=lambda part: part.base) - 1]
