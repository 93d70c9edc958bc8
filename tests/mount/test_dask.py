"""Dask on a real cluster of processes reads `comet://`: right, and for no more calls than one mount of the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.bag
import dask.dataframe
import pytest
from distributed import Client, LocalCluster

import cometfs.dask
from cometfs.fsspec import portal
from tests.support.differing_runs import write_differing_runs
from tests.support.lasting_listings import prolong, prolonged
from tests.support.processes import PATIENT, Comet, running_comet, running_mount

WORKERS = 4

REPLICAS = 3
"""Of twelve runs."""

MANY = 10
"""The same, which is more than one call of a metric is about."""

READ = """
import glob, sys
for path in sorted(glob.glob(sys.argv[1])):
    open(path, "rb").read()
"""


@contextmanager
def serving(folder: Path, replicas: int) -> Iterator[Comet]:
    write_differing_runs(folder / "archives")
    for number in range(3):
        output(folder / "archives" / f"{number:032x}")
    with running_comet(folder, "--replicate", str(replicas), archives=folder / "archives") as running:
        yield running


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    with serving(tmp_path_factory.mktemp("comet"), REPLICAS) as running:
        yield running


def output(archive: Path) -> None:
    """Lets a run print something."""
    printed = {"output": "hello\n", "stderr": False, "local_timestamp": 2}
    with (archive / "messages.json").open("a") as messages:
        messages.write(json.dumps({"type": "standard_output", "payload": printed}) + "\n")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """Whose processes find the key in the environment."""
    with pytest.MonkeyPatch.context() as patch, prolonged():
        patch.setenv("COMET_API_KEY", "test-key")
        with (
            LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            client.run(prolong)
            yield client
            portal.close()


@pytest.fixture
def options(comet: Comet, tmp_path: Path) -> dict[str, Any]:
    return {"server": comet.url, "cache_dir": str(tmp_path / "cache")}


def calls_of_a_mount(comet: Comet, folder: Path, pattern: str) -> int:
    """Of a program that reads what matches, on a mount that has nothing."""
    folder.mkdir()
    with comet.asked() as asked, running_mount(folder, comet, program=PATIENT) as mounted:
        subprocess.run([sys.executable, "-c", READ, f"{mounted.path}/{pattern}"], check=True)
    return len(asked)


def test_csv_of_all_experiments(comet: Comet, cluster: Client, options: dict[str, Any], tmp_path: Path) -> None:
    """With the path of each; the size of each file is asked for before its partition is read."""
    pattern = "ws/p/*/metrics/loss.csv"
    with comet.asked() as asked:
        frame = dask.dataframe.read_csv(f"comet://{pattern}", include_path_column=True, storage_options=options)
        points = frame.compute()
    assert points.groupby("path").size().sort_index().tolist() == sorted_lengths()
    assert len(asked) <= calls_of_a_mount(comet, tmp_path / "mount", pattern), asked


def sorted_lengths() -> list[int]:
    return [length for run in range(12) for length in [2000 if run >= 8 else 30] * REPLICAS]


def test_lines_of_all_experiments(comet: Comet, cluster: Client, options: dict[str, Any], tmp_path: Path) -> None:
    pattern = "ws/p/*/output.txt"
    with comet.asked() as asked:
        lines = dask.bag.read_text(f"comet://{pattern}", storage_options=options).compute()  # type: ignore[no-untyped-call]
    assert lines == ["hello\n"] * 3 * REPLICAS
    assert len(asked) <= calls_of_a_mount(comet, tmp_path / "mount", pattern), asked


def test_the_table_of_a_project(comet: Comet, cluster: Client, options: dict[str, Any], tmp_path: Path) -> None:
    pattern = "ws/p/summary/experiments.csv"
    with comet.asked() as asked:
        table = dask.dataframe.read_csv(f"comet://{pattern}", storage_options=options).compute()
    assert len(table) == 12 * REPLICAS
    assert len(asked) <= calls_of_a_mount(comet, tmp_path / "mount", pattern), asked


def test_a_partition_of_a_metric_is_a_call(cluster: Client, options: dict[str, Any], tmp_path: Path) -> None:
    """Beside those that tell which experiments there are, and what each process compares one series with."""
    with serving(tmp_path, MANY) as comet:
        assert_a_partition_is_a_call(comet, {**options, "server": comet.url})


def assert_a_partition_is_a_call(comet: Comet, options: dict[str, Any]) -> None:
    with comet.asked() as first:
        frame = cometfs.dask.metrics("comet://ws/p", "val/loss", **options)
    assert first == ["workspaces", "projects", "experiments", "project/query"]
    assert frame.npartitions == 2
    with comet.asked() as asked:
        points = frame.compute()  # type: ignore[no-untyped-call]
    assert asked.count("experiments/multi-metric-chart") == frame.npartitions
    assert len(asked) <= frame.npartitions + WORKERS
    assert list(points.columns) == ["experiment", "name", "step", "epoch", "timestamp", "value"]
    assert points.dtypes.to_dict() == frame.dtypes.to_dict()
    assert points.groupby("experiment").size().sum() == sum(25 + run for run in range(12)) * MANY
    one = points[points["experiment"] == f"{3:032x}"]
    assert one["name"].unique().tolist() == ["run-03"]
    assert one["value"].tolist() == [step * 0.5 for step in range(28)]
    assert one["timestamp"].min().timestamp() == 1_700_000_003


def test_the_experiments_of_a_project(comet: Comet, cluster: Client, options: dict[str, Any]) -> None:
    """Are made once, for whatever is computed of them."""
    with comet.asked() as first:
        frame = cometfs.dask.experiments("ws/p", **options)
    assert first
    with comet.asked() as asked:
        assert frame["param.lr"].max().compute() == 1.1
        assert set(frame["name"].compute()) >= {f"run-{number:02}" for number in range(12)}
    assert asked == []


def test_a_metric_that_nothing_has_logged(comet: Comet, cluster: Client, options: dict[str, Any]) -> None:
    """An empty frame of the same columns."""
    assert cometfs.dask.metrics("ws/p", "nothing", **options).compute().shape == (0, 6)  # type: ignore[no-untyped-call]
    with pytest.raises(OSError, match="ws is no project"):
        cometfs.dask.metrics("ws", "loss", **options)
