"""Tables of a whole project as Dask's frames: partitioned so that a partition is a call to Comet.

Not here: files of any kind, which Dask itself reads by `comet://` (fsspec/).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import dask.dataframe
import pandas

from cometfs.fsspec import CometFileSystem
from cometfs.vfs.schema.declaration import Row
from cometfs.vfs.sources.one_metric import MOST

ROWS = 5_000
"""Experiments in a partition of their table."""

_POINTS = pandas.DataFrame(
    {
        "experiment": pandas.Series(dtype="str"),
        "name": pandas.Series(dtype="str"),
        "step": pandas.Series(dtype="float64"),
        "epoch": pandas.Series(dtype="float64"),
        "timestamp": pandas.Series(dtype="datetime64[ms, UTC]"),
        "value": pandas.Series(dtype="float64"),
    }
)


def metrics(project: str, metric: str, **storage_options: Any) -> dask.dataframe.DataFrame:
    """Every point of a metric, of all experiments of a project that have logged it.

    - `project`: "WORKSPACE/PROJECT", with or without `comet://`
    - `metric`: its name, as it was logged
    - `storage_options`: those of `comet://`

    A row for each point: `experiment` (its key), `name` (the experiment's), `step`, `epoch`, `timestamp`, `value`. What
    Comet does not have is NaN. Those of an experiment are in one partition, in the order of its file.

    Costs two calls at once, and one for each partition of 100 experiments when that is computed. Experiments that run
    cost one each, and in each process one or two series are compared with what the metric says by itself. Raises the
    errors of `comet://`.
    """
    fs = CometFileSystem(**storage_options)
    place = fs._strip_protocol(project)
    rows = fs.wait(place, lambda account: account.logged_by(place, metric))
    parts = [rows[start : start + MOST] for start in range(0, len(rows), MOST)]
    made: dask.dataframe.DataFrame = dask.dataframe.from_map(  # type: ignore[no-untyped-call]
        partial(_points, fs, place, metric), parts or [[]], meta=_POINTS, label="comet-metrics"
    )
    return made


def experiments(project: str, **storage_options: Any) -> dask.dataframe.DataFrame:
    """The table of a project, `summary/experiments.csv`: a row for each experiment.

    It is made at once, and travels to the workers, which make no call for it.
    """
    fs = CometFileSystem(**storage_options)
    body = fs.cat_file(f"{fs._strip_protocol(project)}/summary/experiments.csv")
    made: dask.dataframe.DataFrame = dask.dataframe.from_pandas(  # type: ignore[no-untyped-call]
        pandas.read_csv(io.BytesIO(body)), chunksize=ROWS
    )
    return made


def _points(fs: CometFileSystem, project: str, metric: str, rows: Sequence[Row]) -> pandas.DataFrame:
    """A partition."""
    sheets = fs.wait(project, lambda account: account.metric(project, rows, metric)) if rows else {}
    frames = [_frame(row, sheets[key]) for row in rows if (key := row["experimentKey"]) in sheets]
    return pandas.concat(frames, ignore_index=True) if frames else _POINTS


def _frame(row: Row, sheet: bytes) -> pandas.DataFrame:
    read = pandas.read_csv(io.BytesIO(sheet), dtype={"step": "float64", "epoch": "float64", "value": "float64"})
    read.insert(0, "experiment", row["experimentKey"])
    read.insert(1, "name", row["experimentName"] or "")
    read.insert(4, "timestamp", pandas.to_datetime(read.pop("timestamp_ms"), unit="ms", utc=True))
    return read.astype(_POINTS.dtypes.to_dict())
