"""The keys under which answers, and what is made of them, are kept in memory and on disk. All are made here.

A key belongs to a question or to a declared entry, and to a place, never to a path: what is renamed keeps its answers.
Not here: which keys a refresh means (engine/scope.py), and how a key is written (cache/persistent/rows.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, NamedTuple

Place = tuple[Hashable, ...]
"""The key of a `Context`: its owner (a workspace's name, a project's id, an experiment's key), then what tells the
place from others of that owner (a metric's name, an asset's id ...). Empty at the root."""

Kind = Literal["answer", "listing", "empty entries", "rendered", "sizes", "size differs", "walk", "observed"]

PLACELESS = frozenset({"walk"})
"""Kinds that no refresh means: how a program goes through a directory is no answer."""

_new = tuple.__new__
"""What a `NamedTuple` is made by. Its own constructor is Python, and takes twice as long."""

WORDS = frozenset({"sizes"})
"""How keys begin on disk that are not a question's; no question may be called so."""


class Key(NamedTuple):
    """Where one thing is kept. Hashed and compared as a tuple, in C: a look at a directory makes one for every entry.

    Its place is the very tuple of the `Context`, not a copy: a key costs 72 bytes beside it.
    """

    kind: Kind
    of: Any
    """The name of the question; of what is shown, the declared entry or the word that names it on disk."""
    version: Hashable
    """What tells states of one thing apart: of an ended experiment its row's version, of a body its listed size."""
    place: Place

    @staticmethod
    def answer(name: str, version: str | int | None, place: Place) -> Key:
        """What a question answers: a value or, of a `Stream`, a body."""
        return _new(Key, ("answer", name, version, place))

    @staticmethod
    def listing(entry: Hashable, version: str, place: Place, revision: int | None) -> Key:
        """The listing of a directory; `revision`: of what is written there, None where nothing can be."""
        return _new(Key, ("listing", entry, version if revision is None else (version, revision), place))

    @staticmethod
    def empty_entries(entry: Hashable, place: Place) -> Key:
        """What a directory's listings leave out."""
        return Key("empty entries", entry, "", place)

    @staticmethod
    def rendered(entry: Hashable, version: str, place: Place) -> Key:
        """The bytes of a file, in memory."""
        return _new(Key, ("rendered", entry, version, place))

    @staticmethod
    def sizes(place: Place) -> Key:
        """What is remembered of all files of one owner."""
        return _new(Key, ("sizes", "", "", place[:1]))

    @staticmethod
    def size_differs(size: int | None, place: Place) -> Key:
        """That a body came with another size than the listed one."""
        return Key("size differs", "", size, place)

    @staticmethod
    def walk(entry: Hashable, within: tuple[str, ...], place: Place) -> Key:
        """How far a program has come that goes through a directory."""
        return Key("walk", entry, within, place)

    @staticmethod
    def observed(subject: str, place: Place) -> Key:
        """What was learned of a place by the way, which no question answers."""
        return Key("observed", subject, "", place)

    @property
    def words(self) -> Place | None:
        """The key as it stands on disk, of texts and numbers; None for what is kept in memory only.

        These are bytes of the cache's files: other words for a key mean another `FORMAT` (cache/persistent/schema.py).
        """
        if self.kind == "answer":
            return (self.of, self.version, *self.place)
        if self.kind == "sizes":
            return ("sizes", *self.place)
        return None

    @staticmethod
    def parsed(words: object) -> Key | None:
        """The inverse of `words`; None for what none of these keys is written as, such as a damaged row's."""
        if not isinstance(words, tuple) or not words:
            return None
        try:
            hash(words)  # a damaged row may hold a list
        except TypeError:
            return None
        kind = words[0]
        if kind == "sizes":
            return Key.sizes(words[1:])
        return Key.answer(kind, words[1], words[2:]) if len(words) > 1 else None


def owner_of(key: Hashable) -> Hashable:
    """The owner of what is kept under a key: the beginning of its place. None where no refresh finds it by that."""
    if not isinstance(key, Key) or not key.place or key.kind in PLACELESS:
        return None
    return key.place[0]
