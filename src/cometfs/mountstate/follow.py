"""Open files that may change: when Comet is asked again what they are now, and which waiting programs are woken.

Nothing is asked on a timer but for a program that waits in poll(2): a program that follows a file looks at its
attributes or reads at its end, and that look is what asks, at most once in the lease of the answer. A look never fails
and never waits long: what the file was is still there to be shown.

Not here: the snapshots (handles.py), and for how long an answer holds (lease.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from cometfs.caller import CALLER, Caller
from cometfs.errors import CometFSError, NotFound
from cometfs.lease import MISSING
from cometfs.mountstate.inodes import Inodes
from cometfs.mountstate.kernel import Waker
from cometfs.mountstate.kernel_view import Shared
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
    """Keeps the snapshots of open files up to date. One way down: a snapshot is asked for by the request that found it
    open, the revalidator learns whether its run goes on, the tree opens it anew. One way back: `take`.

    A handle is in `_polled` iff a program asked to be woken and was not yet; a snapshot is in `_followed` iff a task
    looks after it, for one of those.
    """

    def __init__(
        self,
        vfs: Vfs,
        inodes: Inodes,
        revalidator: Revalidator,
        invalidate_attrs: Callable[[int], None],
    ) -> None:
        """`revalidator`: knows whether a run has ended meanwhile. `invalidate_attrs`: has an inode's attributes asked
        for again."""
        self._vfs = vfs
        self._revalidator = revalidator
        self._invalidate_attrs = invalidate_attrs
        self._inodes = inodes
        self._polled: dict[int, Waker] = {}
        self._followed: set[Shared] = set()
        self._followers: trio.Nursery | None = None

    async def run(self) -> None:
        """Where the tasks live that look after polled files; until it is cancelled."""
        async with trio.open_nursery() as self._followers:
            await trio.sleep_forever()

    def is_due(self, shared: Shared) -> bool:
        """Whether it must be asked what an open file is now; what is at hand it takes at once."""
        if shared.parted or not shared.is_open:
            return False
        known = self._revalidator.follows(shared.inode, goes_on=shared.goes_on)
        if known and not _may_become_more(shared):
            return False
        fresh = self._vfs.files.open_nowait(shared.inode.node) if known else None
        if fresh is None:
            return trio.current_time() >= shared.rests_until
        self.take(shared, fresh)
        return False

    async def look(self, shared: Shared) -> None:
        """Asks what an open file is now, for all its handles."""
        with trio.move_on_after(GRACE) as patience:
            try:
                # A listing that takes long must not keep from us what is added to a file.
                with trio.move_on_after(GRACE / 2):
                    await self._revalidator.follow(shared.inode, goes_on=shared.goes_on)
                if not shared.is_open or not _may_become_more(shared):
                    # What cannot have changed is not fetched again, and no request waits again at once to learn that.
                    _rest(shared, GRACE)
                    return
                fresh = await self._vfs.files.open(shared.inode.node)
            except CometFSError as error:
                log.info("%s is shown as it was: %s", shared.inode.node.name, error)
                gone = isinstance(error, NotFound) and self._revalidator.is_gone(shared.inode)
                _rest(shared, MISSING if gone else REST)
                return
            if shared.is_open:  # it may have been closed meanwhile
                self.take(shared, fresh)
            fresh.close()
        if patience.cancelled_caught:
            _rest(shared, GRACE)

    def hurry(self, shared: Shared) -> None:
        """The next look asks, whatever the last one brought."""
        _rest(shared, 0.0)

    def take(self, shared: Shared, fresh: Opened) -> bool:
        """Lets an open snapshot go on as `fresh`, the same file opened now.

        False where it cannot: the next open gets another inode, open handles keep their bytes.
        """
        size, grew = shared.opened.size, shared.opened.grows
        taken = not shared.parted and shared.opened.take(fresh, unpaged=not shared.paged)
        if not taken:
            shared.parted = True
            self._inodes.part(shared.inode.parent or self._inodes.root, shared.inode.node.name, shared.inode)
        elif shared.opened.size != size:
            if shared.opened.size > fresh.size:
                self._vfs.files.note_cut(shared.inode.node)
            # Before any handle can read the new bytes: a size that the kernel has kept is smaller than what they are.
            self._invalidate_attrs(shared.inode.number)
        if not taken or shared.opened.size != size or shared.opened.grows != grew:
            self._wake(shared)
        return taken

    def wait(self, shared: Shared, handle: int, waker: Waker, pid: int) -> None:
        """The process `pid`, which has the file open by `handle`, wants to be woken when the file has grown or will not
        grow any more."""
        self._polled[handle] = waker
        if shared not in self._followed and self._followers is not None:
            self._followed.add(shared)
            self._followers.start_soon(self._attend, shared, Caller(pid))

    def forget(self, handle: int) -> None:
        """A handle was closed."""
        self._polled.pop(handle, None)

    def _wake(self, shared: Shared) -> None:
        """Programs that wait for one of these handles look again, and poll again if there is nothing."""
        for handle in shared.handles & self._polled.keys():
            self._polled.pop(handle).notify()

    async def _attend(self, shared: Shared, caller: Caller) -> None:
        """Follows a file for `caller`. A bug in that must not end the mount."""
        CALLER.set(caller)
        try:
            await self._follow(shared)
        except Exception:
            log.exception("bug in following a file")
        finally:
            self._followed.discard(shared)

    async def _follow(self, shared: Shared) -> None:
        while True:
            await trio.sleep(max(BREATH, self._vfs.glance(shared.inode.node).lease))
            if not shared.is_open or not shared.handles & self._polled.keys():
                return  # closed, or the program woken last has not polled again: it does not wait any more
            if self.is_due(shared):
                await self.look(shared)
            self._wake(shared)


def _may_become_more(shared: Shared) -> bool:
    """Whether it is worth asking: of what cannot have changed only whether its run goes on is to be learned."""
    return shared.opened.grows or may_change(shared.inode.node)


def _rest(shared: Shared, seconds: float) -> None:
    shared.rests_until = trio.current_time() + seconds
