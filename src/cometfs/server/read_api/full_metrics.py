"""Metrics as files, which Comet keeps of long ones: assets that are listed only when their type is asked for.

Comet's Python client looks for them before it asks for a metric whose name it has changed, so there is one of every
metric. Of names that its change makes equal only the first has a file.

Not here: the points themselves (`runs.content`).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from typing import Any

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs import content
from cometfs.server.runs.apply import derived_id
from cometfs.text.numbers import number_of

TYPE = "ASSET_TYPE_FULL_METRIC"


def rows(experiment: ServedExperiment, base_url: str) -> list[dict[str, Any]]:
    """The listing; `fileSize` is 0, the files are made when they are asked for."""
    return [
        {
            "assetId": _id(experiment, metric),
            "fileName": f"{name}_0.csv.zip",
            "fileSize": 0,
            "type": TYPE,
            "remote": False,
            "link": f"{base_url}api/rest/v2/experiment/asset/get-asset?experimentKey={experiment.key}"
            f"&assetId={_id(experiment, metric)}",
            "createdAt": experiment.record.end,
            "step": None,
            "runContext": None,
            "metadata": None,
            "dir": "others",
        }
        for name, metric in _names(experiment).items()
    ]


def metric_of(experiment: ServedExperiment, asset_id: str) -> str | None:
    """The metric that this is the file of, if it is one."""
    return next((name for name in experiment.record.metrics if _id(experiment, name) == asset_id), None)


def packed(experiment: ServedExperiment, metric: str) -> bytes:
    """A zip with a CSV of every point; timestamps in seconds, as Comet has them in there. Reads."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["value", "timestamp", "step", "epoch"])
    for point in content.points(experiment.record, metric):
        time = point["timestamp"]
        table.writerow(
            [number_of(point["metricValue"]), None if time is None else time / 1000, point["step"], point["epoch"]]
        )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{_changed(metric)}_0.csv"), text.getvalue())
    return made.getvalue()


def _names(experiment: ServedExperiment) -> dict[str, str]:
    names: dict[str, str] = {}
    for metric in sorted(experiment.record.metrics):
        names.setdefault(_changed(metric), metric)
    return names


def _changed(metric: str) -> str:
    """The name as Comet's Python client changes it."""
    return re.sub(r"[^a-zA-Z0-9-+]+", "_", metric)


def _id(experiment: ServedExperiment, metric: str) -> str:
    return derived_id("full-metric", experiment.key, metric)
