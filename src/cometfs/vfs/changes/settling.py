"""Making changes at Comet: when this returns they are there, all of them; what it raises says why none is.

An error of the connection does not tell whether a change has arrived, so Comet is asked what it has before anything is
reported. Not here: what the changes are (sources/edits.py).
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

PATIENCE = 8.0
"""Seconds that Comet may take for one call: a program waits for several, and for a look at what became of one."""

LOOKS = (0.0, 0.3, 1.0, 2.0)
"""Seconds before each look at whether a change is there: a server may be a moment behind its own answers."""

BACK = 10.0
"""Seconds that taking changes back may take, even where the program that asked for them is being killed."""


async def make(api: API, changes: Sequence[Change]) -> None:
    """Makes all `changes`, in their order. Where one fails, those before it are taken back, and its error is raised."""
    made: list[Change] = []
    for change in changes:
        try:
            await settle(api, change)
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + BACK):
                await _take_back(api, made)
            raise
        made.append(change)


async def settle(api: API, change: Change) -> None:
    """Makes one change, and returns when Comet shows it."""
    failed: CometFSError | None = None
    try:
        with patience(PATIENCE):
            await change.send(api)
    except Throttled:
        raise
    except NO_ANSWER as error:
        failed = error
    if await _came(api, change, failed):
        return
    raise failed or Conflict(f"Comet took {change.what}, and does not show it: others change it, too, or it cannot be")


async def _came(api: API, change: Change, failed: CometFSError | None) -> bool:
    """Whether Comet has the change. Raises `failed`, what sending it met, where that cannot be asked."""
    unknown: CometFSError | None = None
    for pause in LOOKS:
        await trio.sleep(pause)
        try:
            with patience(PATIENCE):
                if await change.came(api):
                    return True
                unknown = None
        except NO_ANSWER as error:
            unknown = error
            if failed is not None:
                break
    if unknown is not None and failed is not None:
        raise type(failed)(f"{failed}; whether Comet has {change.what} cannot be asked now") from unknown
    return unknown is not None  # Comet took it, and shows nothing now


async def _take_back(api: API, made: Sequence[Change]) -> None:
    for change in reversed(made):
        back = change.back()
        try:
            if back is None:
                raise Conflict("Comet has no way to")
            await settle(api, back)
        except CometFSError as error:
            log.warning("%s stays, although what belongs to it failed: it cannot be taken back: %s", change.what, error)
