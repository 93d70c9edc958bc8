"""Whether an inode still stands for what it stood for: looked at again when its parent's listing has run out.

The kernel asks by number about what a process holds (a working directory, a file that is known by a relative path), and
walks no path to it. What Comet has renamed, moved, archived or deleted meanwhile is `Gone`; what has only changed (it
ended, it runs again) goes on under its number with what is known of it now. Most requests are answered by one look at a
clock. Not here: numbers (inodes.py), and what listings are made of (vfs/engine/listings.py).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from typing import NoReturn, cast

import trio

from cometfs.errors import CometFSError, Gone, NoSuchEntry, NotFound
from cometfs.mountstate.inodes import Inode, Inodes, State
from cometfs.mountstate.limits import RequestLimiter
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Listing, declared

log = logging.getLogger(__name__)

AGAIN = 0.1
"""Seconds that a request waits at most for a listing that could not be had before: what is at hand need not wait for a
server that is away."""

PAUSE = 10.0
"""Seconds after which a listing that could not be had is asked for again."""


class Revalidator:
    """Looks at inodes. `_unanswered` has a directory's number iff the kernel knows it and its listing could not be had
    when it was last asked for, and the moment from which on it is worth asking again."""

    def __init__(self, vfs: Vfs, inodes: Inodes, limiter: RequestLimiter) -> None:
        self._vfs = vfs
        self._inodes = inodes
        self._limiter = limiter
        self._unanswered: dict[int, float] = {}

    def is_fresh(self, inode: Inode) -> bool:
        """Whether it is known to stand for its node, which is then the one of now; False where `revalidate` must ask.

        Raises Gone.
        """
        if inode.until > trio.current_time():
            return True
        parent = cast(Inode, inode.parent)
        return self.is_fresh(parent) and self._at_hand(inode, parent, known=True) is True

    async def revalidate(self, inode: Inode) -> bool:
        """The same, asked for where it must be; False where no answer came: what is at hand is all there is then.

        Raises Gone.
        """
        if inode.until > trio.current_time():
            return True
        parent = cast(Inode, inode.parent)
        known = await self.revalidate(parent)
        stands = self._at_hand(inode, parent, known=known)
        if stands is not None:
            return stands
        listing = await self._listing(inode, parent) if known else None
        if listing is not None:
            self._stand(inode, parent, listing)
        elif inode.until is State.GONE:
            self._gone(inode, parent)  # a listing that cannot be had does not bring it back
        return listing is not None

    def follows(self, inode: Inode, *, goes_on: bool) -> bool:
        """The same as `is_fresh` for a file that is open, which stays what it was: False where more is to be learned of
        its experiment, of one that has ended only if what is added can be shown (`goes_on`)."""
        try:
            return all(self.is_fresh(one) for one in _telling(inode, goes_on=goes_on))
        except Gone:
            return True  # for its handles it stays what it was

    async def follow(self, inode: Inode, *, goes_on: bool) -> None:
        """Learns that."""
        try:
            for one in _telling(inode, goes_on=goes_on):
                await self.revalidate(one)
        except Gone:
            return  # as above

    def forget(self, numbers: Iterable[int]) -> None:
        """The kernel has forgotten these inodes."""
        for number in numbers:
            self._unanswered.pop(number, None)

    def is_gone(self, inode: Inode) -> bool:
        """Whether it, or what it lies in, was there no more when it was last looked at."""
        return inode.until is State.GONE or (inode.parent is not None and self.is_gone(inode.parent))

    def _at_hand(self, inode: Inode, parent: Inode, *, known: bool) -> bool | None:
        """Whether it is known to stand, by what is at hand; None where a listing must be asked for that. `known`:
        whether its directory is."""
        if self._is_declared(inode, parent):
            return known
        return True if self._is_listed(inode, parent) else None

    def _is_declared(self, inode: Inode, parent: Inode) -> bool:
        """Whether it stands for no row of a listing: as long as its directory stands, so does it."""
        node = inode.node if self._vfs.writing.owns(inode.node) else declared(parent.node, inode.node)
        if node is None:
            return False
        self._inodes.restand(inode, node, parent.until)
        return True

    def _is_listed(self, inode: Inode, parent: Inode) -> bool:
        """Whether the listing at hand has it; False where none is at hand."""
        try:
            found = self._vfs.listings.children_nowait(parent.node)
        except NoSuchEntry:
            self._gone(inode, parent)
        if found is not None:
            self._stand(inode, parent, found[0])
        return found is not None

    def _stand(self, inode: Inode, parent: Inode, listing: Listing) -> None:
        name = inode.node.name
        node = listing.nodes.get(name) or listing.unlisted.get(name)
        if node is None or node.identity != inode.node.identity:
            self._gone(inode, parent)
        self._inodes.restand(inode, node, min(parent.until, listing.until))

    def _gone(self, inode: Inode, parent: Inode) -> NoReturn:
        if inode.until is not State.GONE:
            self._inodes.doubt(inode)
            inode.until = State.GONE
        raise Gone(f"{inode.node.name!r} in {parent.node.name or '/'!r} is not what it was: renamed, moved or deleted")

    async def _listing(self, inode: Inode, parent: Inode) -> Listing | None:
        """The listing that tells; None where it cannot be had in time."""
        before = self._unanswered.get(parent.number)
        if self._limiter.saturated or (before is not None and before > trio.current_time()):
            return None
        wait = self._limiter.brief if before is None else AGAIN
        # Also where this request has less time left: the next one need not lose its own.
        until = min(trio.current_time() + wait, trio.current_effective_deadline())
        try:
            with trio.move_on_after(wait):
                listing, _ = await self._vfs.listings.children(parent.node)
                # And no other: a listing that is broken stays so while its neighbours answer.
                self._unanswered.pop(parent.number, None)
                until = math.inf
                return listing
        except (NotFound, NoSuchEntry):
            until = math.inf
            self._gone(inode, parent)
        except CometFSError as error:
            log.debug("not looked at again: %s", error)  # a request that needs more than is at hand gets the error
            until = trio.current_time()
        finally:
            # A request that was interrupted earlier tells nothing of the server.
            if trio.current_time() >= until and parent.number in self._inodes:
                self._unanswered[parent.number] = trio.current_time() + PAUSE
        return None


def _telling(inode: Inode, *, goes_on: bool) -> Iterator[Inode]:
    """The inodes that tell whether the run of an open file goes on, each to be looked at before the next one."""
    at, parent = inode.node.at, inode.parent
    if at.experiment is None or parent is None:
        return
    if at.version and not goes_on and inode.until is not State.DOUBTED:
        return  # nothing is asked about what has ended; but a new listing may have it changed
    yield parent
    if parent.node.at.version != inode.node.at.version:  # as it is by now
        yield inode
