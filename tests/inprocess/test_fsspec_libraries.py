"""Libraries that read `comet://`, each the real one. fsspec's own words: test_fsspec.py; Dask: mount/test_dask.py."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy
import pandas
import polars
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
import trio
import xarray
import zarr
from upath import UPath

import cometfs
from cometfs.fsspec import CometFileSystem, portal
from tests.support.big_assets import write_big_run
from tests.support.fsspec_account import ARRAY, ASSETS, TABLE, write_account
from tests.support.processes import PATIENCE, Comet, running_comet

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


def blocks(about_torch: bool = False) -> list[str]:
    """The examples in Python of the manual, with the names of this account."""
    page = Path(__file__).parents[2] / "src/cometfs/manual/fsspec.md"
    found = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    named = [code.replace("acme/vision", "ws/p").replace("run-1/", "run-01/") for code in found]
    return [code for code in named if ("torch" in code) == about_torch]


@pytest.fixture
def in_environment(comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Key and address are found there, as by those who type the examples."""
    monkeypatch.setenv("COMET_API_KEY", "test-key")
    monkeypatch.setenv("COMET_URL_OVERRIDE", comet.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    CometFileSystem.clear_instance_cache()
    yield
    CometFileSystem.clear_instance_cache()


@pytest.mark.parametrize("block", range(len(blocks())))
def test_the_examples_of_the_manual(
    block: int, in_environment: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each runs as it stands, with other names."""
    (tmp_path / "example.py").write_text(blocks()[block].replace("/tmp/", f"{tmp_path}/"))
    runpy.run_path(str(tmp_path / "example.py"))


HAS_TORCH = """
import importlib.util, sys
here = ".".join(str(part) for part in sys.version_info[:2])
sys.exit(importlib.util.find_spec("torch") is None or here != sys.argv[1])
"""

AFTER_TORCH = f"""
import torch, sys  # and the numpy that it was made for
sys.path[:0] = {[str(Path(str(of.__file__)).parents[1]) for of in (cometfs, trio)]}
"""


def python_with_torch() -> str:
    """An interpreter that has it, and can use the packages of this one: Debian's python3-torch is in its own Python."""
    version = ".".join(str(part) for part in sys.version_info[:2])
    for python in (sys.executable, "/usr/bin/python3"):
        if Path(python).exists() and not subprocess.run([python, "-c", HAS_TORCH, version]).returncode:
            return python
    pytest.skip(f"no Python {version} here has torch, whose wheels bring gigabytes: install python3-torch")


def test_torch(in_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of 12 MiB, as `torch.save` wrote it, by the example of the manual."""
    python, checkpoint = python_with_torch(), tmp_path / "model.pt"
    save = f"import torch; torch.save({{'weight': torch.arange(3.0 * (1 << 20))}}, '{checkpoint}')"
    subprocess.run([python, "-c", save], check=True)
    write_big_run(tmp_path / "archives", {"model.pt": checkpoint.read_bytes()})
    (load,) = blocks(about_torch=True)
    look = "print(torch.equal(weights['weight'], torch.arange(3.0 * (1 << 20))))"
    with running_comet(tmp_path, archives=tmp_path / "archives") as comet:
        monkeypatch.setenv("COMET_URL_OVERRIDE", comet.url)
        command = [python, "-c", f"{AFTER_TORCH}\n{load}\n{look}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
