"""When a program goes through whole experiments, or through the files of a directory: policies, without I/O and without
a clock.

`cp -r`, `grep -r`, `tar` and `rsync` list a directory and read what is in it, in one process: by the order of the
listing, by name, by inode number. So a program that listed an experiment's own directory and then reads two of its
files is taken to go through all. `ls` and then `cat a b` are two programs, and the files that a shell's `*` names are opened
by another program than the shell. What such a program used of one experiment it will want of the next one, and
nothing else.

A visit that left most of what was fetched for it unused is wasted; after `PATIENCE` such visits of a project in a row
none is followed until all is forgotten. Not here: in which order experiments are visited (readahead.py), and fetching
(engine/walk_prefetch.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

SEVERAL = 2
"""Files read in one place after which the others are worth fetching."""

IDLE = 60.0
"""Seconds after which a program begins anew."""

PROJECTS = 64
"""Projects that are remembered."""

PROGRAMS = 4
"""Programs in one project that are told apart."""

PATIENCE = 4
"""Wasted visits in a row after which none is followed until all is forgotten."""


class Usage(NamedTuple):
    """What a program used of an experiment, as entries of the declaration."""

    files: frozenset[Hashable] = frozenset()
    """Files in the experiment's own directory that were read."""
    listed: frozenset[Hashable] = frozenset()
    """Directories that were listed ..."""
    read: frozenset[Hashable] = frozenset()
    """... and those of which several files were read, or all."""


class _Visit:
    """One program in one experiment. `offered` are the entries that were fetched for it, None while it is not
    followed."""

    __slots__ = ("experiment", "files", "listed", "offered", "read")

    def __init__(self, experiment: Hashable) -> None:
        self.experiment = experiment
        self.files: set[Hashable] = set()
        self.listed: dict[Hashable, int] = {}
        """Directories, with the number of their entries."""
        self.read: dict[Hashable, set[Hashable]] = {}
        """By directory, its files that were read."""
        self.offered: frozenset[Hashable] | None = None

    def usage(self) -> Usage:
        several = (one for one, files in self.read.items() if len(files) >= min(SEVERAL, self.listed.get(one, SEVERAL)))
        return Usage(frozenset(self.files), frozenset(self.listed), frozenset(several))

    @property
    def is_wasted(self) -> bool:
        used = self.files | self.listed.keys()
        return self.offered is not None and 2 * len(self.offered & used) < len(self.offered)


class _Walk:
    """One program in one project: its present visit, and what it used in the last one that was followed."""

    __slots__ = ("usage", "visit")

    def __init__(self, visit: _Visit) -> None:
        self.visit = visit
        self.usage: Usage | None = None


class _Project:
    """Who goes through a project. The program that moved last is the last of `walks`."""

    __slots__ = ("moved", "walks", "wasted")

    def __init__(self) -> None:
        self.moved = 0.0
        self.walks: OrderedDict[int, _Walk] = OrderedDict()
        self.wasted = 0

    def judge(self, visit: _Visit) -> None:
        if visit.offered is not None:
            self.wasted = self.wasted + 1 if visit.is_wasted else 0


class Walks:
    """Remembers what programs list and read in experiments; bounded."""

    def __init__(self) -> None:
        self._projects: OrderedDict[Hashable, _Project] = OrderedDict()

    def entered(self, program: int, project: Hashable, experiment: Hashable, now: float) -> bool:
        """A program lists an experiment's own directory. Whether it goes through one after the other, so that this one
        is followed from here on."""
        known = self._project(project, now)
        walk = known.walks.get(program)
        if walk is None:
            walk = known.walks[program] = _Walk(_Visit(experiment))
            if len(known.walks) > PROGRAMS:
                # A visit is judged when it makes room, not when it pauses: until then it may go on.
                known.judge(known.walks.popitem(last=False)[1].visit)
        elif walk.visit.experiment != experiment:
            if walk.visit.offered is not None:
                known.judge(walk.visit)
                walk.usage = walk.visit.usage()
            walk.visit = _Visit(experiment)
        known.walks.move_to_end(program)
        return walk.usage is not None and self._follows(known, walk)

    def listed(self, program: int, project: Hashable, experiment: Hashable, directory: Hashable, count: int) -> None:
        """A program lists a directory of an experiment, which has `count` entries."""
        visit = self._visit(program, project, experiment)
        if visit is not None:
            visit.listed[directory] = count

    def read(self, program: int, project: Hashable, experiment: Hashable, file: Hashable, now: float) -> bool:
        """A program reads a file in an experiment's own directory. Whether it is the one after which it is followed."""
        visit = self._visit(program, project, experiment)
        if visit is None:
            return False
        visit.files.add(file)
        known = self._project(project, now)
        walk = known.walks.get(program)
        return walk is not None and len(visit.files) >= SEVERAL and self._follows(known, walk)

    def read_in(
        self, program: int, project: Hashable, experiment: Hashable, directory: Hashable, file: Hashable
    ) -> None:
        """A program reads a file in a directory of an experiment."""
        visit = self._visit(program, project, experiment)
        if visit is not None:
            visit.read.setdefault(directory, set()).add(file)

    def usage(self, program: int, project: Hashable) -> Usage | None:
        """What the program used of the last experiment; None in the first one."""
        known = self._projects.get(project)
        walk = None if known is None else known.walks.get(program)
        return None if walk is None else walk.usage

    def offered(self, program: int, project: Hashable, entries: frozenset[Hashable]) -> None:
        """These were fetched for the visit that is followed now."""
        self._projects[project].walks[program].visit.offered = entries

    def _follows(self, known: _Project, walk: _Walk) -> bool:
        if walk.visit.offered is not None or known.wasted >= PATIENCE:
            return False
        walk.visit.offered = frozenset()
        return True

    def _visit(self, program: int, project: Hashable, experiment: Hashable) -> _Visit | None:
        known = self._projects.get(project)
        walk = None if known is None else known.walks.get(program)
        return walk.visit if walk is not None and walk.visit.experiment == experiment else None

    def _project(self, project: Hashable, now: float) -> _Project:
        known = self._projects.get(project)
        if known is None or now - known.moved > IDLE:
            known = self._projects[project] = _Project()
            if len(self._projects) > PROJECTS:
                self._projects.popitem(last=False)
        self._projects.move_to_end(project)
        known.moved = now
        return known


# -- Bodies ------------------------------------------------------------------------------------------------------------

SMALL = 1 << 20
"""Bytes of the biggest body that is fetched ahead in a directory."""

MOST, MOST_BYTES = 64, 16 << 20
"""Bodies, and bytes of them, that are asked for at once."""

UNREAD, UNREAD_BYTES = 4 * MOST, 4 * MOST_BYTES
"""Bodies, and bytes of them, that are fetched ahead of one reader of a directory and not read yet, at most."""

WAITS = 16
"""Reads that waited after which the next ones are fetched although most of the last are unused: the order is
another."""

DIRECTORIES = 256
"""Directories and programs that are remembered."""


K = TypeVar("K", bound=Hashable)


class Sized(NamedTuple, Generic[K]):
    """A body of a directory."""

    name: K
    size: int | None
    """In bytes; None where the listing does not say."""


class _Sweep:
    """A program's way through the bodies of a directory: those that were asked for ahead and are not read yet are in
    `ahead`."""

    __slots__ = ("ahead", "asked", "read", "waits", "window")

    def __init__(self) -> None:
        self.read: set[Hashable] = set()
        self.waits = 0
        """Reads that had to wait since the last window."""
        self.window = 0
        self.ahead: dict[Hashable, int] = {}
        """With their sizes."""
        self.asked: set[Hashable] = set()


class BodyWindows:
    """Which bodies of a directory to fetch ahead of a program that listed it and reads one after the other; bounded."""

    def __init__(self) -> None:
        self._listed: OrderedDict[Hashable, _Sweep | None] = OrderedDict()

    def listed(self, program: int, directory: Hashable) -> None:
        """A program lists a directory."""
        self._listed[program, directory] = None
        self._listed.move_to_end((program, directory))
        if len(self._listed) > DIRECTORIES:
            self._listed.popitem(last=False)

    def knows(self, program: int, directory: Hashable) -> bool:
        """Whether the program has listed the directory."""
        return (program, directory) in self._listed

    def waited(self, program: int, directory: Hashable, name: Hashable) -> None:
        """A program had to wait for a body."""
        key = (program, directory)
        if key in self._listed:
            sweep = self._listed[key] = self._listed[key] or _Sweep()
            sweep.read.add(name)
            sweep.waits += 1

    def reads(self, program: int, directory: Hashable, name: Hashable) -> bool:
        """A program begins to read a body. Whether others are worth asking for: it waited for another one."""
        sweep = self._listed.get((program, directory))
        if sweep is None:
            return False
        sweep.ahead.pop(name, None)
        sweep.read.add(name)
        if len(sweep.read) < SEVERAL:
            return False
        return 2 * len(sweep.ahead) <= sweep.window or sweep.waits >= WAITS

    def window(self, program: int, directory: Hashable, name: Hashable, bodies: Sequence[Sized[K]]) -> list[K]:
        """The names of those to ask for now, those behind `name` first."""
        sweep = self._listed.get((program, directory))
        if sweep is None:
            return []
        begin = next((place for place, body in enumerate(bodies, 1) if body.name == name), 0)
        count, size = UNREAD - len(sweep.ahead), UNREAD_BYTES - sum(sweep.ahead.values())
        room = Room(min(MOST, count), min(MOST_BYTES, size))
        known = sweep.read | sweep.asked
        left = (body for body in (*bodies[begin:], *bodies[:begin]) if body.name not in known)
        found = {body.name: body.size or 0 for body in left if room.takes(body.size)}
        # Where none is left, no more is looked for at each read.
        sweep.waits, sweep.window = 0, len(found) or -1
        for body, size in found.items():
            sweep.ahead[body] = size
        sweep.asked.update(found)
        return list(found)


class Room:
    """How many bodies, and bytes of them, may still be asked for."""

    def __init__(self, count: int, size: int) -> None:
        self._count, self._bytes = count, size

    def takes(self, size: int | None) -> bool:
        """Whether a body is small, and there is room for it, which it then takes."""
        if size is None or size > SMALL or size > self._bytes or self._count <= 0:
            return False
        self._count -= 1
        self._bytes -= size
        return True
