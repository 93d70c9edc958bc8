"""Making changes at Comet: when this returns they are there, all of them; what it raises says why none is.

An error of the connection does not tell whether a change has arrived, so Comet is asked what it has before anything is
reported. Not here: what the changes are (edits.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from cometfs.caller import patience
from cometfs.comet.api import API
from cometfs.errors import NO_ANSWER, CometFSError, Conflict, Throttled
from cometfs.vfs.schema.changes import Change

log = logging.getLogger(__name__)

PART = 4
"""A call may take this part of what a program waits at most: it waits for several, and for a look at what became of
one."""

LOOKS = (0.0, 0.3, 1.2)
"""Seconds before each look at whether a change is there: a server may be a moment behind its own answers."""

BACK = 10.0
"""Seconds that taking changes back may take, even where the program that asked for them is being killed."""


class Settling:
    """Makes changes with one API. `deadline`: seconds that a program waits at most."""

    def __init__(self, api: API, deadline: float) -> None:
        self._api = api
        self._patience = deadline / PART

    async def make(self, changes: Sequence[Change]) -> None:
        """Makes all `changes`, in their order. Where one fails, those before it are taken back, and its error is
        raised."""
        made: list[Change] = []
        for change in changes:
            try:
                await self._settle(change)
            except BaseException:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + BACK):
                    await self._take_back(made)
                raise
            made.append(change)

    async def _settle(self, change: Change) -> None:
        """Makes one change, and returns when Comet shows it."""
        failed: CometFSError | None = None
        try:
            with patience(self._patience):
                await change.send(self._api)
        except Throttled:
            raise
        except NO_ANSWER as error:
            failed = error
        if await self._came(change, failed):
            return
        raise failed or Conflict(f"Comet took {change.what}, and does not show it: others change it, or it cannot be")

    async def _came(self, change: Change, failed: CometFSError | None) -> bool:
        """Whether Comet has the change. Raises `failed`, what sending it met, where that cannot be asked."""
        unknown: CometFSError | None = None
        for pause in LOOKS:
            await trio.sleep(pause)
            try:
                with patience(self._patience):
                    if await change.came(self._api):
                        return True
                unknown = None
            except NO_ANSWER as error:
                unknown = error
                if failed is not None:
                    raise type(failed)(f"{failed}; whether Comet has {change.what} cannot be asked now") from error
        return unknown is not None  # Comet took it, and cannot be asked now

    async def _take_back(self, made: Sequence[Change]) -> None:
        for change in reversed(made):
            back = change.back()
            try:
                if back is None:
                    raise Conflict("Comet has no way to")
                await self._settle(back)
            except CometFSError as error:
                log.warning(
                    "%s stays, although what belongs to it failed: it cannot be taken back: %s", change.what, error
                )
