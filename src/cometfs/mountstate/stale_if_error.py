"""What followed files were last, for programs that open them by name while Comet does not answer.

`tail -F` goes back to the name at every stop. What it cannot open there it takes for another file, all of which it
prints once more when it can. Not here: files that are open (follow.py).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from cometfs.errors import CometFSError, Throttled, Unintelligible, Unreachable
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import Inode
from cometfs.mountstate.limits import RequestLimiter
from cometfs.mountstate.revalidate import Revalidator
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node, Opened

log = logging.getLogger(__name__)

T = TypeVar("T")

PART = 0.5
"""Of the deadline: how long an open() of a followed file waits for what it is now. The manual names it."""


class StaleIfError:
    """Asks, and answers with what was true last where a program follows the file and no answer comes."""

    def __init__(self, vfs: Vfs, handles: Handles, revalidator: Revalidator, limiter: RequestLimiter) -> None:
        self._vfs = vfs
        self._handles = handles
        self._revalidator = revalidator
        self._limiter = limiter

    async def open(self, inode: Inode) -> Opened:
        """What a file is now; what it was, where it is followed and no answer comes in half of the deadline."""
        return await self._or_last(
            lambda: self._vfs.files.open(inode.node), lambda: self._followed(inode), self._limiter.deadline * PART
        )

    async def child(self, parent: Inode, name: str) -> tuple[Node, float]:
        """What stands under a name, and for how long; what stood there, where that leads to such a file."""
        return await self._or_last(
            lambda: self._vfs.listings.child(parent.node, name),
            lambda: self._leading(parent, name),
            self._limiter.brief,
        )

    def _followed(self, inode: Inode) -> Opened | None:
        shared = inode.shared
        return shared.opened if shared is not None and shared.goes_on else None

    def _leading(self, parent: Inode, name: str) -> tuple[Node, float] | None:
        """What a name stood for last, if a followed file is it or lies below it."""
        inode = (parent.children or {}).get(name)
        if inode is None or self._revalidator.is_gone(inode):
            return None
        followed = (one for one in self._handles.inodes() if self._followed(one) is not None)
        return (inode.node, 0.0) if any(one.is_within(inode) for one in followed) else None

    async def _or_last(self, ask: Callable[[], Awaitable[T]], last: Callable[[], T | None], seconds: float) -> T:
        """What is answered; where nothing is within `seconds`, what was true last, if there is that."""
        was = last()
        if was is None:
            return await ask()
        if self._limiter.saturated:
            return was
        failed: CometFSError | None = None
        with trio.move_on_after(seconds):
            try:
                return await ask()
            except (Unreachable, Throttled, Unintelligible) as error:
                failed = error
        was = last()
        if was is not None:
            log.info("what is followed is shown as it was: %s", failed or f"no answer in {seconds:g} s")
            return was
        if failed is not None:
            raise failed
        return await ask()
