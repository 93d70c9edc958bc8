"""Lookups that are ended for the sake of others: the kernel asks anew, and the deadline stays."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from cometfs.errors import CometFSError
from cometfs.mountstate.limits import RequestLimiter

WAITING, OTHER = 2_000_000_001, 2_000_000_002
"""No processes: pids are smaller."""

KILLED = "cometfs.mountstate.limits.queued_and_dying"


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch) -> RequestLimiter:
    """While one process that queues is being killed."""
    monkeypatch.setattr(KILLED, lambda: {1})
    return RequestLimiter(30.0, 300)


async def at_rest() -> None:
    """Returns when all tasks wait for the clock, which stands still."""
    await wait_all_tasks_blocked()
    while trio.to_thread.current_default_thread_limiter().borrowed_tokens:
        await wait_all_tasks_blocked(0.001)
    await wait_all_tasks_blocked()


async def ends(limiter: RequestLimiter, clock: MockClock, *, pid: int = WAITING, again: bool = True) -> str:
    """How a lookup ends that nothing is answered to, and after how many seconds."""
    began, found = trio.current_time(), list[str]()

    async def lookup() -> None:
        try:
            with limiter.limit(pid, again=again):
                await trio.sleep_forever()
        except CometFSError as error:
            found.append(type(error).__name__)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(limiter.watch)
        nursery.start_soon(lookup)
        await at_rest()
        while not found:
            clock.jump(0.5)
            await at_rest()
        nursery.cancel_scope.cancel()
    return f"{found[0]} after {trio.current_time() - began:.0f} s"


async def test_a_lookup_is_asked_anew_once_and_keeps_its_deadline(
    limiter: RequestLimiter, mock_clock: MockClock
) -> None:
    """The program that waits notices nothing, and waits no longer than it would."""
    assert await ends(limiter, mock_clock) == "Superseded after 1 s"
    assert await ends(limiter, mock_clock) == "DeadlineExceeded after 29 s"


async def test_what_holds_no_lock_is_left_alone(limiter: RequestLimiter, mock_clock: MockClock) -> None:
    """Reads and attributes: an ESTALE would be believed."""
    assert await ends(limiter, mock_clock, again=False) == "DeadlineExceeded after 30 s"


async def test_a_process_that_dies_for_long_ends_a_lookup_once(limiter: RequestLimiter, mock_clock: MockClock) -> None:
    """It may wait for another file system: the next lookups go on."""
    assert await ends(limiter, mock_clock) == "Superseded after 1 s"
    assert await ends(limiter, mock_clock, pid=OTHER) == "DeadlineExceeded after 30 s"
