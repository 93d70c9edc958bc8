"""Which keys of the cache are meant when something is asked again: those of some questions, at some places.

So what is in memory, on disk and under way can all be held against it. Not here: what a node's scope is
(invalidation.py)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, ForEach, Source, Stream, for_eaches_of

Place = tuple[Hashable, ...]
"""The key of an `Context`, or its beginning: the first of it tells whose place it is (an experiment's, a project's
...)."""

Question = Source | Stream

_PLACES = {"listing": 3, "file": 3, "omitted": 2}
"""Where the place stands in the keys of what is made of answers."""

_ABOUT = ("render", "renewal")
"""How the keys begin of what is done about another key, which follows."""


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

    @cached_property
    def firsts(self) -> frozenset[Hashable] | None:
        """The beginnings of all those places, one of which stands in each key that is meant; None where any may."""
        places = self.whole | self.owners | ({self.rebuilt} if self.rebuilt else set())
        return None if () in places else frozenset(place[0] for place in places)

    def __call__(self, key: Hashable) -> bool:
        if not isinstance(key, tuple) or not key:
            return False
        kind = key[0]
        if kind in _ABOUT:
            return self(key[1])
        place = _place_of(key)
        if place is None or (self.firsts is not None and (not place or place[0] not in self.firsts)):
            return False
        if kind == "listing":
            asked = any(each.source and self.asks(each.source, place) for each in for_eaches_of(key[1]))
            return asked or self.has(place) or (self.rebuilt is not None and place[:1] == self.rebuilt)
        if kind == "omitted":
            return self.has(place) or place[:1] in self.owners
        if kind == "file":
            return key[1].source is not None and self.means(key[1].source, place)
        if kind == "sizes":
            return self.has(place) and key not in self.spared
        return self.has(place) or self._asks(kind, place)

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


def owner_of(key: Hashable) -> Hashable:
    """Whose what is kept under a key is: the beginning of its place. None where no scope means it by that."""
    if not isinstance(key, tuple) or not key:
        return None
    if key[0] in _ABOUT:
        return owner_of(key[1])
    place = _place_of(key)
    return place[0] if place else None


def _place_of(key: tuple[Any, ...]) -> Place | None:
    """The place at which something is kept; None where that is nothing to ask again."""
    kind = key[0]
    if kind in ("listed", "made"):
        # Who is going through what, and pictures, which stand under the answer that they are made of.
        return None
    place: Place = key[_PLACES[kind]] if kind in _PLACES else key[1:] if kind == "sizes" else key[2:]
    return place


def questions_of(entry: Dir) -> Iterator[Question]:
    """All that is asked for a directory and what stands in it."""
    for child in entry.entries:
        if isinstance(child, ForEach) and child.source is not None:
            yield child.source
        for one in child.shown if isinstance(child, ForEach) else (child,):
            if isinstance(one, Dir):
                yield from questions_of(one)
            elif isinstance(one, File) and one.source is not None:
                yield one.source
