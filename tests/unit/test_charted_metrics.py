"""What a chart tells of an experiment, packed: the same as the points tell that it was made of."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.answers import models
from cometfs.render import points
from cometfs.vfs.sources.charted_metrics import Parsed, Unpacked

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
PLACES = st.none() | st.integers(0, 9) | st.floats(0, 9)
COLUMN = st.lists(PLACES, max_size=4) | st.none()
METRIC = st.fixed_dictionaries(
    {"values": st.lists(NUMBERS | st.none() | st.just("word"), max_size=4)},
    optional={"steps": COLUMN, "epochs": COLUMN, "timestamps": COLUMN, "durations": COLUMN},
)


def body_of(metrics: list[dict[str, Any]]) -> bytes:
    named = [{"metricName": f"m{number}"} | metric for number, metric in enumerate(metrics)]
    return msgspec.json.encode({"experiments": {"k": {"metrics": named, "params": {}}}})


@given(st.lists(METRIC, max_size=4))
def test_a_chart_in_normal_form_needs_no_other_look(metrics: list[dict[str, Any]]) -> None:
    """It is read in one step then, and says what it says when each field is looked at."""
    body = body_of(metrics)
    normal, fast = (read(body)["k"] for read in (models.charts, lambda one: models.charts_as(one, lambda chart: chart)))
    assert [metric["metricName"] for metric in fast["metrics"]] == [
        metric["metricName"] for metric in normal["metrics"]
    ]
    told = [Unpacked.of(Parsed.of(chart).packed()) for chart in (fast, normal)]
    assert told[0].names == told[1].names
    assert told[0].sheets() == told[1].sheets()
    assert told[0].extents() == told[1].extents()
    assert told[0].spreads() == told[1].spreads()


@given(st.lists(METRIC, max_size=4))
def test_what_is_packed_tells_each_metric_alone(metrics: list[dict[str, Any]]) -> None:
    """And nothing of one of which the chart may have lost something."""
    chart = models.charts(body_of(metrics))["k"]
    whole = {metric["metricName"]: points.of_chart(metric) for metric in chart["metrics"] if metric["values"]}
    parsed = Parsed.unpacked(Parsed.of(chart).packed())
    assert parsed.names == sorted(whole)
    for name, found in whole.items():
        assert parsed.sheet(name) == (None if found is None else points.sheet(found))
        if found is not None:
            assert parsed.lengths[name] == len(found.values)
    assert not parsed.up_to(0).points


@given(METRIC)
def test_the_extent_of_a_chart_is_that_of_its_points(metric: dict[str, Any]) -> None:
    """Whichever way it is reckoned."""
    found = points.charted(models.charts(body_of([metric]))["k"]["metrics"][0])
    if found is not None:
        assert points.extent_of(found) == points.extent(points.measured(points.spelled(found)))


def test_a_step_that_has_no_form_on_disk_is_asked_for_alone() -> None:
    """Thirty digits: its metric has a name, and no points."""
    metric = {"values": [1.0], "steps": [10**30], "epochs": [None], "timestamps": [1]}
    parsed = Parsed.of(models.charts(body_of([metric]))["k"])
    assert parsed.names == ["m0"]
    assert parsed.sheet("m0") is None
    assert Unpacked.of(parsed.packed()).extents() is None
