"""Metrics of a real mount: as a file, over HTTP, and what they count."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cometfs.telemetry import metrics
from tests.mount.test_faults import FOREST
from tests.support.faulty_comet import Answer, faulty_comet
from tests.support.processes import Comet, Mounted, running_comet, running_mount
from tests.support.subprocesses import Stage

KEY = "sekret-4713-of-the-key"

BASELINE = "vision-lab/digits/mlp-baseline"

Sample = tuple[str, frozenset[tuple[str, str]]]


def parsed(text: str) -> dict[Sample, float]:
    """Samples by name and labels, as Prometheus reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples(mounted: Mounted) -> dict[Sample, float]:
    return parsed((mounted / ".cometfs/metrics").read_text())


def value(found: dict[Sample, float], name: str, **labels: str) -> float:
    """That of all samples with those labels, added up."""
    return sum(one for (other, has), one in found.items() if other == name and labels.items() <= dict(has).items())


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    with running_comet(tmp_path) as found:
        yield found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_every_metric_counts_what_happens(tmp_path: Path, comet: Comet) -> None:
    """Calls by what came of them, what was at hand, bytes, requests, errors; over HTTP, too. All that is declared is
    there, nothing else is, and no label has the key."""
    port = free_port()
    with (
        faulty_comet(comet) as (behind, faults),
        running_mount(tmp_path, behind, "--rw", "--metrics", str(port), COMET_API_KEY=KEY) as mounted,
    ):
        before = samples(mounted)
        faults.answers["experiment/code"] = Answer(403)
        for _ in range(3):
            params = (mounted / BASELINE / "params.json").read_bytes()
        read = samples(mounted)
        for _ in range(3):
            with pytest.raises(PermissionError):
                (mounted / BASELINE / "code.py").read_bytes()
        with pytest.raises(OSError, match="Invalid argument"):
            os.setxattr(mounted.path, "user.cometfs.log_level", b"loud")
        with (mounted / BASELINE / "params.json").open("rb"), os.scandir(mounted / BASELINE) as listing:
            assert next(listing)
            held = samples(mounted)
        after = samples(mounted)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
            assert answer.headers["content-type"] == metrics.CONTENT_TYPE
        served = parsed(text)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/grafana.json") as answer:
            dashboard = json.loads(answer.read())

    asked = Counter(request["path"].removeprefix("/api/rest/v2/") for request in comet.requests())
    for endpoint in asked:
        assert value(after, "cometfs_calls_total", endpoint=endpoint, outcome="200") == asked[endpoint]
    assert value(after, "cometfs_calls_total", endpoint="experiment/code", outcome="403") >= 1
    assert value(after, "cometfs_calls_used") == value(after, "cometfs_calls_total")
    assert value(read, "cometfs_cache_misses_total", kind="file") == 1, "it is made once"
    assert value(read, "cometfs_cache_hits_total", kind="file", layer="memory") == 2
    assert value(after, "cometfs_served_bytes_total") - value(before, "cometfs_served_bytes_total") >= len(params)
    assert value(after, "cometfs_received_bytes_total") > value(before, "cometfs_received_bytes_total")
    assert value(after, "cometfs_errors_total", errno="EACCES") == 3
    assert value(after, "cometfs_errors_total", errno="EINVAL") == 1
    assert value(held, "cometfs_open_files") == 1
    assert value(held, "cometfs_open_directories") == 1
    assert value(after, "cometfs_inodes") > 4
    assert value(after, "cometfs_host_answering", host=behind.url) == 1
    # With --rw, handlers are built upon each other: one request is one.
    opened = "cometfs_request_seconds_count"
    assert value(after, opened, operation="open") - value(before, opened, operation="open") == 10
    assert value(after, "process_resident_memory_bytes") > 10 << 20

    names = {name for name, _ in served} - {f"{name}_created" for name, _ in served}
    declared = {sample for metric in metrics.METRICS for sample in metric.samples} | set(metrics.PROCESS)
    assert names == declared
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert {name for text in expressions for name in re.findall(r"\b(?:cometfs|process)_\w+", text)} <= names
    assert KEY not in text


def test_layers_are_told_apart(tmp_path: Path, comet: Comet) -> None:
    """What a mount fetched is on disk for the next one, and in memory after that. To look makes no call."""
    asset = f"{FOREST}/assets/importances.csv"
    with running_mount(tmp_path, comet) as first:
        (first / asset).read_bytes()
        found = samples(first)
        assert value(found, "cometfs_cache_misses_total", kind="body") == 1
        assert value(found, "cometfs_cache_hits_total", layer="disk") == 0
    with running_mount(tmp_path, comet) as second:
        size = len((second / asset).read_bytes())
        with comet.asked() as asked:
            found = samples(second)
        assert asked == []
        assert value(found, "cometfs_cache_misses_total", kind="body") == 0
        assert value(found, "cometfs_cache_hits_total", kind="body", layer="disk") == 1
        assert value(found, "cometfs_disk_read_bytes_total", kind="body") == size
        assert value(found, "cometfs_cache_hits_total", kind="answer", layer="disk") >= 1
        assert value(found, "cometfs_disk_read_bytes_total", kind="answer") > 0
        assert value(found, "cometfs_cache_bytes", kind="body") >= size


def test_a_server_that_is_away_is_shown(tmp_path: Path, comet: Comet) -> None:
    """Its breaker is open, and calls have no status."""
    with running_mount(tmp_path, comet) as mounted:
        (mounted / BASELINE / "params.json").read_bytes()
        comet.process.kill()
        comet.process.wait()
        with pytest.raises(OSError, match="unreachable"):
            (mounted / BASELINE / "output.txt").read_bytes()
        found = samples(mounted)
        assert value(found, "cometfs_host_answering", host=comet.url) == 0
        assert value(found, "cometfs_calls_total", outcome="Transient") >= 4
        assert value(found, "cometfs_errors_total", errno="ENETUNREACH") == 1


def test_a_port_that_is_taken_is_a_sentence(stage: Stage, comet: Comet) -> None:
    """And nothing is mounted."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = stage.run("mount", "mnt", "--url", comet.url, "--metrics", port, COMET_API_KEY=KEY)
    assert said.status == 1
    assert said.complaint.startswith(f"cometfs: cannot serve the metrics at 127.0.0.1:{port}: ")
    assert len(said.complaint.splitlines()) == 1
    stage.await_no_process()


def test_other_machines_can_ask_only_with_a_warning(stage: Stage, comet: Comet) -> None:
    """A port alone is this machine's own."""
    port = free_port()
    said = stage.run("mount", "mnt", "--url", comet.url, "--metrics", f"0.0.0.0:{port}", COMET_API_KEY=KEY)
    assert said.complaint.startswith(f"cometfs: warning: everybody who can reach 0.0.0.0:{port} may read the metrics")
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
    assert f" 00000000:{port:04X} " in listening
    assert stage.run("umount", "mnt").status == 0
    stage.await_no_process()
