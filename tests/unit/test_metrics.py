"""The names of metrics: in one module, in the manual, in the dashboard; and their text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cometfs.telemetry import metrics
from cometfs.telemetry.exposition import DASHBOARD, Exposition
from cometfs.telemetry.gauges import BOUNDS, Histogram
from cometfs.telemetry.metrics import MOST, OTHERS

ROOT = Path(__file__).parents[2]

ADDED = {"instance", "job", "le"}
"""Labels of Prometheus's own."""


def expressions() -> Iterator[tuple[str, str]]:
    """Those of the dashboard, each with how it is shown."""
    for panel in json.loads(DASHBOARD.read_bytes())["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


def labels_of(name: str) -> set[str]:
    """The labels that samples of that name have; raises KeyError for a name that no metric has."""
    known = {sample: set(metric.labels) | ADDED for metric in metrics.METRICS for sample in metric.samples}
    return (known | dict.fromkeys(metrics.PROCESS, ADDED))[name]


@pytest.mark.parametrize(("expression", "legend"), list(expressions()))
def test_the_dashboard_asks_for_what_there_is(expression: str, legend: str) -> None:
    """Names that a metric has, and labels that all of those have; rates of what only rises."""
    names = re.findall(r"\b(?:cometfs|process)_\w+", expression)
    assert names
    asked = set(re.findall(r"(\w+)(?:=~|!=|=)\"", expression)) | set(re.findall(r"\{\{(\w+)\}\}", legend))
    for words in re.findall(r" by \(([^)]*)\)", expression):
        asked |= set(re.split(r",\s*", words))
    for name in names:
        assert asked <= labels_of(name), name
        is_rate = f"rate({name}{{" in expression
        assert is_rate == name.endswith(("_total", "_count", "_sum", "_bucket")), name
    assert expression.count("(") == expression.count(")")


def test_the_dashboard_shows_every_metric() -> None:
    """At least one of its samples."""
    shown = {name for expression, _ in expressions() for name in re.findall(r"\bcometfs_\w+", expression)}
    assert [metric.name for metric in metrics.METRICS if not shown & set(metric.samples)] == []


def test_the_manual_has_them_as_they_are() -> None:
    """`scripts/manual` writes its table."""
    page = (ROOT / "src/cometfs/manual/metrics.md").read_text()
    assert f"-->\n{metrics.markdown()}<!-- end of metrics -->" in page
    assert set(re.findall(r"`(process_\w+)`", page)) == set(metrics.PROCESS)


def test_names_say_their_units_as_prometheus_wants_it() -> None:
    """Base units, a prefix, no `_total` of its own."""
    for metric in metrics.METRICS:
        assert re.fullmatch(r"cometfs(_[a-z]+)+", metric.name)
        assert not metric.name.endswith(("_total", "_ms", "_mb", "_count"))
        assert "bytes" not in metric.help.lower() or metric.name.endswith("_bytes")
    assert len({metric.name for metric in metrics.METRICS}) == len(metrics.METRICS)


def test_a_histogram_counts_each_in_the_buckets_from_its_own_on() -> None:
    """As Prometheus adds them up, with all of them at the end."""
    taken = Histogram()
    for seconds in (0.0, BOUNDS[0], 0.002, 1e9):
        taken.add(seconds)
    text = metrics.text([(metrics.REQUESTS, {("read",): taken})]).decode()
    family = next(one for one in text_string_to_metric_families(text) if one.name == metrics.REQUESTS.name)
    buckets = [one.value for one in family.samples if one.name.endswith("_bucket")]
    assert buckets == [2, 2, 2, 3, *[3] * (len(BOUNDS) - 4), 4]
    assert buckets[-1] == next(one.value for one in family.samples if one.name.endswith("_count"))


def test_labels_are_bounded() -> None:
    """What a server makes up is shown together, once there is much of it; what was there before goes on alone."""
    calls = Counter({(f"endpoint-{number}", "200"): 1 for number in range(10 * MOST)})
    calls["endpoint-1", "200"] += 5
    shown = metrics.bounded(calls)
    assert len(shown) == MOST + 1
    assert shown[OTHERS, OTHERS] == 9 * MOST
    assert shown["endpoint-1", "200"] == 6
    text = metrics.text([(metrics.CALLS, calls)]).decode()
    assert text.count("cometfs_calls_total{") == MOST + 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/grafana.json", 200),
        ("GET", "/", 404),
        ("POST", "/metrics", 405),
    ],
)
async def test_pages_of_the_server(method: str, path: str, status: int) -> None:
    """Each says how long it is; HEAD has no body."""
    sent: list[dict[str, Any]] = []

    async def text() -> str:
        return "é 1\n"

    async def send(part: dict[str, Any]) -> None:
        sent.append(part)

    async def receive() -> None:
        raise AssertionError("nothing is read")

    await Exposition(text)({"type": "http", "method": method, "path": path}, receive, send)
    start, body = sent
    assert start["status"] == status
    size = int(dict(start["headers"])[b"content-length"])
    assert size
    assert len(body["body"]) == (0 if method == "HEAD" else size)
