"""What points tell of a metric's last, least and greatest value is what Comet's own summary tells, or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.render import objects, points, spreads
from cometfs.render.numbers import spelt
from tests.inprocess.test_logging import START, Client

Logged = tuple[int, Any, Any]
"""Milliseconds since the one before, step, value; the clock of a run does not go back."""

FEW = st.sampled_from([0.5, 1, 1.0, -0.0, 0, 2, "1", "1.0", 1e300])
"""So that many are equal."""

ODD = st.sampled_from(["NaN", "Infinity", "-Infinity", "word", "1_000", "", None, True, [1], 10**400, "8.63E-4", " 5 "])

VALUES = FEW | ODD | st.floats(allow_nan=False, allow_infinity=False) | st.integers()

STEPS = st.none() | st.integers(-3, 8) | st.floats(0, 4)

ANY = st.lists(st.tuples(st.integers(0, 2), STEPS, VALUES), min_size=1, max_size=12)

PLAIN = st.lists(st.tuples(st.integers(1, 5), st.just(0), FEW | st.floats(allow_nan=False)), min_size=1, max_size=12)
"""What nearly all programs log: a number in each step, of which no two are in the same millisecond."""


class Server:
    """An embedded Comet that is asked for the summary and for the chart of what was just logged to it."""

    def __init__(self, folder: Path) -> None:
        self._client = Client(folder)
        self._keys = (f"{number:032x}" for number in itertools.count(1))

    def told(self, metrics: Mapping[str, Sequence[Logged]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The rows of the summary and of the chart, by metric."""
        return trio.run(self._told, next(self._keys), metrics)

    async def _told(self, key: str, metrics: Mapping[str, Sequence[Logged]]) -> tuple[dict[str, Any], dict[str, Any]]:
        values = [
            {"metricName": name, "metricValue": value, "step": step, "timestamp": when}
            for name, logged in metrics.items()
            for when, step, value in timed(logged)
        ]
        await self._client.post("/clientlib/logger/add/run", START | {"experimentKey": key})
        await self._client.post("/clientlib/batch/logger/experiment/metric", {"experimentKey": key, "values": values})
        async with API("key", "http://comet", transport=Transport(httpx.ASGITransport(self._client.app))) as api:
            summary = {row["name"]: row for row in await api.experiment_metrics_summary(key)}
            chart = await api.experiment_metrics_for_chart([key], list(summary))
        return summary, {metric["metricName"]: metric for metric in chart[key]["metrics"]}


def timed(logged: Sequence[Logged]) -> Iterator[Logged]:
    moments = itertools.accumulate((elapsed for elapsed, _, _ in logged), initial=1_700_000_000_000)
    return ((when, step, value) for when, (_, step, value) in zip(list(moments)[1:], logged, strict=True))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("logged"))


def derived(chart: Mapping[str, Any]) -> spreads.Derived | None:
    rows = points.of_chart(chart)
    return None if rows is None else spreads.of_points(points.measured(rows))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logged=ANY)
def test_points_tell_what_the_summary_tells_or_nothing(server: Server, logged: list[Logged]) -> None:
    """Of whatever was logged: words, NaN, infinities, equal values, steps that go back, several in a millisecond."""
    summary, chart = server.told({"m": logged})
    found = derived(chart["m"])
    if found is not None:
        told = spreads.of_summary(summary["m"])
        assert found.spread == told
        assert objects.metric_spreads({"m": found.spread}) == objects.metric_spreads({"m": told})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logged=PLAIN)
def test_points_tell_all_of_what_programs_log_step_by_step(server: Server, logged: list[Logged]) -> None:
    """Otherwise the summary of nearly every experiment would have to be asked for."""
    stepwise = [(elapsed, step, value) for step, (elapsed, _, value) in enumerate(logged)]
    summary, chart = server.told({"m": stepwise})
    found = derived(chart["m"])
    assert found is not None
    assert found.spread == spreads.of_summary(summary["m"])


def test_points_of_which_a_chart_may_lack_some_tell_nothing(server: Server) -> None:
    """As many as a chart can have, of which the greatest may be missing."""
    _, chart = server.told({"m": [(1, step, step % 7) for step in range(points.CHART_LIMIT + 1)]})
    assert derived(chart["m"]) is None


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, None, 1, "2.0"), (1, None, 2, "3.0")], (("3.0", 1, "2.0", 0, "3.0", 1), False)),
        ([(0, None, 1, "2.0"), (1, None, 2, "2.0")], (("2.0", 1, "2.0", 0, "2.0", 0), True)),
        ([(0.0, None, 1, "2.0"), (1.5, None, 2, "1.0")], (("1.0", 1.5, "1.0", 1.5, "2.0", 0), False)),
        ([(None, None, 1, "2.0"), (None, None, 2, "1.0")], (("1.0", None, "1.0", None, "2.0", None), False)),
        ([(0, None, 5, "2.0"), (1, None, 5, "3.0")], None),
        ([(0, None, 7, "2.0"), (1, None, 5, "3.0")], None),
        ([(0, None, 1, "2.0"), (None, None, 2, "3.0")], None),
        ([("a", None, 1, "2.0")], None),
        ([(0, None, None, "2.0")], None),
        ([(0, None, 1, "NaN")], None),
        ([], None),
    ],
)
def test_what_points_tell(rows: list[points.Row], told: Any) -> None:
    """Only what times and steps agree on."""
    assert spreads.of_points(points.measured(points.of_rows(rows))) == told


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1), FEW | st.floats(allow_nan=False)), min_size=1))
def test_points_in_order_go_another_way_to_the_same_spread(logged: list[tuple[int, int, Any]]) -> None:
    """Greater and greater steps, times that do not go back; of equal values, and of several in a millisecond."""
    steps = list(itertools.accumulate(step for step, _, _ in logged))
    times = list(itertools.accumulate(elapsed for _, elapsed, _ in logged))
    values = [spelt(value) for _, _, value in logged]
    found = points.measured(points.Columns(steps, [None] * len(steps), times, values))
    assert found is not None
    assert spreads._of_series(found) == spreads._of_any(found)
