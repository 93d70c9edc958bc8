"""The experiments of a project in the order in which a walk goes through them.

Not here: which of them are fetched ahead (readahead.py, prefetch.py).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from cometfs.cache.store import Store
from cometfs.vfs.schema.declaration import SAMPLE, Batch, Context, Row
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.parameters import of_project

PROJECTS = 32
"""Projects of which the order of experiments is remembered."""


class Siblings:
    """The experiments of a project in the order of their names."""

    def __init__(self, at: Context, rows: Sequence[Row]) -> None:
        self.project = of_project(at)
        self.rows = rows
        self.places = {row["experimentKey"]: place for place, row in enumerate(rows)}
        self.asked: dict[str, deque[Context]] = {}
        """By batch, the experiments that were asked for last."""

    def record_single(self, batch: Batch, at: Context) -> None:
        """An experiment was asked by itself: a batch can be verified by its answer."""
        self.asked.setdefault(batch.name, deque(maxlen=2 * SAMPLE)).append(at)

    def like(self, at: Context, places: Iterable[int]) -> list[Context]:
        """The places at other experiments that `at` is at its own."""
        found = []
        for place in places:
            sibling = experiment.at_experiment(self.project, self.rows[place])
            found.append(replace(sibling, key=(*sibling.key, *at.key[1:]), item=at.item))
        return found


class SiblingsByProject:
    """Those of the projects that were read last. What is remembered of a project is of its listing as it is in the
    store: a new listing begins it anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[Hashable, Siblings] = OrderedDict()

    def of(self, at: Context) -> Siblings | None:
        """The siblings of an experiment; None where their listing is not at hand, in memory or on disk."""
        project = of_project(at)
        # From disk, if memory had no room for it: a project of thousands would be asked one by one otherwise.
        held = self._store.recall(experiment.EXPERIMENTS.key(project))
        if held is None or held.error is not None:
            return None
        line = self._known.get(project.key)
        if line is None or line.rows is not held.value:
            line = self._known[project.key] = Siblings(at, held.value)
        self._known.move_to_end(project.key)
        if len(self._known) > PROJECTS:
            self._known.popitem(last=False)
        return line


def has_siblings(at: Context) -> bool:
    """Whether other experiments may have the same: what is theirs alone (an asset) is known by its row."""
    return at.experiment is not None and (len(at.key) == 1 or isinstance(at.item, str))
