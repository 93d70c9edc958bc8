"""When batches are asked for, and about how many: after those that fail, and those that take too long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from cometfs.errors import DeadlineExceeded, ServerFailed
from cometfs.vfs.answers.batch_trust import BatchTrust
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.chart_calls import SMALL
from cometfs.vfs.sources.parameters import PARAMS

LINE = cast(Any, SimpleNamespace(project=Context("project", 0.0), asked={}))

BATCH = PARAMS.batch
assert BATCH is not None

LATE = DeadlineExceeded("no answer within 10 s")


@pytest.fixture
async def trust() -> BatchTrust:
    return BatchTrust(cast(Any, None), Observations())


def fail(trust: BatchTrust, count: int, error: Exception = LATE, ago: float = 0.0) -> bool:
    """Whether fewer are asked for together, of which a call that began so many seconds ago failed."""
    assert BATCH is not None
    return trust.divides(BATCH, LINE, count, cast(Any, error), began=trio.current_time() - ago)


async def test_two_that_take_too_long_end_batches_that_never_were_answered(
    trust: BatchTrust, autojump_clock: MockClock
) -> None:
    """It may be a server that has none."""
    assert fail(trust, 64)
    await trio.sleep(10)
    assert not fail(trust, 32)
    assert not trust.is_trusted(PARAMS, LINE)


async def test_a_busy_server_is_asked_about_fewer_and_then_about_more_again(
    trust: BatchTrust, autojump_clock: MockClock
) -> None:
    """To ask each by itself would be thousands of calls."""
    assert BATCH is not None
    trust.brought(BATCH, LINE, 1000.0)
    count = 256
    while count > SMALL:
        assert fail(trust, count)
        await trio.sleep(10)
        count //= 2
        assert trust.most(BATCH, LINE) == count
    for _ in range(3):
        trust.answered(BATCH, LINE)
    assert trust.most(BATCH, LINE) == 8 * count
    assert trust.is_trusted(PARAMS, LINE)


async def test_those_of_the_same_time_count_once(trust: BatchTrust, autojump_clock: MockClock) -> None:
    """A table asks for several at once: all meet the same silence."""
    assert BATCH is not None
    await trio.sleep(100)
    trust.brought(BATCH, LINE, 1000.0)
    assert all(fail(trust, SMALL, ago=10.0) for _ in range(8))
    await trio.sleep(10)
    assert not fail(trust, SMALL // 2, ago=10.0)


async def test_what_a_server_refuses_grows_no_more(trust: BatchTrust, autojump_clock: MockClock) -> None:
    """Too many for it once are too many for it later."""
    assert BATCH is not None
    trust.brought(BATCH, LINE, 1000.0)
    assert fail(trust, 256, ServerFailed("500"))
    trust.answered(BATCH, LINE)
    assert trust.most(BATCH, LINE) == 128
