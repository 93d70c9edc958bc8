"""Numbers for nodes: what the kernel calls an inode.

Not here: which number a node has (vfs/inode_numbers.py), what a node is (vfs/) and what is open (handles.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from enum import Enum
from typing import cast

import trio

from cometfs.cache.memory import Recent
from cometfs.errors import Stale
from cometfs.mountstate.kernel_view import KernelView, Shared
from cometfs.vfs.inode_numbers import probe
from cometfs.vfs.nodes import Node

BYTES = 350
"""What an inode costs in memory at most, its node and its place in the tables included, until the kernel forgets it
(measured: 327 of an entry of an experiment). Listings and answers are the cache's, within its budget. A test holds it.
"""


AT_A_TIME = 1000
"""Inodes that are gone through before others get their turn: a millisecond or two where the kernel is notified of
each."""


MOVED = 1000
"""Moves by programs that are remembered, so that what was moved keeps its number."""

ROOT = 1
"""The number that the kernel gives to the root (FUSE_ROOT_ID)."""


class State(float, Enum):
    """What an inode has in place of a moment until which it stands for its node. Both are before all moments of trio's
    clock, so that one comparison with it tells whether there is such a moment and it is to come."""

    GONE = -2.0
    """It stood for nothing when it was last looked at, and the kernel was notified."""
    DOUBTED = -1.0
    """What it stands for, or lies in, is known to have changed; or nothing is known of that yet."""


class Inode:
    """One inode. It is in the table iff the kernel holds a reference (`lookups` > 0), or it is the root."""

    __slots__ = ("_seen", "children", "lookups", "node", "number", "parent", "until")

    def __init__(self, number: int, node: Node, parent: Inode | None) -> None:
        self.number = number
        self.node = node
        self.parent = parent
        self.lookups = 0
        self.children: dict[str, Inode] | None = None
        self.until: float | State = State.DOUBTED
        """The moment, on trio's clock, until which it is known to stand for `node`: see revalidate.py."""

        self._seen: int | KernelView = 0
        """How the kernel sees it; where that is nothing but a reported size, the number itself, which costs no more."""

    @property
    def view(self) -> KernelView | None:
        """What the kernel may hold of it; None for what was only listed."""
        return None if isinstance(self._seen, int) else self._seen

    def viewed(self) -> KernelView:
        """The same, made if need be."""
        if isinstance(self._seen, int):
            self._seen = KernelView(self._seen)
        return self._seen

    @property
    def shared(self) -> Shared | None:
        """What the open handles on it share, if there are any: not what broke, with which none can begin."""
        seen = self._seen
        shared = None if isinstance(seen, int) else seen.shared
        return None if shared is None or shared.opened.broken else shared

    @property
    def reported_size(self) -> int:
        """The size last reported to the kernel: it is reported again while no better one is known."""
        return self._seen if isinstance(self._seen, int) else self._seen.reported

    def report_size(self, size: int) -> None:
        """This size is reported to the kernel."""
        if isinstance(self._seen, int) and size >= self._seen:
            self._seen = size
        else:
            self.viewed().tell(size)

    def bound(self, until: float) -> float | State:
        """The moment until which what lies in it stands, if that would stand until then in a directory that lasts."""
        return max(State.DOUBTED, min(until, self.until))

    def doubt(self) -> None:
        """It is to be looked at again; what is gone stays so until it is found again."""
        self.until = min(self.until, State.DOUBTED)

    @property
    def path(self) -> str:
        """From the root; "" for the root itself."""
        above = "" if self.parent is None else self.parent.path
        return f"{above}/{self.node.name}" if above else self.node.name

    def is_within(self, other: Inode) -> bool:
        """Whether it is `other` or lies below it."""
        return self is other or (self.parent is not None and self.parent.is_within(other))

    def above(self) -> Iterator[Inode]:
        """The directories that it lies in, nearest first."""
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent


class Inodes:
    """The inodes that the kernel knows, by number; each directory's by name.

    A name keeps its inode as long as it stands for the same thing. A number is that of one inode at a time: while the
    kernel knows a former version of a file, the name has the next number that its hash leads to (`probe`). What the
    kernel forgot gets its own number again, so nothing else needs to tell two uses of a number apart (a generation).
    An inode is in `_doubted` iff what it lies in is in doubt, and it has not been gone through.
    """

    def __init__(self, root: Node, outdated: Callable[[Inode], None] = lambda _inode: None) -> None:
        """`outdated` is called with each inode of which the kernel may know what does not hold any more."""
        self._outdated = outdated
        self.root = Inode(ROOT, root, None)
        self.root.until = math.inf
        self._by_number: dict[int, Inode] = {self.root.number: self.root}
        self._most = 1
        """As many as `_by_number` has had room for since it was made."""
        self._moved: Recent[tuple[int, str, Hashable], int] = Recent(MOVED)
        """The numbers of what was moved by a program, by where it is now: the kernel may forget it and look it up."""
        self._doubted: list[Inode] = []
        self._more_doubted = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._by_number)

    def __contains__(self, number: int) -> bool:
        return number in self._by_number

    def at(self, number: int) -> Inode:
        """The inode of that number. Raises Stale for one that is not known."""
        try:
            return self._by_number[number]
        except KeyError:
            raise Stale(f"inode {number} is not known any more") from None

    def child(self, parent: Inode, node: Node, until: float | State = State.DOUBTED) -> Inode:
        """The inode of `node` in the directory `parent`, made if need be; to be remembered when the kernel gets it.

        `until`: the moment, on trio's clock, until which a listing of `parent` tells so.
        """
        known = parent.children.get(node.name) if parent.children else None
        if known is not None:
            if known.node is node:
                known.until = until
                return known
            if known.node.identity == node.identity:
                self.restand(known, node, until)
                return known
            known.until = State.DOUBTED
        inode = Inode(self._free(parent, node), node, parent)
        inode.until = until
        return inode

    def remember(self, inode: Inode) -> None:
        """The kernel got one more reference to `inode`."""
        inode.lookups += 1
        if inode.lookups > 1:
            return
        self._by_number[inode.number] = inode
        parent = cast(Inode, inode.parent)
        if parent.children is None:
            parent.children = {}
        parent.children[inode.node.name] = inode

    def forget(self, counts: Iterable[tuple[int, int]]) -> None:
        """The kernel forgot `count` references to each inode `number`; never raises."""
        self._most = max(self._most, len(self._by_number))
        for number, count in counts:
            inode = self._by_number.get(number)
            if inode is None or inode is self.root:
                continue
            inode.lookups -= count
            if inode.lookups <= 0:
                self._drop(inode)
            elif inode.view is not None and inode.view.shared is None:
                inode.view.pages = None  # it was looked up anew while its forget was on its way: its pages are gone
        if len(self._by_number) < self._most // 4:
            # A dict never gives back the room that its entries had.
            self._by_number = dict(self._by_number)
            self._most = len(self._by_number)

    def restand(self, inode: Inode, node: Node, until: float | State) -> None:
        """`inode` stands for `node`, which is what it stood for as it is known now, until then."""
        before, inode.node, inode.until = inode.node, node, until
        if before.at.version != node.at.version:
            self.doubt(inode)

    def doubt(self, inode: Inode) -> None:
        """Whatever was reported to the kernel of `inode` and what lies below it may not hold any more.

        Where that is a lot, `run` goes through the rest: a mount may know hundreds of thousands.
        """
        self._outdated(inode)
        self._doubted.extend((inode.children or {}).values())
        self._doubt_some()
        if self._doubted:
            self._more_doubted.unpark_all()

    async def run(self) -> None:
        """Goes on where `doubt` has left off; until cancelled."""
        while True:
            if self._doubted:
                await trio.lowlevel.checkpoint()
            else:
                await self._more_doubted.park()
            self._doubt_some()

    def _doubt_some(self) -> None:
        for _ in range(AT_A_TIME):
            if not self._doubted:
                break
            inode = self._doubted.pop()
            inode.doubt()
            self._outdated(inode)
            self._doubted.extend((inode.children or {}).values())

    def part(self, parent: Inode, name: str, inode: Inode | None = None) -> None:
        """`name` does not stand any more for what it did (only if that was `inode`, where one is given), which lives on
        for its open handles."""
        if parent.children is not None and (inode is None or parent.children.get(name) is inode):
            parent.children.pop(name, None)

    def move(self, parent: Inode, name: str, new_parent: Inode, node: Node) -> None:
        """What `name` stood for is called as `node` is now, and is `node`; what was called so before is parted."""
        self.part(new_parent, node.name)
        inode = (parent.children or {}).get(name)
        self.part(parent, name)
        if inode is not None:
            inode.node, inode.parent = node, new_parent
            self._moved[new_parent.number, node.name, node.identity] = inode.number
            new_parent.children = {**(new_parent.children or {}), node.name: inode}

    def _free(self, parent: Inode, node: Node) -> int:
        """The first number of a node that no other inode has: the one that it was moved with, or of its hashes."""
        moved = self._moved.get((parent.number, node.name, node.identity), ROOT) if self._moved else ROOT
        numbers = itertools.chain([moved], (probe(parent.number, node, attempt) for attempt in itertools.count()))
        return next(number for number in numbers if number > ROOT and number not in self._by_number)

    def _drop(self, inode: Inode) -> None:
        del self._by_number[inode.number]
        siblings = inode.parent.children if inode.parent else None
        # The name may belong to another inode by now.
        if siblings is not None and siblings.get(inode.node.name) is inode:
            del siblings[inode.node.name]
            if not siblings and inode.parent is not None:
                inode.parent.children = None
