"""Metrics: their names, units and labels, and their text in Prometheus's format.

THE place of the names: the dashboard (grafana.json) and the manual are checked against it. What is counted stands where
it is counted (gauges.py). Not here: what serves the text (exposition.py, vfs/layout/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cometfs.telemetry.gauges import BOUNDS, Histogram

if TYPE_CHECKING:  # what asks for no metrics need not load it
    from prometheus_client.core import Metric as Family

MOST = 200
"""Sets of labels of a metric that are shown apart: a server that makes up names must not fill the memory of what
watches."""

OTHERS = "others"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """What is counted or measured."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def samples(self) -> list[str]:
        """The names of its samples, which are what a dashboard asks for."""
        return [self.name + ending for ending in _ENDINGS[self.kind]]


_ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_count", "_sum", "_bucket"), "info": ("_info",)}


INFO = Metric("cometfs_mount", "info", "The version of cometfs, and the server", ("version", "server"))

CALLS = Metric("cometfs_calls", "counter", "Calls to Comet, by HTTP status or why none came", ("endpoint", "outcome"))
CALLS_LEFT = Metric("cometfs_calls_left", "gauge", "Calls that the account may make now, all its mounts together")
CALLS_USED = Metric("cometfs_calls_used", "gauge", "Calls of the account in the last hour, all its mounts together")
RECEIVED = Metric(
    "cometfs_received_bytes", "counter", "Bytes of answers and files from Comet and its storage, compressed"
)
ANSWERING = Metric("cometfs_host_answering", "gauge", "1 where a host is asked, 0 while its breaker is open", ("host",))

HITS = Metric(
    "cometfs_cache_hits", "counter", "What readers wanted and was at hand, by kind and layer", ("kind", "layer")
)
MISSES = Metric("cometfs_cache_misses", "counter", "What readers wanted and no layer had, by kind", ("kind",))
DISK_READ = Metric("cometfs_disk_read_bytes", "counter", "Bytes that were read of the cache on disk", ("kind",))
CACHE_BYTES = Metric("cometfs_cache_bytes", "gauge", "Bytes in the cache on disk, by kind", ("kind",))

REQUESTS = Metric(
    "cometfs_request_seconds", "histogram", "Requests of the kernel, and how long each took", ("operation",)
)
ERRORS = Metric("cometfs_errors", "counter", "Requests of the kernel that failed, by errno", ("errno",))
SERVED = Metric("cometfs_served_bytes", "counter", "Bytes of files that the kernel was given")

WAITING = Metric("cometfs_waiting_requests", "gauge", "Requests of the kernel that wait for something to come")
LOADS = Metric("cometfs_loads", "gauge", "Answers that are being fetched")
OPEN_FILES = Metric("cometfs_open_files", "gauge", "Handles of files")
OPEN_DIRECTORIES = Metric("cometfs_open_directories", "gauge", "Handles of directories")
INODES = Metric("cometfs_inodes", "gauge", "Inodes that the kernel knows, or the mount remembers")
TASKS = Metric("cometfs_tasks", "gauge", "Tasks of the event loop")

METRICS = (
    *(INFO, CALLS, CALLS_LEFT, CALLS_USED, RECEIVED, ANSWERING),
    *(HITS, MISSES, DISK_READ, CACHE_BYTES),
    *(REQUESTS, ERRORS, SERVED),
    *(WAITING, LOADS, OPEN_FILES, OPEN_DIRECTORIES, INODES, TASKS),
)

GAUGES: Mapping[str, Metric] = {
    "requests": WAITING,
    "loads": LOADS,
    "open_files": OPEN_FILES,
    "open_directories": OPEN_DIRECTORIES,
    "inodes": INODES,
    "tasks": TASKS,
}
"""Those of `.cometfs/status.json`, by their names there."""

PROCESS = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
)
"""Those that every process has which is watched by Prometheus; its client measures them."""

Samples = Mapping[Any, float | Histogram]
"""By a tuple of the values of the labels, which is empty where there are no labels."""

Meters = dict[Metric, Callable[[], Samples]]
"""Asked when they are shown."""


def text(meters: Iterable[tuple[Metric, Samples]]) -> bytes:
    """Metrics and those of this process, in Prometheus's format."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.registry import Collector

    class Shown(Collector):
        def collect(self) -> Iterator[Family]:
            return (family(metric, bounded(samples)) for metric, samples in meters)

    registry = CollectorRegistry()
    registry.register(Shown())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def bounded(samples: Samples) -> Samples:
    """The first `MOST`, which go on alone; numbers of all later ones are added up."""
    if len(samples) <= MOST:
        return samples
    kept, rest = dict(islice(samples.items(), MOST)), islice(samples.items(), MOST, None)
    return kept | {(OTHERS,) * len(next(iter(samples))): sum(one for _, one in rest if not isinstance(one, Histogram))}


def family(metric: Metric, samples: Samples) -> Family:
    """A metric as Prometheus's client has it."""
    from prometheus_client import core

    if metric.kind == "histogram":
        found = core.HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, one in sorted(samples.items()):
            assert isinstance(one, Histogram)
            found.add_metric(labels, _buckets(one), one.seconds)
        return found
    if metric.kind == "info":
        info = core.InfoMetricFamily(metric.name, metric.help)
        for labels in samples:
            info.add_metric([], dict(zip(metric.labels, labels, strict=True)))
        return info
    kind = core.CounterMetricFamily if metric.kind == "counter" else core.GaugeMetricFamily
    shown = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(samples.items()):
        assert not isinstance(value, Histogram)
        shown.add_metric(labels, value)
    return shown


def _buckets(one: Histogram) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what is in the smaller ones, too."""
    return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(one.counts), strict=True))


def markdown() -> str:
    """The table of the manual."""
    rows = [
        f"| `{metric.samples[0]}`{', `_sum`, `_bucket`' * (metric.kind == 'histogram')} | {metric.kind} |"
        f" {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |\n"
        for metric in METRICS
    ]
    return "| name | kind | labels | what |\n|---|---|---|---|\n" + "".join(rows)
