"""An account for `comet://`: runs with metrics, and one with assets as libraries and fsspec's own tests want them.

Not here: what is read of it (inprocess/test_fsspec.py, test_fsspec_libraries.py, mount/test_dask.py).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path

import numpy
import pandas
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from tests.support.big_assets import MIB, PLACE, content, write_big_run
from tests.support.differing_runs import write_differing_runs

ASSETS = f"{PLACE}/assets"

BIG = 9 * MIB + 5
"""Bytes of an asset that comes in parts."""

TABLE = pandas.DataFrame({"id": range(1000), "score": [number / 3 for number in range(1000)], "name": ["ä"] * 1000})

ARRAY = numpy.arange(6000, dtype="float32").reshape(60, 100)


def write_account(directory: Path) -> list[str]:
    """Writes it as archives; returns the names of the runs with metrics, in the project of the run with assets."""
    names = write_differing_runs(directory)
    write_big_run(directory, _assets())
    return names


def _assets() -> Mapping[str, bytes]:
    return {
        "big.bin": content(BIG),
        "table.csv": TABLE.to_csv(index=False).encode(),
        "table.parquet": _parquet(),
        "array.npy": _npy(),
        **{f"array.zarr/{name}": body for name, body in _zarr().items()},
        **{f"{folder}/{name}": body for folder, files in TREES.items() for name, body in files.items()},
    }


def _parquet() -> bytes:
    made = io.BytesIO()
    TABLE.to_parquet(made, row_group_size=100)
    return made.getvalue()


def _npy() -> bytes:
    made = io.BytesIO()
    numpy.save(made, ARRAY)
    return made.getvalue()


def _zarr() -> Mapping[str, bytes]:
    """Version 2 of the format, whose chunks are files with names like 0.0."""
    store: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(store), mode="w", zarr_format=2)
    array = group.create_array("x", shape=ARRAY.shape, chunks=(20, 100), dtype=ARRAY.dtype)
    array[:] = ARRAY
    array.attrs["_ARRAY_DIMENSIONS"] = ["row", "column"]
    zarr.consolidate_metadata(MemoryStore(store), zarr_format=2)
    return {name: body.to_bytes() for name, body in store.items()}


def _below(folder: str, *names: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": b"" for name in names}


_SUBDIR = ("subfile1", "subfile2", "nesteddir/nestedfile")

TREES: Mapping[str, Mapping[str, bytes]] = {
    "scenario": {"file1": b"", "file2": b"", **_below("subdir", *_SUBDIR)},
    "glob": {"file1": b"", "file2": b"", **_below("subdir0", *_SUBDIR), **_below("subdir1", *_SUBDIR)},
    "src": {"file": b""},
    "prefix": {"subdir.txt": b"", "subdir/subfile.txt": b""},
    "hashed": {f"{md5(str(number).encode()).hexdigest()}.txt": str(number).encode() for number in range(10)},
}
"""The trees of fsspec's abstract tests, by the names that they have here."""
