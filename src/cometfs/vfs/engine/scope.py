"""Which keys of the cache are meant when something is asked again: those of some sources, at some places.

So what is in memory, on disk and under way can all be held against it. Not here: the keys (keys.py), and what a node's
scope is (invalidation.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

from cometfs.vfs.keys import PLACELESS, Key, Place
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, ForEach, Source, Stream, for_eaches_of

Question = Source | Stream


@dataclass(frozen=True)
class Scope:
    """Which keys are meant: a predicate over all that the tree keeps anything under."""

    whole: frozenset[Place] = frozenset()
    """Beginnings of places of which everything is meant; the empty one is that of all."""
    names: frozenset[str] = frozenset()
    """Of questions that are meant ..."""
    owners: frozenset[Place] = frozenset()
    """... at places that begin so ..."""
    place: Place | None = None
    """... and lie above or below this one; None: all of them."""
    rebuilt: Place | None = None
    """How the places begin of which listings are to be made anew: a row that they were bound to is in doubt."""
    spared: frozenset[Hashable] = frozenset()
    """Keys that are not meant although their places are: what stands there was put right already."""

    @cached_property
    def firsts(self) -> frozenset[Hashable] | None:
        """The beginnings of all those places, one of which stands in each key that is meant; None where any may."""
        places = self.whole | self.owners | ({self.rebuilt} if self.rebuilt else set())
        return None if () in places else frozenset(place[0] for place in places)

    def __call__(self, key: Hashable) -> bool:
        """Whether that key is meant, as it is in memory or as its words stand on disk."""
        found = key if isinstance(key, Key) else Key.parsed(key)
        if found is None:
            return False
        place = found.place
        # Most keys end here, being of another owner: some refreshes look at each key on disk.
        if self.firsts is not None and (not place or place[0] not in self.firsts):
            return False
        if found.kind in PLACELESS or found in self.spared:
            return False
        return self.has(place) or self._follows(found)

    def _follows(self, key: Key) -> bool:
        """Whether it is kept of an answer that is meant, at a place that is not meant as a whole."""
        if key.kind == "answer":
            return self._asks(key.of, key.place)
        if key.kind == "rendered":
            return key.of.source is not None and self.asks(key.of.source, key.place)
        if key.kind == "listing":
            asked = any(each.source and self.asks(each.source, key.place) for each in for_eaches_of(key.of))
            return asked or (self.rebuilt is not None and key.place[:1] == self.rebuilt)
        return key.kind == "empty entries" and key.place[:1] in self.owners

    def means(self, question: Question, place: Place) -> bool:
        """Whether what a question answers at a place is meant."""
        return self.has(place) or self.asks(question, place)

    def reaches(self, node: Node) -> bool:
        """Whether the bytes of a file are asked for, or made, anew."""
        entry, place = node.entry, node.at.key
        if isinstance(entry, File) and entry.source is None:
            return self.has(place) or (self.rebuilt is not None and place[:1] == self.rebuilt)
        return isinstance(entry, File) and entry.source is not None and self.means(entry.source, place)

    def shows(self, node: Node) -> bool:
        """Whether what is meant is seen in a file, or in a directory that is declared with those questions."""
        if not isinstance(node.entry, Dir):
            return self.reaches(node)
        place = node.at.key
        return place[:1] == self.rebuilt or any(self.means(question, place) for question in questions_of(node.entry))

    def has(self, place: Place) -> bool:
        """Whether everything at the place is meant."""
        return () in self.whole or any(place[:length] in self.whole for length in range(1, len(place) + 1))

    def asks(self, question: Question, place: Place) -> bool:
        """Whether the question is one of those that are meant at the place."""
        return self._asks(question.name, place)

    def _asks(self, name: str, place: Place) -> bool:
        if name not in self.names or place[:1] not in self.owners:
            return False
        if self.place is None or len(place) <= 1:
            return True
        depth = min(len(place), len(self.place))
        return place[:depth] == self.place[:depth]


def questions_of(entry: Dir) -> Iterator[Question]:
    """All that is asked for a directory and what stands in it."""
    for child in entry.entries:
        if isinstance(child, ForEach) and child.source is not None:
            yield child.source
        for one in child.shown if isinstance(child, ForEach) else (child,):
            if isinstance(one, Dir):
                yield from questions_of(one)
            elif one.source is not None:
                yield one.source
