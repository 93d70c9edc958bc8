"""When a program goes through whole experiments: a policy, without I/O and without a clock.

`cp -r`, `grep -r`, `tar` and `rsync` list a directory and read what is in it, in one process: by the order of the
listing, by name, by inode number. So a program that listed an experiment's own directory and then reads two of its
files is taken to go through all. `ls` and then `cat a b` are two programs, and the files that a shell's `*` names are
opened by another program than the shell. What such a program used of one experiment it will want of the next one, and
nothing else.

A visit that left most of what was fetched for it unused is wasted; after `PATIENCE` such visits of a project in a row
none is followed until all is forgotten. Not here: in which order experiments are visited (readahead.py), the bodies of
a directory (body_windows.py), and fetching (engine/walk_prefetch.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

SEVERAL = 2
"""Files read in one place after which the others are worth fetching."""

IDLE = 60.0
"""Seconds after which a program begins anew."""

PROJECTS = 64
"""Projects that are remembered."""

PROGRAMS = 4
"""Programs in one project that are kept apart."""

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
    """The programs that go through a project. The one that moved last is the last of `walks`."""

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

    def listed(
        self, program: int, project: Hashable, experiment: Hashable, directory: Hashable, count: int, now: float
    ) -> None:
        """A program lists a directory of an experiment, which has `count` entries."""
        visit = self._visit(program, project, experiment, now)
        if visit is not None:
            visit.listed[directory] = count

    def read(self, program: int, project: Hashable, experiment: Hashable, file: Hashable, now: float) -> bool:
        """A program reads a file in an experiment's own directory. Whether it is the one after which it is followed."""
        visit = self._visit(program, project, experiment, now)
        if visit is None:
            return False
        visit.files.add(file)
        known = self._project(project, now)
        walk = known.walks.get(program)
        return walk is not None and len(visit.files) >= SEVERAL and self._follows(known, walk)

    def read_in(
        self, program: int, project: Hashable, experiment: Hashable, directory: Hashable, file: Hashable, now: float
    ) -> None:
        """A program reads a file in a directory of an experiment."""
        visit = self._visit(program, project, experiment, now)
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

    def _visit(self, program: int, project: Hashable, experiment: Hashable, now: float) -> _Visit | None:
        """The visit that goes on, which renews its project: an experiment may take minutes."""
        known = self._projects.get(project)
        walk = None if known is None else known.walks.get(program)
        if known is None or walk is None or walk.visit.experiment != experiment or now - known.moved > IDLE:
            return None
        known.moved = now
        return walk.visit

    def _project(self, project: Hashable, now: float) -> _Project:
        known = self._projects.get(project)
        if known is None or now - known.moved > IDLE:
            known = self._projects[project] = _Project()
            if len(self._projects) > PROJECTS:
                self._projects.popitem(last=False)
        self._projects.move_to_end(project)
        known.moved = now
        return known
