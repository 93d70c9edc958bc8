"""Open files that may change: when it is asked again what they are now, and who is told that they have grown.

Nothing is asked on a timer but for a program that waits in poll(2): who follows a file looks at its attributes or reads
at its end, and that look is what asks, at most once in the lease of the answer. A look never fails and never waits
long: what the file was is still there to be shown.

Not here: the snapshots (handles.py), and for how long an answer holds (lease.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from cometfs.caller import CALLER, Caller
from cometfs.errors import CometFSError, NotFound
from cometfs.lease import MISSING
from cometfs.mountstate.handles import Handles, Shared
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.mountstate.kernel import Waker
from cometfs.mountstate.revalidate import Revalidator
from cometfs.vfs.engine.files import may_change
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Opened

log = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds that a look waits at most; the answer is there for the next one. `tail -f` looks once a second."""

REST = 2.0
"""Seconds without a look after one that failed."""

BREATH = 0.2
"""Seconds between two looks at least, for a program that waits in poll(2)."""


class Follower:
    """Keeps the snapshots of open files up to date.

    A handle is in `_polled` iff a program asked to be woken and was not yet; an inode is in `_followed` iff a task
    looks after it, for one of those.
    """

    def __init__(
        self,
        vfs: Vfs,
        inodes: Inodes,
        handles: Handles,
        revalidator: Revalidator,
        invalidate_attrs: Callable[[int], None],
    ) -> None:
        """`revalidator`: knows whether a run has ended meanwhile. `invalidate_attrs`: has an inode's attributes asked
        for again."""
        self._vfs = vfs
        self._revalidator = revalidator
        self._invalidate_attrs = invalidate_attrs
        self._inodes = inodes
        self._handles = handles
        self._polled: dict[int, Waker] = {}
        self._followed: set[Inode] = set()
        self._followers: trio.Nursery | None = None

    async def run(self) -> None:
        """Where those live who look after files that are polled; until it is cancelled."""
        async with trio.open_nursery() as self._followers:
            await trio.sleep_forever()

    def is_due(self, inode: Inode) -> bool:
        """Whether it must be asked what an open file is now; what is at hand it takes at once."""
        shared = self._handles.shared(inode)
        if shared is None or shared.parted:
            return False
        known = self._revalidator.follows(inode, goes_on=shared.goes_on)
        if known and not (shared.opened.grows or may_change(inode.node)):
            return False
        fresh = self._vfs.files.open_nowait(inode.node) if known else None
        if fresh is None:
            return trio.current_time() >= shared.rests_until
        self.take(shared, fresh)
        return False

    async def look(self, inode: Inode) -> None:
        """Asks what an open file is now, for all who have it open."""
        with trio.move_on_after(GRACE) as patience:
            try:
                # A listing that takes long must not keep from us what is added to a file.
                with trio.move_on_after(GRACE / 2):
                    await self._learn(inode)
                shared = self._handles.shared(inode)
                if shared is None or not (shared.opened.grows or may_change(inode.node)):
                    # What cannot have changed is not fetched again, and nobody waits again at once to learn that.
                    self._rest(inode, GRACE)
                    return
                fresh = await self._vfs.files.open(inode.node)
            except CometFSError as error:
                log.info("%s is shown as it was: %s", inode.node.name, error)
                gone = isinstance(error, NotFound) and self._revalidator.is_gone(inode)
                self._rest(inode, MISSING if gone else REST)
                return
            # It may have been closed meanwhile.
            if (shared := self._handles.shared(inode)) is not None:
                self.take(shared, fresh)
            fresh.close()
        if patience.cancelled_caught:
            self._rest(inode, GRACE)

    async def _learn(self, inode: Inode) -> None:
        """Whether its run goes on."""
        shared = self._handles.shared(inode)
        if shared is not None:
            await self._revalidator.follow(inode, goes_on=shared.goes_on)

    def hurry(self, inode: Inode) -> None:
        """The next look asks, whatever the last one brought."""
        self._rest(inode, 0.0)

    def _rest(self, inode: Inode, seconds: float) -> None:
        shared = self._handles.shared(inode)
        if shared is not None:
            shared.rests_until = trio.current_time() + seconds

    def take(self, shared: Shared, fresh: Opened) -> bool:
        """Lets an open snapshot go on as `fresh`, the same file opened now.

        False where it cannot: whoever opens the file next gets another inode, who has it open keeps what he has.
        """
        size, grew = shared.opened.size, shared.opened.grows
        taken = not shared.parted and shared.opened.take(fresh, unpaged=not shared.paged)
        if not taken:
            shared.parted = True
            self._inodes.part(shared.inode.parent or self._inodes.root, shared.inode.node.name, shared.inode)
        elif shared.opened.size != size:
            # Before anybody can read the new bytes: a size that the kernel has kept is smaller than what they are.
            self._invalidate_attrs(shared.inode.number)
        if not taken or shared.opened.size != size or shared.opened.grows != grew:
            self._wake(shared)
        return taken

    def wait(self, handle: int, waker: Waker, pid: int) -> None:
        """The process `pid` wants to be woken when the file has grown or will not grow any more."""
        inode = self._handles.behind(handle).inode
        self._polled[handle] = waker
        if inode not in self._followed and self._followers is not None:
            self._followed.add(inode)
            self._followers.start_soon(self._attend, inode, Caller(pid))

    def forget(self, handle: int) -> None:
        """A handle was closed."""
        self._polled.pop(handle, None)

    def _wake(self, shared: Shared) -> None:
        """Who waits for one of these handles looks at it again, and asks to be woken again if there is nothing."""
        for handle in shared.handles & self._polled.keys():
            self._polled.pop(handle).notify()

    async def _attend(self, inode: Inode, caller: Caller) -> None:
        """Follows a file for `caller`. A bug in that must not end the mount."""
        CALLER.set(caller)
        try:
            await self._follow(inode)
        except Exception:
            log.exception("bug in following a file")
        finally:
            self._followed.discard(inode)

    async def _follow(self, inode: Inode) -> None:
        while True:
            await trio.sleep(max(BREATH, self._vfs.glance(inode.node).lease))
            shared = self._handles.shared(inode)
            if shared is None or not shared.handles & self._polled.keys():
                return  # closed, or whoever was woken last has not come back: he does not wait any more
            if self.is_due(inode):
                await self.look(inode)
            self._wake(shared)
