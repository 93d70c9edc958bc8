"""Libraries that read `comet://`, each the real one. fsspec's own words: test_fsspec.py; Dask: mount/test_dask.py."""

from __future__ import annotations

import re
import runpy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy
import pandas
import polars
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
import xarray
import zarr
from upath import UPath

from cometfs.fsspec import CometFileSystem, portal
from tests.support.fsspec_account import ARRAY, ASSETS, TABLE, write_account
from tests.support.processes import Comet, running_comet

RUNS = [f"run-{number:02}" for number in range(12)]


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("comet")
    write_account(folder / "archives")
    with running_comet(folder, archives=folder / "archives") as running:
        yield running
        portal.close()


@pytest.fixture(scope="module")
def options(comet: Comet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("options")
    (folder / "key").write_text("test-key")
    return {"server": comet.url, "api_key_file": str(folder / "key"), "cache_dir": str(folder / "cache")}


@pytest.fixture
def fs(options: dict[str, Any]) -> CometFileSystem:
    return CometFileSystem(**options)


def test_pandas(options: dict[str, Any]) -> None:
    table = pandas.read_csv("comet://ws/p/experiments.csv", storage_options=options)
    assert set(RUNS) <= set(table["name"])
    assert pandas.read_parquet(f"comet://{ASSETS}/table.parquet", storage_options=options).equals(TABLE)
    losses = pandas.read_csv("comet://ws/p/run-03/metrics/loss.csv", storage_options=options)
    assert list(losses.columns) == ["step", "epoch", "timestamp_ms", "value"]
    assert pandas.read_json("comet://ws/p/experiments.jsonl", lines=True, storage_options=options).shape[0] == 13


def test_polars(fs: CometFileSystem) -> None:
    """By open files, and lazily by way of PyArrow: it knows no other library's addresses."""
    with fs.open("ws/p/experiments.csv") as file:
        assert set(RUNS) <= set(polars.read_csv(file)["name"])
    with fs.open(f"{ASSETS}/table.parquet") as file:
        assert polars.read_parquet(file).to_pandas().equals(TABLE)
    dataset = pyarrow.dataset.dataset(f"{ASSETS}/table.parquet", filesystem=fs)
    assert polars.scan_pyarrow_dataset(dataset).filter(polars.col("id") == 7).collect()["score"].to_list() == [7 / 3]


def test_pyarrow(fs: CometFileSystem) -> None:
    """As a file system: single files, a dataset of many, and the rows of one that a filter wants."""
    through = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))
    info = through.get_file_info(f"{ASSETS}/table.parquet")
    assert (info.type, info.size) == (pyarrow.fs.FileType.File, fs.info(f"{ASSETS}/table.parquet")["size"])
    assert through.get_file_info("ws/p/nothing").type == pyarrow.fs.FileType.NotFound
    assert pyarrow.parquet.read_table(f"{ASSETS}/table.parquet", filesystem=through).num_rows == 1000
    dataset = pyarrow.dataset.dataset(fs.glob("ws/p/*/metrics/loss.csv"), filesystem=through, format="csv")
    assert dataset.count_rows() == 8 * 30 + 4 * 2000
    found = pyarrow.dataset.dataset(f"{ASSETS}/table.parquet", filesystem=through, format="parquet")
    assert found.to_table(filter=pyarrow.dataset.field("id") == 7).to_pylist() == [
        {"id": 7, "score": 7 / 3, "name": "ä"}
    ]


def test_duckdb(fs: CometFileSystem) -> None:
    with duckdb.connect() as database:
        database.register_filesystem(fs)
        counted = database.sql(f"select count(*) from 'comet://{ASSETS}/table.parquet' where score > 1").fetchall()
        assert counted == [(sum(TABLE["score"] > 1),)]
        rows = database.sql("select name from read_csv('comet://ws/p/experiments.csv')").fetchall()
        assert set(RUNS) <= {name for (name,) in rows}
        points = database.sql("select count(*) from read_csv('comet://ws/p/*/metrics/loss.csv')").fetchall()
        assert points == [(8 * 30 + 4 * 2000,)]


def test_numpy_zarr_and_xarray(options: dict[str, Any], fs: CometFileSystem) -> None:
    with fs.open(f"{ASSETS}/array.npy") as file:
        assert numpy.array_equal(numpy.load(file), ARRAY)
    group = zarr.open_group(f"comet://{ASSETS}/array.zarr", mode="r", storage_options=options)
    array: Any = group["x"]
    assert numpy.array_equal(array[25:45], ARRAY[25:45])
    dataset = xarray.open_zarr(f"comet://{ASSETS}/array.zarr", storage_options=options)
    assert float(dataset["x"].sum()) == float(ARRAY.sum())


def test_universal_pathlib(options: dict[str, Any]) -> None:
    """Without a warning: its kind of path is registered."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        project = UPath("comet://ws/p", **options)
        assert set(RUNS) <= {path.name for path in project.iterdir()}
        assert (project / "run-00" / "params.json").read_text().startswith("{")
        assert (project / "experiments.csv").stat().st_size == len((project / "experiments.csv").read_bytes())
        assert {path.parent.parent.name for path in project.glob("*/metrics/loss.csv")} == set(RUNS)
        assert not (project / "nothing").exists()


def test_torch(comet: Comet, options: dict[str, Any]) -> None:
    """A checkpoint, as `torch.save` wrote it."""
    torch = pytest.importorskip("torch", reason="torch is not installed: its wheels bring gigabytes for other machines")
    with fsspec.open("comet://ws/p/run/assets/model.pt", **options) as file:
        assert torch.load(file, weights_only=True)["weight"].tolist() == [[0.0, 1.0], [2.0, 3.0]]


def blocks() -> list[str]:
    """The examples in Python of the manual."""
    page = Path(__file__).parents[2] / "src/cometfs/manual/fsspec.md"
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", range(len(blocks())))
def test_the_examples_of_the_manual(
    block: int, comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each runs as it stands, with other names, where key and address are found in the environment."""
    monkeypatch.setenv("COMET_API_KEY", "test-key")
    monkeypatch.setenv("COMET_URL_OVERRIDE", comet.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    CometFileSystem.clear_instance_cache()
    names = {"acme/vision": "ws/p", "run-1/": "run-01/", "/tmp/": f"{tmp_path}/"}
    code = blocks()[block]
    for name, ours in names.items():
        code = code.replace(name, ours)
    (tmp_path / "example.py").write_text(code)
    runpy.run_path(str(tmp_path / "example.py"))
    CometFileSystem.clear_instance_cache()
