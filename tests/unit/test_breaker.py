"""The breaker of a host, by a clock that jumps: when it opens, what it lets out, when it closes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from cometfs.comet.http.breaker import BRIEF, FAILURES, FIRST, GRACE, LAST, PROBE, Breaker
from cometfs.comet.http.retries import Transient
from cometfs.errors import DeadlineExceeded, Unreachable

REFUSED = Transient("No connection (connection refused) to host")
SILENT = DeadlineExceeded("No answer within 30 s to projects")


class Host:
    """What a breaker is of: dead or alive; counts the probes."""

    def __init__(self) -> None:
        self.alive, self.silent = False, False
        self.probes = 0
        self.breaker = Breaker("host", self.probe, lambda: 1.0)

    async def probe(self) -> None:
        self.probes += 1
        await trio.lowlevel.checkpoint()
        if self.silent:
            await trio.sleep_forever()
        if not self.alive:
            raise REFUSED

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.breaker.begin(), 0.1, REFUSED)

    @property
    def is_open(self) -> bool:
        return self.breaker.outage is not None

    async def takes(self) -> float | None:
        """Seconds until a call is let out; None where it is refused."""
        began = trio.current_time()
        try:
            await self.breaker.admit()
        except Unreachable:
            return None
        return trio.current_time() - began

    async def refuses_at_once(self) -> bool:
        began = trio.current_time()
        return await self.takes() is None and trio.current_time() == began

    async def open_for_long(self) -> None:
        """Refused, and probed so often that the longest pause is reached."""
        self.fail(FAILURES)
        while self.breaker.outage is None or self.breaker.outage.next_probe_in_s < LAST * 0.9:
            await self.takes()
            await trio.sleep(0.5)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def mounted(host: Host) -> AsyncIterator[Host]:
    """Probed in a nursery, as a mount has one."""
    async with trio.open_nursery() as nursery:
        host.breaker.nursery = nursery
        yield host
        nursery.cancel_scope.cancel()


async def test_a_few_failures_in_a_row_open_it(host: Host, autojump_clock: MockClock) -> None:
    """An answer between them begins the count anew."""
    host.fail(FAILURES - 1)
    host.breaker.heard()
    host.fail(FAILURES - 1)
    assert not host.is_open
    host.fail()
    assert host.breaker.outage is not None
    assert host.breaker.outage.error == str(REFUSED)


async def test_calls_that_fail_together_are_one_failure(host: Host, autojump_clock: MockClock) -> None:
    """A batch and its prefetches that are cut off at one moment."""
    calls = [host.breaker.begin() for _ in range(50)]
    for call in calls:
        host.breaker.failed(call, 0.1, REFUSED)
    assert not host.is_open
    host.fail(FAILURES - 1)
    assert host.breaker.outage is not None


async def test_thirty_readers_of_an_outage_cost_one_probe(mounted: Host, autojump_clock: MockClock) -> None:
    """And none of them waits, but for the first moment of it."""
    await mounted.open_for_long()
    before, began = mounted.probes, trio.current_time()
    found: list[float | None] = []

    async def reader() -> None:
        found.append(await mounted.takes())

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(reader)
    assert (found, trio.current_time()) == ([None] * 30, began)
    await trio.sleep(LAST)
    assert mounted.probes == before + 1


async def test_a_silent_host_is_not_waited_for_either(mounted: Host, autojump_clock: MockClock) -> None:
    """While its probe is under way calls fail at once, too."""
    mounted.silent = True
    await mounted.open_for_long()
    for _ in range(30):
        assert await mounted.refuses_at_once()
        await trio.sleep(0.7)


async def test_a_host_that_is_back_is_used_within_the_longest_pause(mounted: Host, autojump_clock: MockClock) -> None:
    """Without a call being lost to the probe."""
    await mounted.open_for_long()
    await mounted.takes()
    mounted.alive = True
    await trio.sleep(LAST + BRIEF)
    assert await mounted.takes() == 0.0
    assert not mounted.is_open


async def test_any_answer_closes_it_at_once(mounted: Host, autojump_clock: MockClock) -> None:
    """Of a call that was on its way."""
    await mounted.open_for_long()
    mounted.breaker.heard()
    assert await mounted.takes() == 0.0


async def test_an_idle_mount_probes_nothing(mounted: Host, autojump_clock: MockClock) -> None:
    """The first call after a quiet time waits for its probe, and goes out where the host is back."""
    await mounted.open_for_long()
    await trio.sleep(3 * LAST)
    before = mounted.probes
    await trio.sleep(86_400.0)
    assert mounted.probes == before
    mounted.alive = True
    assert await mounted.takes() == 0.0
    assert mounted.probes == before + 1


async def test_the_first_call_after_a_quiet_time_waits_for_a_moment(mounted: Host, autojump_clock: MockClock) -> None:
    """Where the host is silent still; those that come meanwhile wait no longer."""
    await mounted.open_for_long()
    await trio.sleep(3 * LAST)
    mounted.silent = True
    began = trio.current_time()
    assert await mounted.takes() is None
    assert trio.current_time() == began + GRACE
    assert await mounted.refuses_at_once()


async def test_a_server_that_is_started_anew_is_waited_for(mounted: Host, autojump_clock: MockClock) -> None:
    """The first probes come soon: calls wait for them instead of failing."""
    mounted.fail(FAILURES)
    mounted.alive = True
    taken = await mounted.takes()
    assert taken is not None
    assert taken <= BRIEF


async def test_a_slow_answer_of_a_host_that_is_well_opens_nothing(mounted: Host, autojump_clock: MockClock) -> None:
    """One call that had no answer raises a doubt; the probe is answered."""
    mounted.alive = True
    mounted.breaker.silent(30.0, SILENT)
    assert await mounted.takes() == 0.0
    assert mounted.probes == 1
    assert not mounted.is_open


async def test_a_silence_is_none_where_something_else_was_answered_meanwhile(
    mounted: Host, autojump_clock: MockClock
) -> None:
    """Not even a probe is sent."""
    await trio.sleep(100.0)
    mounted.breaker.heard()
    await trio.sleep(10.0)
    mounted.breaker.silent(30.0, SILENT)
    assert await mounted.takes() == 0.0
    assert mounted.probes == 0


async def test_a_silent_host_is_found_out_by_one_probe(mounted: Host, autojump_clock: MockClock) -> None:
    """Calls wait for its end, and then fail at once."""
    mounted.silent = True
    mounted.breaker.silent(30.0, SILENT)
    began = trio.current_time()
    assert await mounted.takes() is None
    assert trio.current_time() == began + PROBE
    assert await mounted.refuses_at_once()
    assert mounted.is_open
    assert mounted.probes == 1


async def test_a_connection_that_is_waited_for_in_vain_raises_a_doubt(mounted: Host, autojump_clock: MockClock) -> None:
    """Packets are dropped: to try so often as where it is refused would take a minute."""
    mounted.silent = True
    mounted.breaker.failed(mounted.breaker.begin(), 10.0, Transient("No connection within 10 s to host"))
    assert await mounted.takes() is None
    await trio.sleep(PROBE)
    assert mounted.is_open


async def ended_after(host: Host, patience: float = 0.0, bytes_every: float = math.inf) -> float:
    """Seconds until a wait for bytes is given up; 100 where it is not."""
    began = trio.current_time()
    with suppress(Unreachable):
        while trio.current_time() < began + 100.0:
            with host.breaker.waiting(patience):
                await trio.sleep(min(bytes_every, 100.0))
    return trio.current_time() - began


async def test_a_call_that_waits_ends_when_calls_fail_at_once(mounted: Host, autojump_clock: MockClock) -> None:
    """One whose bytes have come until now gets a while for the next ones, and goes on where they come."""
    took: dict[str, float] = {}

    async def wait(name: str, *how: float) -> None:
        took[name] = await ended_after(mounted, *how)

    mounted.silent = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "no byte")
        nursery.start_soon(wait, "one byte", 5.0)
        nursery.start_soon(wait, "bytes", 5.0, 2.0)
        await trio.sleep(3.0)
        mounted.breaker.silent(30.0, SILENT)
    assert took == {"no byte": 3.0 + PROBE, "one byte": 3.0 + PROBE, "bytes": 100.0}
    assert await ended_after(mounted, 5.0) == 5.0


async def test_a_call_that_waits_is_ended_where_no_other_one_comes(mounted: Host, autojump_clock: MockClock) -> None:
    """It waits for a probe, and need not wait for another call that wants one."""
    took: list[float] = []

    async def wait() -> None:
        took.append(await ended_after(mounted))

    mounted.silent = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(3.0)
        mounted.fail(FAILURES)
    assert 3.0 + PROBE <= took[0] <= 3.0 + FIRST + PROBE


async def test_a_call_that_waits_is_not_ended_by_failures_of_others(mounted: Host, autojump_clock: MockClock) -> None:
    """One endpoint may fail: a probe decides."""
    took: list[float] = []

    async def wait() -> None:
        took.append(await ended_after(mounted))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(3.0)
        mounted.alive = True
        mounted.fail(FAILURES)
        assert mounted.breaker.outage is not None
        await mounted.takes()
        assert not mounted.is_open
    assert took == [100.0]


async def test_an_answer_lets_go_on_what_waits(mounted: Host, autojump_clock: MockClock) -> None:
    """That began to wait while the host was away."""
    await mounted.open_for_long()
    took: list[float] = []

    async def wait() -> None:
        took.append(await ended_after(mounted, 5.0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(3.0)
        mounted.breaker.heard()
    assert took == [100.0]


async def test_without_a_nursery_the_call_that_finds_a_probe_due_makes_it(
    host: Host, autojump_clock: MockClock
) -> None:
    """As a program does that uses the API by itself; one that is cancelled leaves it to the next."""
    await host.open_for_long()
    await trio.sleep(3 * LAST)
    host.silent = True
    with trio.move_on_after(1.0):
        await host.takes()
    host.silent, host.alive = False, True
    assert await host.takes() == 0.0
