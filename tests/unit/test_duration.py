"""How long a cost is said to take: by latency, by the rate of big bodies, and by the budget of calls."""

from __future__ import annotations

from cometfs.telemetry.traffic import BIG, Traffic
from cometfs.vfs.engine.cost.duration import duration


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_small_answers_show_latency_and_big_ones_the_rate() -> None:
    """Two bodies at once come twice as fast as each; a pause between them is not counted."""
    clock = Clock()
    traffic = Traffic(clock)
    assert (traffic.latency, traffic.rate) == (None, None)
    small = traffic.begin("a", "a")
    small.came(100)
    clock.now += 0.05
    small.end()
    first, second = traffic.begin("b", "b"), traffic.begin("b", "b")
    for request in (first, second):
        request.came(BIG)
    clock.now += 2.0
    for request in (first, second):
        request.came(1_000_000)
        request.end()
    clock.now += 60.0
    assert traffic.latency is not None
    assert round(traffic.latency, 6) == 0.05
    assert traffic.rate == (2 * BIG + 2_000_000) / 2.0


def test_calls_and_bytes_and_the_budget_take_time() -> None:
    """Bytes of which no rate is known take none; calls beyond the budget wait until it has them."""
    clock = Clock()
    traffic = Traffic(clock)
    few = duration(160, 1_000_000, traffic, None)
    assert (few.seconds, few.paused, few.rate) == (1.0, 0.0, None)
    body = traffic.begin("b", "b")
    body.came(BIG)
    clock.now += 1.0
    body.came(1_000_000 - BIG)
    body.end()
    assert duration(160, 5_000_000, traffic, None).seconds == 6.0
    short = duration(1600, 0, traffic, {"left": 600, "rate": 15_000.0})
    assert (short.seconds, short.paused) == (240.0, 230.0)
    assert duration(1600, 0, traffic, {"left": 1600, "rate": 15_000.0}).paused == 0.0
