"""The small bodies that a program that goes through a directory wants next, whatever the directory belongs to.

Which to fetch is decided in answers/body_windows.py; here they are found in the listing, and asked for. Not here: whole
experiments (walk_prefetch.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import NamedTuple

from cometfs.cache.memory import Recent
from cometfs.vfs.answers.abreast import Question
from cometfs.vfs.answers.body_windows import BodyWindows, Sized
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.listings import Listings
from cometfs.vfs.inode_numbers import probe
from cometfs.vfs.keys import Place
from cometfs.vfs.nodes import Listing, Node
from cometfs.vfs.schema.declaration import Context, File, Stream

DIRECTORIES = 8
"""Directories whose bodies are remembered, while they are gone through."""

NUMBERS = 256
"""Directories whose inode numbers are remembered."""


class _Bodies(NamedTuple):
    """The bodies in a listing and in its folders: in the order of the listing, and the questions for them."""

    listing: Listing
    sized: list[Sized[Place]]
    asked: dict[Place, tuple[Stream, Context]]


class Sweeps:
    """Tells the policy what is listed and read, and does what it says."""

    def __init__(self, answers: AnswerResolver, prefetcher: Prefetcher, listings: Listings) -> None:
        self._answers = answers
        self._prefetcher = prefetcher
        self._listings = listings
        self._windows = BodyWindows()
        self._numbers: Recent[Hashable, int] = Recent(NUMBERS)
        self._bodies: Recent[Hashable, _Bodies] = Recent(DIRECTORIES)

    def listed(self, directory: Node, program: int, number: int) -> None:
        """A program lists a directory of this inode number."""
        place = _place(directory)
        self._windows.listed(program, place)
        self._numbers[place] = number

    def reads(self, node: Node, directory: Node, program: int) -> None:
        """A program is about to read a body of a directory."""
        folder = self._listed_folder(directory, program)
        if self._windows.reads(program, _place(folder), node.at.key):
            self._ask(folder, node, program)

    def waited(self, node: Node, directory: Node, program: int) -> None:
        """A program had to wait for a body."""
        self._windows.waited(program, _place(self._listed_folder(directory, program)), node.at.key)

    def _listed_folder(self, directory: Node, program: int) -> Node:
        """The directory or, of the folders that it lies in, the outermost one that the program has listed, too."""
        for depth in range(len(directory.within)):
            folder = replace(directory, within=directory.within[:depth])
            if self._windows.knows(program, _place(folder)):
                return folder
        return directory

    def _ask(self, folder: Node, node: Node, program: int) -> None:
        """Asks for the next bodies of a directory and the folders in it."""
        listing = self._listings.peek(folder)
        if listing is None or not self._prefetcher.may:
            return
        bodies = self._bodies_in(folder, listing)
        names = self._windows.window(program, _place(folder), node.at.key, bodies.sized)
        questions = [bodies.asked[name] for name in names]
        wanted: list[Question] = [question for question in questions if not self._answers.has(*question)]
        if wanted:
            self._prefetcher.warm(wanted)

    def _bodies_in(self, folder: Node, listing: Listing) -> _Bodies:
        """Looked through once: there may be thousands, and each window asks for a few."""
        place = _place(folder)
        known = self._bodies.get(place)
        if known is None or known.listing is not listing:
            found = list(_bodies_of(listing, self._numbers.get(place) or 0))
            sized = [Sized(node.at.key, stream.size(node.at), number) for number, node, stream in found]
            known = _Bodies(listing, sized, {node.at.key: (stream, node.at) for _, node, stream in found})
            self._bodies[place] = known
        return known


def _place(directory: Node) -> Hashable:
    return (directory.entry, directory.within, directory.at.key)


def _bodies_of(listing: Listing, parent: int) -> Iterator[tuple[tuple[int, ...], Node, Stream]]:
    """The bodies in a listing and in its folders, in their order, and the inode numbers on the way to them."""
    for name, node in listing.nodes.items():
        if name in listing.folders:
            number = probe(parent, node, 0)
            for below, inner, stream in _bodies_of(listing.folders[name], number):
                yield (number, *below), inner, stream
        elif isinstance(node.entry, File) and isinstance(node.entry.source, Stream):
            yield (probe(parent, node, 0),), node, node.entry.source
